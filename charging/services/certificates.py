"""The chargers' certificates: signed by the installation's own authority, used, renewed, revoked."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import transaction

from charging.authority import Authority, AuthorityError, Signed
from charging.models import Charger, ChargerCertificate
from charging.services.commands import send
from depot import audit, clock
from depot.alerts.services import Cause, sync
from depot.models import Depot
from depot.words import later, tr

MOST_A_DAY = 10
"""More requests of one charger are refused: something is wrong with it."""
RENEW_BEFORE = timedelta(days=30)
RENEWED = "renewed"


def authority() -> Authority:
    """Return the installation's authority, which may not exist yet."""
    return Authority(Path(settings.VAR_DIR) / "ocpp")


def sign(charger: Charger, request: str) -> ChargerCertificate:
    """Sign a charger's request and queue the certificate for it; raises AuthorityError when it is refused."""
    now = clock.wall_now()
    if charger.certificates.filter(issued_at__gt=now - timedelta(days=1)).count() >= MOST_A_DAY:
        raise AuthorityError(tr("It has asked for {count} certificates within a day.", count=MOST_A_DAY))
    signed = authority().sign_request(request, charger.identity, now)
    row = keep(charger, signed, charger.name)
    send(charger, "certificate_signed", {"chain": signed.chain}, priority=1)
    return row


def keep(charger: Charger, signed: Signed, by: Any) -> ChargerCertificate:
    """Keep what was signed for a charger, without which it would not be let in."""
    row = ChargerCertificate.objects.create(
        charger=charger,
        fingerprint=signed.fingerprint,
        serial=signed.serial,
        not_before=signed.not_before,
        not_after=signed.not_after,
        issued_at=clock.wall_now(),
    )
    sentence = later(
        "A certificate was signed for charger {name}, until {not_after:%Y-%m-%d}.",
        name=charger.name,
        not_after=signed.not_after,
    )
    audit.record(charger.depot, by, "charger.certificate", sentence, charger=charger.pk, serial=signed.serial)
    return row


def let_in(charger: Charger, fingerprint: str) -> bool:
    """Tell whether a charger may come in with this certificate of ours; its first use ends the older ones."""
    row = charger.certificates.filter(fingerprint=fingerprint, ended_at__isnull=True).first()
    if row is None:
        return False
    if row.used_at is None:
        now = clock.wall_now()
        with transaction.atomic():
            charger.certificates.filter(pk=row.pk).update(used_at=now)
            older = charger.certificates.filter(issued_at__lt=row.issued_at, ended_at__isnull=True)
            older.update(ended_at=now, end_reason=RENEWED)
    return True


def has_used_one(charger: Charger) -> bool:
    """Tell whether a charger logs in by certificate: a password opens no door for it any more."""
    return charger.certificates.filter(used_at__isnull=False, ended_at__isnull=True).exists()


def revoke(row: ChargerCertificate, by: Any, reason: str) -> bool:
    """End a certificate; the link that came in with it is closed within seconds. False when it had ended."""
    charger = row.charger
    with transaction.atomic():
        now = clock.wall_now()
        valid = ChargerCertificate.objects.filter(pk=row.pk, ended_at__isnull=True)
        if not valid.update(ended_at=now, end_reason=reason[:200]):
            return False
        sentence = later(
            "{by} revoked the certificate of charger {name}: {reason}.",
            by=by,
            name=charger.name,
            reason=reason,
        )
        audit.record(
            charger.depot, by, "charger.certificate", sentence, charger=charger.pk, serial=row.serial
        )
    return True


def ended_among(fingerprints: Collection[str]) -> set[str]:
    """Return which of these certificates are not valid any more."""
    if not fingerprints:
        return set()
    rows = ChargerCertificate.objects.filter(fingerprint__in=fingerprints, ended_at__isnull=False)
    return set(rows.values_list("fingerprint", flat=True))


def warn_of_ends(depot: Depot, now: datetime) -> None:
    """Raise an alert for each charger whose newest certificate ends soon."""
    newest: dict[int, ChargerCertificate] = {}
    valid = ChargerCertificate.objects.filter(charger__depot=depot, ended_at__isnull=True)
    for row in valid.order_by("issued_at").select_related("charger"):
        newest[row.charger_id] = row
    ending = [row for row in newest.values() if row.not_after < now + RENEW_BEFORE]
    sync(depot, "certificate:", [_cause(row, depot, now) for row in ending])


def _cause(row: ChargerCertificate, depot: Depot, now: datetime) -> Cause:
    over = row.not_after <= now
    words = (
        tr("has ended") if over else tr("ends on {not_after:%Y-%m-%d}", not_after=depot.local(row.not_after))
    )
    return Cause(
        f"certificate:{row.charger_id}",
        "critical" if over else "warning",
        tr("The certificate of charger {name} {words}", name=row.charger.name, words=words),
        tr(
            "Let it ask for a new one on its station page, or revoke it there: then its password "
            "counts again."
        ),
    )
