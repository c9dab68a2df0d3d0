"""The days of a week as dispatchers write them, and as bits (bit 0 = Monday)."""

from __future__ import annotations

import re

from depot.imports import CellError
from depot.words import mark, tr, weekday_words

NAMES = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
SHORT = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
EVERY_DAY, WEEKDAYS, WEEKEND = 0b1111111, 0b0011111, 0b1100000
WORDS = {
    "daily": EVERY_DAY,
    "every day": EVERY_DAY,
    "weekdays": WEEKDAYS,
    "weekday": WEEKDAYS,
    "school days": WEEKDAYS,
    "weekend": WEEKEND,
    "weekends": WEEKEND,
}
BITS = re.compile(r"[01]{7}")
LETTERS = re.compile(r"[M\-_.][T\-_.][W\-_.][T\-_.][F\-_.][S\-_.][S\-_.]", re.IGNORECASE)
RANGE = re.compile(r"([a-z]+)\s*(?:-|–|to)\s*([a-z]+)")
CURE = mark("Write it like Mon-Fri, Mon,Wed,Fri, weekdays, daily or 1111100 (Monday first).")


def parse_service_days(text: str) -> int:
    """Return service days as weekday bits; raise CellError when no day or an unknown one is named."""
    plain = text.strip()
    if BITS.fullmatch(plain) or LETTERS.fullmatch(plain):
        bits = sum(1 << day for day, mark in enumerate(plain) if mark not in "0-_.")
        return _some(text, bits)
    bits = 0
    for part in re.split(r"[,;/+&|]|\band\b", plain.casefold()):
        bits |= _part(text, part.strip())
    return _some(text, bits)


def describe_service_days(bits: int) -> str:
    """Return weekday bits as schedule files have them: daily, Mon-Fri, Mon,Wed,Fri."""
    if bits == EVERY_DAY:
        return "daily"
    days = [day for day in range(7) if bits >> day & 1]
    if len(days) > 2 and days[-1] - days[0] == len(days) - 1:
        return f"{SHORT[days[0]]}-{SHORT[days[-1]]}"
    return ",".join(SHORT[day] for day in days)


def say_service_days(bits: int) -> str:
    """Return weekday bits in the language spoken now: daily, Mon-Fri, Mon,Wed,Fri."""
    if bits == EVERY_DAY:
        return tr("daily")
    days = [day for day in range(7) if bits >> day & 1]
    if len(days) > 2 and days[-1] - days[0] == len(days) - 1:
        return f"{weekday_words(days[0])}-{weekday_words(days[-1])}"
    return ",".join(map(weekday_words, days))


def weekday_bits(bits: int) -> str:
    """Return weekday bits as seven digits, Monday first."""
    return "".join(str(bits >> day & 1) for day in range(7))


def _part(text: str, part: str) -> int:
    if part in WORDS:
        return WORDS[part]
    if ends := RANGE.fullmatch(part):
        first, last = (_day(text, name) for name in ends.groups())
        length = (last - first) % 7 + 1
        return sum(1 << (first + offset) % 7 for offset in range(length))
    return sum(1 << day for day in {_day(text, name) for name in part.split()})


def _day(text: str, name: str) -> int:
    found = [day for day, full in enumerate(NAMES) if len(name) >= 2 and full.startswith(name)]
    if name in {"tues", "thur", "thurs"}:
        found = [1 if name == "tues" else 3]
    if len(found) != 1:
        raise CellError(
            tr(
                "“{text}” does not name service days: “{name}” is no day. {cure}",
                text=text,
                name=name,
                cure=tr(CURE),
            )
        )
    return found[0]


def _some(text: str, bits: int) -> int:
    if not bits:
        raise CellError(tr("“{text}” names no day. {cure}", text=text, cure=tr(CURE)))
    return bits
