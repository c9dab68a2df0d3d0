"""Read the values of records that programs send: strict types, limits with units, times with an offset.

Pure: the clock is an argument. Every refusal has a stable code and a sentence that names field and cure.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

FUTURE_LIMIT = timedelta(minutes=5)
PAST_LIMIT = timedelta(days=366)


class IntakeError(ValueError):
    """A record that cannot be taken in; `code` is stable, `message` is for people."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


@dataclass(frozen=True, slots=True)
class Limits:
    """The range a number must lie in, and its unit as people write it."""

    low: float
    high: float
    unit: str


def record(raw: object, known: Iterable[str]) -> Mapping[str, Any]:
    """Return `raw` as a record; refuse what is no object and fields that have no meaning here."""
    if not isinstance(raw, dict):
        raise IntakeError("not_an_object", "This item is not a JSON object. Send one object per reading.")
    known = list(known)
    unknown = sorted(set(raw) - set(known))
    if unknown:
        names = ", ".join(ascii(name)[1:-1][:40] for name in unknown[:5])
        raise IntakeError("unknown_field", f"Unknown fields: {names}. Known: {', '.join(known)}.")
    return raw


def moment(record: Mapping[str, Any], name: str, now: datetime, *, ahead: bool = False) -> datetime:
    """Return the time in field `name`, in UTC; refuse a missing offset, the distant past and the future.

    With `ahead` a time in the future is returned, for a caller that knows what to do with it.
    """
    raw = record.get(name)
    example = "Write it like 2026-03-10T15:00:00Z."
    if not isinstance(raw, str):
        raise IntakeError("time_missing", f"{name} is missing or not a text. {example}")
    try:
        at = datetime.fromisoformat(raw)
        if at.tzinfo is None:
            raise IntakeError("time_without_offset", f"{name} has no offset from UTC. {example}")
        at = at.astimezone(UTC)
    except (OverflowError, ValueError) as error:
        if isinstance(error, IntakeError):
            raise
        raise IntakeError("time_unreadable", f"{name} is not an ISO 8601 time. {example}") from error
    if at > now + FUTURE_LIMIT and not ahead:
        raise IntakeError(
            "in_future", f"{name} is more than 5 minutes in the future. Check the sender's clock."
        )
    if at < now - PAST_LIMIT:
        raise IntakeError("too_old", f"{name} is more than a year ago. Check the sender's clock.")
    return at


def number(record: Mapping[str, Any], name: str, limits: Limits) -> float | None:
    """Return the number in field `name`, None when it was not said."""
    raw = record.get(name)
    if raw is None:
        return None
    if isinstance(raw, bool) or not isinstance(raw, int | float):
        raise IntakeError("not_a_number", f"{name} is not a number. Send {limits.unit} as a JSON number.")
    if not limits.low <= raw <= limits.high:  # also refuses what is not finite
        raise IntakeError(
            "out_of_range", f"{name} must be between {limits.low:g} and {limits.high:g} {limits.unit}."
        )
    return float(raw)


def flag(record: Mapping[str, Any], name: str) -> bool | None:
    """Return the truth value in field `name`, None when it was not said."""
    raw = record.get(name)
    if raw is None or isinstance(raw, bool):
        return raw
    raise IntakeError("not_a_boolean", f"{name} must be true or false.")


def text(record: Mapping[str, Any], name: str, longest: int) -> str:
    """Return the text in field `name`, "" when it was not said."""
    raw = record.get(name)
    if raw is None:
        return ""
    if not isinstance(raw, str):
        raise IntakeError("not_a_text", f"{name} must be a text.")
    if len(raw) > longest:
        raise IntakeError("too_long", f"{name} is longer than {longest} characters.")
    if not raw.isprintable():
        raise IntakeError("unprintable", f"{name} contains characters that cannot be printed.")
    return raw
