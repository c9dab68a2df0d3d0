"""Alerts by role and by e-mail: who is written to, when, how often; and what people do about them."""

from __future__ import annotations

from datetime import time, timedelta
from smtplib import SMTPRecipientsRefused, SMTPServerDisconnected

import pytest
import time_machine
from django.core import mail
from django.db import DatabaseError
from django.urls import reverse

from depot.alerts import acknowledge, open_alerts, pressing_alerts, raise_alert, snooze
from depot.alerts import mail as alert_mail
from depot.alerts.kinds import KINDS, concerns, kind_of
from depot.alerts.mail import MailError, can_mail, mail_alerts
from depot.alerts.services import Cause
from depot.alerts.timing import AGAIN_AFTER, FORGOTTEN, Wish, count_after, is_due, is_quiet, is_wanted
from depot.models import Alert, AlertMail, AlertPreference, AuditEvent, Depot, User, Webhook
from depot.webhooks.services import renew_secret
from tests.factories import NOW, make_person

LATE = Cause("ready:7:2026-03-10", "warning", "Bus 07 may not be ready", "It is not plugged in.")
DOWN = Cause("clock:3", "critical", "The clock of charger C-03 is 90 s slow")
HOUR = timedelta(hours=1)


@pytest.fixture
def clock():
    with time_machine.travel(NOW, tick=False) as traveller:
        yield traveller


# --- rules


def test_quiet_hours_may_go_over_midnight() -> None:
    night = Wish("warning", time(22), time(6))
    noon = Wish("warning", time(12), time(13))
    hours = [time(21, 59), time(22), time(3), time(6), time(12, 30)]
    assert [is_quiet(night, at) for at in hours] == [False, True, True, False, False]
    assert is_quiet(noon, time(12)) and not is_quiet(noon, time(13))
    assert not is_quiet(Wish("warning"), time(3)) and not is_quiet(Wish("info", time(3), time(3)), time(3))


def test_level_and_quiet_hours_decide_together() -> None:
    night = Wish("critical", time(22), time(6))
    assert is_wanted(night, "critical", time(3)) and not is_wanted(night, "warning", time(12))
    strict = Wish("warning", time(22), time(6), critical_always=False)
    assert not is_wanted(strict, "critical", time(3)) and is_wanted(strict, "warning", time(12))


def test_each_mail_about_one_cause_waits_longer_than_the_last() -> None:
    assert is_due(NOW, None, 0)
    for times, wait in enumerate(AGAIN_AFTER, start=1):
        assert not is_due(NOW + wait - timedelta(seconds=1), NOW, times) and is_due(NOW + wait, NOW, times)
    assert not is_due(NOW + 23 * HOUR, NOW, 99)
    assert (count_after(NOW, None, 9), count_after(NOW + HOUR, NOW, 2)) == (1, 3)
    assert count_after(NOW + timedelta(days=3), NOW, 9) == 1


def test_every_kind_has_its_readers_and_who_only_looks_sees_all() -> None:
    assert kind_of("job.plan").title == "Background work" and kind_of("strange").title == "Other"
    assert concerns(LATE.key, "dispatcher") and not concerns(LATE.key, "technician")
    assert concerns(DOWN.key, "technician") and not concerns(DOWN.key, "dispatcher")
    assert concerns(DOWN.key, "viewer") and concerns(DOWN.key, None)
    assert all({"manager", "owner"} <= kind.audience for kind in KINDS.values())


# --- mails


def wants(user: User, depot: Depot, **values) -> AlertPreference:
    User.objects.filter(pk=user.pk).update(email=f"{user.username}@depot.example")
    return AlertPreference.objects.create(
        depot=depot, user=user, **{"by_email": True, "least_level": "warning"} | values
    )


def test_who_wants_it_gets_one_mail_for_all_that_is_due(depot, dispatcher, manager, viewer, clock):
    wants(dispatcher, depot)
    wants(manager, depot, quiet_from=time(10), quiet_to=time(12))
    wants(viewer, depot, by_email=False)
    raise_alert(depot, LATE)
    raise_alert(depot, DOWN)
    assert mail_alerts(depot, NOW) == 2
    sent = {message.to[0]: message for message in mail.outbox}
    assert set(sent) == {"dispatcher@depot.example", "manager@depot.example"}
    assert sent["dispatcher@depot.example"].subject == "Maple Street: Bus 07 may not be ready"
    assert "It is not plugged in.\n  since Tue 11:00 EDT" in sent["dispatcher@depot.example"].body
    assert "Bus 07" not in sent["manager@depot.example"].body, "only what cannot wait, in quiet hours"
    assert mail_alerts(depot, NOW + HOUR / 2) == 0
    assert mail_alerts(depot, NOW + 2 * HOUR) == 2
    assert "Maple Street: The clock" in mail.outbox[-1].subject and "and 1 more" in mail.outbox[-1].subject
    Alert.objects.filter(key=LATE.key).update(cleared_at=NOW)
    raise_alert(depot, LATE)
    assert mail_alerts(depot, NOW + 2.5 * HOUR) == 0, "a cause that comes and goes writes no flood"
    acknowledge(Alert.objects.get(key=LATE.key, cleared_at=None), dispatcher)
    snooze(Alert.objects.get(key=DOWN.key), NOW + 99 * HOUR, manager)
    assert mail_alerts(depot, NOW + 48 * HOUR) == 0


def test_nobody_is_written_to_without_a_server_an_address_or_a_role(
    depot, dispatcher, outsider, clock, settings
):
    wants(outsider, depot)
    wish = wants(dispatcher, depot)
    User.objects.filter(pk=dispatcher.pk).update(email="")
    raise_alert(depot, LATE)
    assert mail_alerts(depot, NOW) == 0
    User.objects.filter(pk=wish.user_id).update(email="d@depot.example")
    settings.EMAIL_BACKEND = "django.core.mail.backends.dummy.EmailBackend"
    assert not can_mail() and mail_alerts(depot, NOW) == 0
    assert not AlertMail.objects.exists()


def test_a_mail_that_is_refused_is_tried_again(depot, dispatcher, clock, monkeypatch):
    def refuse(*args):
        raise SMTPServerDisconnected("gone")

    wants(dispatcher, depot)
    raise_alert(depot, LATE)
    with monkeypatch.context() as patch, pytest.raises(MailError, match="did not take an alert: gone"):
        patch.setattr("depot.alerts.mail.send_mail", refuse)
        mail_alerts(depot, NOW)
    assert mail_alerts(depot, NOW) == 1


# --- the page


def url(depot: Depot, name: str = "alerts", *args: int) -> str:
    return reverse(f"depot:{name}", args=[depot.slug, *args])


def test_people_see_what_concerns_them_and_see_to_it(login, depot, dispatcher, clock):
    raise_alert(depot, LATE)
    raise_alert(depot, DOWN)
    client, late = login(dispatcher), Alert.objects.get(key=LATE.key)
    page = client.get(url(depot)).content.decode()
    assert "1 thing needs you." in page and LATE.title in page and DOWN.title not in page
    assert "1 more concerns other roles" in page
    assert DOWN.title in client.get(f"{url(depot)}?show=all").content.decode()
    assert client.post(url(depot, "alert-acknowledge", late.pk)).url == url(depot)
    page = client.get(url(depot)).content.decode()
    assert "Nothing needs you now." in page and "dispatcher sees to it since 11:00" in page
    assert client.post(url(depot, "alert-acknowledge", late.pk), {"show": "all"}).url.endswith("?show=all")
    assert AuditEvent.objects.get(verb="alert.acknowledged").facts == {"alert": late.pk, "key": LATE.key}
    raise_alert(depot, Cause(LATE.key, "critical", "Bus 07 will not be ready"))
    assert pressing_alerts(depot, NOW).filter(key=LATE.key).exists(), (
        "what becomes worse is put before people again"
    )


@pytest.mark.parametrize(
    ("choice", "until"), [("1h", HOUR), ("4h", 4 * HOUR), ("morning", 19 * HOUR), ("ever", None)]
)
def test_an_alert_can_be_put_aside_for_a_while(login, depot, technician, clock, choice, until):
    raise_alert(depot, DOWN)
    alert = Alert.objects.get()
    client = login(technician)
    client.post(url(depot, "alert-snooze", alert.pk), {"for": choice})
    alert.refresh_from_db()
    assert alert.snoozed_until == (until and NOW + until)
    assert pressing_alerts(depot, NOW).exists() == (until is None)
    if until is not None:
        assert "put aside until" in client.get(url(depot)).content.decode()
        assert pressing_alerts(depot, NOW + until).exists() and open_alerts(depot).exists()


@pytest.mark.parametrize("role", ["viewer", "dispatcher", "technician", "manager", "owner"])
def test_everybody_may_read_and_all_but_viewers_act(login, depot, other_depot, role, clock):
    raise_alert(depot, DOWN)
    raise_alert(other_depot, LATE)
    own, foreign = Alert.objects.get(depot=depot), Alert.objects.get(depot=other_depot)
    client = login(make_person(depot, role))
    page = client.get(f"{url(depot)}?show=all")
    assert page.status_code == client.get(url(depot, "alerts-email")).status_code == 200
    assert ("I see to it" in page.content.decode()) == (role != "viewer")
    for name in ("alert-acknowledge", "alert-snooze"):
        expected = 403 if role == "viewer" else 404
        assert client.post(url(depot, name, foreign.pk), {"for": "1h"}).status_code == expected
    assert client.post(url(depot, "alert-acknowledge", own.pk)).status_code == (
        403 if role == "viewer" else 302
    )
    assert Alert.objects.get(pk=foreign.pk).acknowledged_at is None
    assert (
        client.get(url(other_depot)).status_code
        == client.get(url(other_depot, "alerts-email")).status_code
        == 404
    )


def test_the_choice_of_mails_is_ones_own_and_checked(login, depot, viewer, clock):
    client, address = login(viewer), url(depot, "alerts-email")
    assert "no e-mail address" in client.get(address).content.decode()
    half = {"by_email": "on", "least_level": "warning", "quiet_from": "22:00"}
    assert "Enter both ends" in client.post(address, half).content.decode()
    for end in ("06:00", "07:00"):
        assert client.post(address, half | {"quiet_to": end}).status_code == 302
    wish = AlertPreference.objects.get()
    assert (wish.user, wish.by_email, wish.quiet_to, wish.critical_always) == (viewer, True, time(7), False)


def test_an_address_that_is_refused_keeps_no_other_from_being_written_to(
    depot, dispatcher, manager, clock, monkeypatch
):
    real = alert_mail.send_mail

    def send(subject, body, sender, to):
        if to == ["dispatcher@depot.example"]:
            raise SMTPRecipientsRefused({to[0]: (550, b"no such user")})
        return real(subject, body, sender, to)

    wants(dispatcher, depot)
    wants(manager, depot)
    raise_alert(depot, DOWN)
    raise_alert(depot, LATE)
    monkeypatch.setattr(alert_mail, "send_mail", send)
    with pytest.raises(MailError, match="dispatcher"):
        mail_alerts(depot, NOW)
    assert [message.to for message in mail.outbox] == [["manager@depot.example"]]
    assert not AlertMail.objects.filter(user=dispatcher).exists()


def test_what_nobody_was_written_to_about_for_long_is_forgotten(depot, dispatcher, clock):
    wants(dispatcher, depot)
    old = AlertMail.objects.create(depot=depot, user=dispatcher, key="ready:1:2026-03-01", sent_at=NOW)
    raise_alert(depot, LATE)
    mail_alerts(depot, NOW + FORGOTTEN - HOUR)
    assert AlertMail.objects.filter(pk=old.pk).exists()
    mail_alerts(depot, NOW + FORGOTTEN + HOUR)
    assert list(AlertMail.objects.values_list("key", flat=True)) == [LATE.key]


def test_what_becomes_worse_is_written_about_at_once(depot, dispatcher, clock):
    wants(dispatcher, depot)
    raise_alert(depot, LATE)
    assert mail_alerts(depot, NOW) == 1
    raise_alert(depot, Cause(LATE.key, "critical", "Bus 07 will not be ready"))
    assert mail_alerts(depot, NOW + HOUR / 4) == 1
    assert mail_alerts(depot, NOW + HOUR / 2) == 0


def test_what_cannot_be_audited_is_not_done(depot, dispatcher, clock, monkeypatch):
    def away(*args, **facts):
        raise DatabaseError("away")

    raise_alert(depot, LATE)
    hook = Webhook.objects.create(depot=depot, name="hook", url="https://hooks.example/", topics=[])
    before = hook.nonce
    monkeypatch.setattr("depot.audit.record", away)
    for act in (lambda: acknowledge(Alert.objects.get(), dispatcher), lambda: renew_secret(hook, dispatcher)):
        with pytest.raises(DatabaseError):
            act()
    assert Alert.objects.get().acknowledged_at is None
    assert Webhook.objects.get().nonce == before
