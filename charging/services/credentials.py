"""The chargers' passwords: made here, shown once, kept as a hash."""

from __future__ import annotations

import secrets
from typing import Any

from charging.models import Charger
from charging.passwords import hash_password
from depot import audit
from depot.words import later

LETTERS_16 = 20
"""A 1.6 station is given its password in hexadecimal: 40 signs for 20 letters."""


def new_password(charger: Charger, by: Any) -> str:
    """Give a charger a new password and return its only readable copy (32 letters, digits, - and _).

    OCPP allows 16 to 40 characters of this set.
    """
    raw = secrets.token_urlsafe(24)
    charger.set_password(raw)
    charger.next_password_hash = ""
    charger.save(update_fields=["password_hash", "next_password_hash"])
    audit.record(
        charger.depot,
        by,
        "charger.password",
        later("{by} made a new password for {charger}.", by=by, charger=charger),
        charger=charger.pk,
    )
    return raw


def prepare_password(charger: Charger) -> str:
    """Make a password that the gateway is about to give to a charger; until it is used the old one counts too."""
    raw = secrets.token_urlsafe(LETTERS_16)[:LETTERS_16]
    Charger.objects.filter(pk=charger.pk).update(next_password_hash=hash_password(raw))
    return raw


def keep_hash(charger_id: int, raw: str) -> str:
    """Keep the password a charger has just shown in the present form of hash, and return that."""
    hashed = hash_password(raw)
    Charger.objects.filter(pk=charger_id).update(password_hash=hashed)
    return hashed


def drop_password(charger: Charger) -> None:
    """Forget a password that the charger did not take."""
    Charger.objects.filter(pk=charger.pk).update(next_password_hash="")


def promote_password(charger: Charger) -> None:
    """Let only the new password count: the charger has used it."""
    charger.password_hash, charger.next_password_hash = charger.next_password_hash, ""
    charger.save(update_fields=["password_hash", "next_password_hash"])
    sentence = later("Charger {charger} uses its new password; the old one has ended.", charger=charger)
    audit.record(charger.depot, None, "charger.password", sentence, charger=charger.pk)


def password_variable(version: str, raw: str) -> dict[str, str]:
    """Return the station's variable that holds its password, and the value in the form its version wants."""
    if version == "1.6":
        return {"AuthorizationKey": raw.encode().hex()}
    return {"SecurityCtrlr.BasicAuthPassword": raw}


def readings(password: str) -> list[str]:
    """Return what a station may mean by the password it sends: 1.6 ones send the hexadecimal form, or its letters."""
    try:
        letters = bytes.fromhex(password).decode("ascii") if len(password) == 2 * LETTERS_16 else ""
    except ValueError:
        letters = ""
    return [password, letters] if letters else [password]
