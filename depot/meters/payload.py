"""Read a meter's MQTT message. PURE."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from depot.meters.measured import KILO, Measured, UnreadableError, finite
from depot.words import tr

LARGEST = 64 * 1024
MILLISECONDS_FROM = 1e11
"""A Unix time above this is in milliseconds: in seconds it would lie in the year 5138."""


@dataclass(frozen=True, slots=True)
class Fields:
    """Where in the JSON message each value stands (names and list positions joined by dots), and in which unit."""

    power: str
    imported: str
    exported: str = ""
    observed: str = ""
    power_unit: str = "W"
    energy_unit: str = "kWh"
    reversed: bool = False


def read_payload(payload: bytes, fields: Fields) -> Measured:
    """Return the reading in a message; raises UnreadableError naming the path that is missing or wrong."""
    if len(payload) > LARGEST:
        raise UnreadableError(tr("The message is larger than {largest} KiB.", largest=LARGEST // 1024))
    try:
        document = json.loads(payload)
    except (ValueError, RecursionError) as error:
        raise UnreadableError(tr("The message is not JSON.")) from error
    sign = -1.0 if fields.reversed else 1.0
    energy = KILO[fields.energy_unit]
    return Measured(
        power_kw=sign * KILO[fields.power_unit] * _number(document, fields.power),
        import_kwh_total=energy * _number(document, fields.imported),
        export_kwh_total=energy * _number(document, fields.exported) if fields.exported else 0.0,
        observed_at=_moment(document, fields.observed) if fields.observed else None,
    )


def value_at(document: Any, path: str) -> Any:
    """Return what stands at `path`, like `em.0.total_power`; raises UnreadableError when there is nothing."""
    found = document
    for name in path.split("."):
        try:
            found = found[int(name)] if isinstance(found, list) else found[name]
        except (LookupError, TypeError, ValueError) as error:
            raise UnreadableError(tr("The message has nothing at {path}.", path=path)) from error
    return found


def _number(document: Any, path: str) -> float:
    raw = value_at(document, path)
    if isinstance(raw, bool) or not isinstance(raw, int | float | str):
        raise UnreadableError(tr("{path} is not a number.", path=path))
    try:
        return finite(float(raw), path)
    except (OverflowError, ValueError) as error:
        raise UnreadableError(tr("{path} is not a number.", path=path)) from error


def _moment(document: Any, path: str) -> datetime:
    """Return a time written as ISO 8601 with offset, or as seconds or milliseconds since 1970."""
    raw = value_at(document, path)
    try:
        if isinstance(raw, str) and not raw.replace(".", "", 1).isdigit():
            at = datetime.fromisoformat(raw)
            if at.tzinfo is None:
                raise UnreadableError(tr("{path} has no offset from UTC.", path=path))
            return at.astimezone(UTC)
        seconds = _number(document, path)
        return datetime.fromtimestamp(seconds / 1000 if seconds > MILLISECONDS_FROM else seconds, UTC)
    except (OSError, OverflowError, TypeError, ValueError) as error:
        if isinstance(error, UnreadableError):
            raise
        raise UnreadableError(tr("{path} is not a time.", path=path)) from error
