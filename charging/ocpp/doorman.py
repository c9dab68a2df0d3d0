"""Who may come in: a charger that we know, with its own credential, and nobody else."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets
import time
from collections import OrderedDict
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from urllib.parse import unquote

from django.contrib.auth.hashers import check_password, make_password

from charging.models import Charger

PATH = "/ocpp/"
FREE_TRIES = 5
PAUSE_S = 30.0
MOST_REMEMBERED = 10_000


@dataclass(frozen=True, slots=True)
class Visitor:
    """Who knocks: the identity in the address, the user and password given, the name in a certificate."""

    identity: str
    user: str | None
    password: str | None
    certificate_name: str | None
    address: str


def visitor(
    path: str, authorization: str | None, certificate: dict[str, Any] | None, address: str
) -> Visitor:
    """Read who knocks from a request; what is missing or broken is None, the identity then empty."""
    route = path.split("?", 1)[0]
    identity = unquote(route.removeprefix(PATH)) if route.startswith(PATH) else ""
    user, password = _basic(authorization or "")
    return Visitor(identity, user, password, _common_name(certificate), address)


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
    """Checks credentials. Verified ones are remembered, as digests in memory, so that reconnects are cheap."""

    def __init__(self, *, by_certificate: bool = False) -> None:
        self._by_certificate = by_certificate
        self._key = secrets.token_bytes(32)
        self._verified: dict[str, tuple[str, bytes]] = {}
        self._failures: OrderedDict[tuple[str, str], tuple[int, float]] = OrderedDict()

    def admit(self, guest: Visitor) -> Charger | None:
        """Return the charger when the visitor is it, else None. Reads the database and hashes: not for the loop.

        Whether an identity exists shows neither in the answer nor in the time it takes. Who fails often from
        one address waits there; the true charger, once verified, is let in meanwhile.
        """
        charger = Charger.objects.filter(identity=guest.identity).first()
        if self._by_certificate:
            known = charger is not None and guest.certificate_name == guest.identity
            return charger if known else None
        if guest.password is None or guest.user != guest.identity:
            return None
        if charger is not None and self._remembered(charger, guest.password):
            return charger
        if self._must_wait(guest):
            return None
        hashed = charger.password_hash if charger is not None and charger.password_hash else _nobody()
        if check_password(guest.password, hashed) and charger is not None and charger.password_hash:
            self._verified[guest.identity] = (hashed, self._digest(guest.password))
            self._failures.pop((guest.address, guest.identity), None)
            return charger
        self._note_failure(guest)
        return None

    def _remembered(self, charger: Charger, password: str) -> bool:
        hashed, digest = self._verified.get(charger.identity, ("", b""))
        same = hmac.compare_digest(digest, self._digest(password))
        return same and bool(hashed) and hashed == charger.password_hash

    def _digest(self, password: str) -> bytes:
        return hmac.new(self._key, password.encode(), hashlib.sha256).digest()

    def _must_wait(self, guest: Visitor) -> bool:
        tries, last = self._failures.get((guest.address, guest.identity), (0, 0.0))
        return tries >= FREE_TRIES and time.monotonic() - last < PAUSE_S

    def _note_failure(self, guest: Visitor) -> None:
        key = (guest.address, guest.identity)
        tries, _ = self._failures.pop(key, (0, 0.0))
        self._failures[key] = (tries + 1, time.monotonic())
        if len(self._failures) > MOST_REMEMBERED:
            self._failures.popitem(last=False)


@lru_cache(maxsize=1)
def _nobody() -> str:
    """Return the hash that a password for an unknown charger is checked against, to take the same time."""
    return make_password(secrets.token_urlsafe())
