"""The chargers' passwords: made here, shown once, kept as a hash."""

from __future__ import annotations

import secrets
from typing import Any

from charging.models import Charger
from depot import audit


def new_password(charger: Charger, by: Any) -> str:
    """Give a charger a new password and return its only readable copy (32 letters, digits, - and _).

    OCPP allows 16 to 40 characters of this set.
    """
    raw = secrets.token_urlsafe(24)
    charger.set_password(raw)
    charger.save(update_fields=["password_hash"])
    audit.record(
        charger.depot, by, "charger.password", f"{by} made a new password for {charger}.", charger=charger.pk
    )
    return raw
