"""Hash and check chargers' passwords, which the product makes: 20 random letters and more.

A random word of 120 bits needs no slow hash, as an API key needs none (ADR 0005). A check costs microseconds, so that
wrong log-ins cannot keep a gateway busy and nobody need be refused unchecked. Slow hashes of earlier versions still
count; checking one never costs more than it was made with.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets

from django.contrib.auth.hashers import identify_hasher

SCHEME = "random_sha256"
NOBODY = f"{SCHEME}$nobody${'0' * 64}"
"""Fits no password; checked in place of the hash of a charger that is not known, to take the same time."""


def hash_password(raw: str) -> str:
    """Return the salted hash of a password made by the product."""
    salt = secrets.token_hex(8)
    return f"{SCHEME}${salt}${_digest(salt, raw)}"


def fits(raw: str, encoded: str) -> bool:
    """Tell whether a password is the one of a hash; an empty hash fits none."""
    scheme, _, rest = encoded.partition("$")
    if scheme == SCHEME:
        salt, _, digest = rest.partition("$")
        return hmac.compare_digest(digest, _digest(salt, raw))
    # Not Django's check_password: after a wrong one it hashes on, as long as a person's password takes today.
    return bool(encoded) and bool(identify_hasher(encoded).verify(raw, encoded))


def is_current(encoded: str) -> bool:
    """Tell whether a hash is of the present scheme."""
    return encoded.startswith(f"{SCHEME}$")


def _digest(salt: str, raw: str) -> str:
    return hashlib.sha256(f"{salt}${raw}".encode()).hexdigest()
