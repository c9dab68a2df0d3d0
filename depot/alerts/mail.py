"""Write to people about alerts: one mail for all that is due, by Django's mail settings."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from smtplib import SMTPDataError, SMTPException, SMTPRecipientsRefused

from django.conf import settings
from django.core.mail import send_mail
from django.urls import reverse

from depot.alerts.kinds import of_role
from depot.alerts.services import pressing_alerts
from depot.alerts.timing import FORGOTTEN, LEVELS, Wish, count_after, is_due, is_wanted
from depot.models import Alert, AlertMail, AlertPreference, Depot, Membership
from depot.words import tr, trn, weekday_time


class MailError(Exception):
    """The mail server did not take a mail; what it was about is written again next time."""


class RecipientError(MailError):
    """The mail server did not take a mail for this person; others may still be written to."""


def can_mail() -> bool:
    """Tell whether a mail server is set up."""
    return settings.EMAIL_BACKEND != "django.core.mail.backends.dummy.EmailBackend"


def mail_alerts(depot: Depot, now: datetime) -> int:
    """Write to everybody who wants it about the alerts that are due; return how many mails were sent.

    Raises MailError when the mail server does not answer, and at the end when it refused somebody's mail. What
    nobody was written to about for `FORGOTTEN` is forgotten.
    """
    AlertMail.objects.filter(depot=depot, sent_at__lt=now - FORGOTTEN).delete()
    wishes = AlertPreference.objects.filter(depot=depot, by_email=True, user__is_active=True)
    people = list(wishes.exclude(user__email="").select_related("user"))
    alerts = list(pressing_alerts(depot, now)) if people and can_mail() else []
    if not alerts:
        return 0
    roles = dict(Membership.objects.filter(depot=depot).values_list("user_id", "role"))
    known = {(row.user_id, row.key): row for row in AlertMail.objects.filter(depot=depot)}
    sent, refused = 0, []
    for person in people:
        role = roles.get(person.user_id)
        if role is None and not person.user.is_superuser:
            continue
        wish = Wish(person.least_level, person.quiet_from, person.quiet_to, person.critical_always)
        local = depot.local(now).time()
        mine = [alert for alert in of_role(alerts, role) if is_wanted(wish, alert.level, local)]
        due = [alert for alert in mine if _due(known.get((person.user_id, alert.key)), alert, now)]
        if not due:
            continue
        try:
            _send(depot, person, due)
        except RecipientError as error:
            refused.append(str(error))
            continue
        _remember(depot, person, due, known, now)
        sent += 1
    if refused:
        raise MailError(" ".join(refused))
    return sent


def _due(row: AlertMail | None, alert: Alert, now: datetime) -> bool:
    """Tell whether to write about an alert now: at once when it is new or worse than it was, else in its time."""
    if row is None or LEVELS.index(alert.level) > LEVELS.index(row.level):
        return True
    return is_due(now, row.sent_at, row.times)


def _send(depot: Depot, person: AlertPreference, alerts: Sequence[Alert]) -> None:
    first, more = alerts[0], len(alerts) - 1
    title = tr("{title} and {count} more", title=first.title, count=more) if more else first.title
    subject = f"{depot}: {title}"
    try:
        send_mail(" ".join(subject.split()), body(depot, alerts), None, [person.user.email])
    except (SMTPRecipientsRefused, SMTPDataError) as error:
        words = tr("The mail server refuses mails to {name}. Check the e-mail address.", name=person.user)
        raise RecipientError(words) from error
    except (SMTPException, OSError) as error:
        raise MailError(tr("The mail server did not take an alert: {error}", error=error)) from error


def body(depot: Depot, alerts: Sequence[Alert]) -> str:
    """Write the text of a mail about alerts, the worst first."""
    lines = [trn("{count} alert of {depot}:", "{count} alerts of {depot}:", len(alerts), depot=depot), ""]
    for alert in alerts:
        lines.append(f"{alert.get_level_display()}: {alert.title}")
        if alert.detail:
            lines.append(f"  {alert.detail}")
        local = depot.local(alert.raised_at)
        lines.append(tr("  since {at}", at=f"{weekday_time(local)} {local:%Z}"))
        lines.append("")
    if settings.PUBLIC_ADDRESS:
        lines.append(f"{settings.PUBLIC_ADDRESS}{reverse('depot:alerts', args=[depot.slug])}")
    lines.append(tr("You chose to get these mails. Change that under Alerts, By e-mail."))
    return "\n".join(lines)


def _remember(
    depot: Depot,
    person: AlertPreference,
    alerts: Sequence[Alert],
    known: dict[tuple[int, str], AlertMail],
    now: datetime,
) -> None:
    for alert in alerts:
        row = known.get((person.user_id, alert.key))
        times = count_after(now, row.sent_at, row.times) if row else 1
        told = {"sent_at": now, "times": times, "level": alert.level}
        AlertMail.objects.update_or_create(depot=depot, user=person.user, key=alert.key, defaults=told)
