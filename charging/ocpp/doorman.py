"""Who may come in: a charger that we know, with its own credential, and nobody else."""

from __future__ import annotations

import base64
import binascii
import re
import time
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from charging.models import Charger
from charging.passwords import NOBODY, fits, is_current
from charging.services.adoption import note_unknown
from charging.services.certificates import has_used_one, let_in
from charging.services.credentials import keep_hash, promote_password, readings

PATH = "/ocpp/"
FREE_TRIES = 5
PAUSE_STEP_S, LONGEST_PAUSE_S, FORGET_S = 0.5, 5.0, 60.0
"""Beyond the free tries each refusal from an address comes so much later, until it is quiet for a minute."""
MOST_REMEMBERED = 10_000
MOST_STRANGERS, STRANGERS_PER_S = 20, 60.0
IDENTITY = re.compile(r"[A-Za-z0-9*\-_=:+|@.]{1,48}")


@dataclass(frozen=True, slots=True)
class Visitor:
    """Who knocks: the identity in the address, user and password, the name in a certificate and its fingerprint."""

    identity: str
    user: str | None
    password: str | None
    certificate_name: str | None
    address: str
    protocols: str = ""
    fingerprint: str = ""


def visitor(
    path: str,
    authorization: str | None,
    certificate: dict[str, Any] | None,
    address: str,
    protocols: str = "",
    fingerprint: str = "",
) -> Visitor:
    """Read who knocks from a request; what is missing or broken is None, the identity then empty."""
    route = path.split("?", 1)[0]
    identity = unquote(route.removeprefix(PATH).removesuffix("/")) if route.startswith(PATH) else ""
    user, password = _basic(authorization or "")
    return Visitor(identity, user, password, _common_name(certificate), address, protocols, fingerprint)


def _basic(header: str) -> tuple[str | None, str | None]:
    scheme, _, encoded = header.partition(" ")
    if scheme.lower() != "basic":
        return None, None
    try:
        user, colon, password = base64.b64decode(encoded, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return None, None
    return (user, password) if colon else (None, None)


def _common_name(certificate: dict[str, Any] | None) -> str | None:
    pairs = [pair for part in (certificate or {}).get("subject", ()) for pair in part]
    return next((value for name, value in pairs if name == "commonName"), None)


class Doorman:
    """Checks credentials. Wrong ones are answered ever later, right ones at once, wherever they come from."""

    def __init__(self, *, by_certificate: bool = False, own_authority: bool = False) -> None:
        self.by_certificate, self.own_authority = by_certificate, own_authority
        self._failures: OrderedDict[str, tuple[int, float]] = OrderedDict()
        self._strangers: OrderedDict[str, tuple[int, float]] = OrderedDict()

    def admit(self, guest: Visitor) -> Charger | None:
        """Return the charger when the visitor is it, else None. Reads the database: not for the loop.

        Whether an identity exists shows neither in the answer nor in the time it takes.
        """
        if not IDENTITY.fullmatch(guest.identity):
            return None
        charger = Charger.objects.filter(identity=guest.identity).first()
        if self.by_certificate or guest.certificate_name is not None:
            return charger if charger is not None and self._knows(charger, guest) else None
        if guest.password is None or guest.user != guest.identity:
            return None
        hashed, next_hash = (
            ("", "") if charger is None else (charger.password_hash, charger.next_password_hash)
        )
        right, renewed = _fits(guest.password, hashed), _fits(guest.password, next_hash)
        if charger is None or not (right or renewed):
            return None
        if self.own_authority and has_used_one(charger):
            return None  # who has come by certificate does not come by less
        if renewed:
            promote_password(charger)  # it has come with the password it was given last: only that counts now
        elif not is_current(hashed):
            charger.password_hash = keep_hash(charger.pk, guest.password)
        return charger

    def _knows(self, charger: Charger, guest: Visitor) -> bool:
        """Tell whether a certificate, whose chain TLS has checked, is this charger's and valid."""
        if guest.certificate_name != charger.identity:
            return False
        return not self.own_authority or let_in(charger, guest.fingerprint)

    def pause_s(self, guest: Visitor) -> float:
        """Note a refusal and return how long to hold it back, in seconds: who guesses much, waits longer."""
        now = time.monotonic()
        tries, last = self._failures.pop(guest.address, (0, now))
        tries = 1 if now - last > FORGET_S else tries + 1
        _remember(self._failures, guest.address, (tries, now))
        return min(max(tries - FREE_TRIES, 0) * PAUSE_STEP_S, LONGEST_PAUSE_S)

    def may_note(self, guest: Visitor) -> bool:
        """Tell whether to note a refused visitor (see `note`): a few a minute from one address."""
        now = time.monotonic()
        count, since = self._strangers.pop(guest.address, (0, now))
        if now - since > STRANGERS_PER_S:
            count, since = 0, now
        _remember(self._strangers, guest.address, (count + 1, since))
        return count < MOST_STRANGERS and IDENTITY.fullmatch(guest.identity) is not None


def note(guest: Visitor) -> None:
    """Note a station that nobody has set up, for a technician to see. Not for the loop, and after its answer."""
    if not Charger.objects.filter(identity=guest.identity).exists():
        note_unknown(guest.identity, guest.address, guest.protocols)


def _fits(password: str, hashed: str) -> bool:
    """Tell whether a password fits a hash in one of its readings; takes the same time without a hash."""
    return sum(fits(one, hashed or NOBODY) for one in readings(password)) > 0


def _remember(table: OrderedDict[str, tuple[int, float]], address: str, fact: tuple[int, float]) -> None:
    """Put a fact at the end of a table that never grows beyond its bound; the longest unchanged makes room."""
    table[address] = fact
    if len(table) > MOST_REMEMBERED:
        table.popitem(last=False)
