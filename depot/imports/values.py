"""Text cells to numbers, percentages, times of day and yes or no, each with a sentence when it is none."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from typing import Literal

from depot.words import tr

MINUTES_PER_DAY = 1440
MAX_DAYS_AFTER = 2

DecimalMark = Literal[".", ",", "mixed", ""]


class CellError(ValueError):
    """A cell that cannot be read; the message quotes it and says how to write it."""


NUMBER_PARTS = re.compile(r"(?P<sign>[+-]?)(?P<body>\d[\d.,]*|[.,]\d+)")
GROUPING_SPACES = re.compile(r"(?<=\d)[ '’\u00a0\u202f](?=\d{3}(?!\d))")
CLOCK = re.compile(
    r"(?P<hour>\d{1,2}):(?P<minute>\d{2})(?::(?P<second>\d{2})(?:\.0+)?)?\s*"
    r"(?P<half>[ap]\.?m\.?)?\s*(?:\+(?P<days>\d))?",
    re.IGNORECASE,
)
FOUR_DIGITS = re.compile(r"(?P<hour>\d{2})(?P<minute>\d{2})")
DAY_FRACTION = re.compile(r"[0-2]?[.,]\d{3,}")
WORDS = {
    **dict.fromkeys(("yes", "y", "true", "1", "x", "on"), True),
    **dict.fromkeys(("no", "n", "false", "0", "", "off", "-"), False),
}


def decimal_mark(texts: Iterable[str]) -> DecimalMark:
    """Return the decimal mark that numbers prove: a point, a comma, both (`mixed`), or neither (empty)."""
    proofs = {_own_mark(text) for text in set(texts)} - {""}
    if len(proofs) > 1:
        return "mixed"
    return "," if "," in proofs else "." if "." in proofs else ""


def parse_number(text: str, mark: DecimalMark = "") -> float:
    """Return a number; `mark` (from `decimal_mark`) decides values like 1,234 that have two readings."""
    plain = GROUPING_SPACES.sub("", text.strip())
    parts = NUMBER_PARTS.fullmatch(plain)
    if parts is None:
        raise CellError(tr("“{text}” is not a number. Write only the number, like 12.5.", text=text))
    own = _own_mark(plain) or mark
    single_comma = "," in plain and "." not in plain
    if own == "mixed" or (own == "" and single_comma):
        whole = plain.replace(",", "").replace(".", "")
        raise CellError(
            tr(
                "“{text}” can be read in two ways. Write {whole} or {decimal}.",
                text=text,
                whole=whole,
                decimal=plain.replace(",", "."),
            )
        )
    decimal = own or "."
    thousands = "." if decimal == "," else ","
    groups, _, rest = parts["body"].partition(decimal)
    if not _grouped(groups, thousands) or not (rest.isdigit() or not rest):
        raise CellError(
            tr("“{text}” is not a number. Write it like 1234.5, without thousands marks.", text=text)
        )
    value = float(f"{parts['sign']}{groups.replace(thousands, '') or '0'}.{rest or '0'}")
    if not math.isfinite(value):
        raise CellError(tr("“{text}…” is too large for a number. Write it like 12.5.", text=text[:30]))
    return value


def percent_column(texts: Iterable[str], mark: DecimalMark = "") -> bool:
    """Tell whether a column's plain numbers are per cent: yes as soon as one is above 1."""
    for text in set(texts):
        try:
            if "%" not in text and parse_number(text, mark) > 1:
                return True
        except CellError:
            continue
    return False


def parse_fraction(text: str, in_percent: bool, mark: DecimalMark = "") -> float:
    """Return a share as 0..1, from “80 %”, or from 80 or 0.8 as the column has it (`percent_column`)."""
    body, sign, after = text.strip().partition("%")
    if after:
        raise CellError(tr("“{text}” is not a percentage. Write it like 80 %.", text=text))
    number = parse_number(body, mark)
    if not sign and in_percent and 0 < number <= 1:
        raise CellError(
            tr(
                "“{text}” can mean {number:g} % or {percent:g} %: other rows are in per cent. Write the %.",
                text=text,
                number=number,
                percent=number * 100,
            )
        )
    fraction = round(number / 100, 9) if sign or in_percent else number
    if not 0 <= fraction <= 1:
        raise CellError(tr("“{text}” is outside 0 to 100 %. Write it like 80 %.", text=text))
    return fraction


def parse_yes_no(text: str) -> bool:
    """Return yes or no; an empty cell is no."""
    try:
        return WORDS[text.strip().casefold()]
    except KeyError:
        raise CellError(tr("“{text}” is neither yes nor no. Write yes or no.", text=text)) from None


def parse_clock(text: str) -> int:
    """Return a time of a service day in minutes after its midnight.

    Understands 06:30, 6:30, 0630, 1:30 PM, times of the next day as 25:10 or 01:10+1, and a spreadsheet's
    fraction of a day (0.270833). Seconds must be zero.
    """
    plain = text.strip()
    if DAY_FRACTION.fullmatch(plain):
        return _day_fraction(plain)
    parts = CLOCK.fullmatch(plain) or FOUR_DIGITS.fullmatch(plain)
    if parts is None:
        raise CellError(
            tr(
                "“{text}” is not a time. Write it like 06:30, and times of the next day like 25:10 "
                "or 01:10+1.",
                text=text,
            )
        )
    found = parts.groupdict()
    hour, minute = int(found["hour"]), int(found["minute"])
    if minute > 59:
        raise CellError(
            tr("“{text}” is not a time: an hour has minutes 00 to 59. Write it like 06:30.", text=text)
        )
    if found.get("second") not in (None, "00"):
        raise CellError(
            tr(
                "“{text}” has seconds. Round it to a whole minute, like {hour:02}:{minute:02}.",
                text=text,
                hour=hour,
                minute=minute,
            )
        )
    if found.get("half"):
        hour = _hour_of_half_day(text, hour, found["half"])
    days = int(found.get("days") or 0)
    if days > MAX_DAYS_AFTER or (days and hour > 23):
        raise CellError(
            tr("“{text}” is too late. Write 01:10+1 or 25:10 for ten past one on the next day.", text=text)
        )
    if hour >= 24 * (MAX_DAYS_AFTER + 1) and (hour, minute) != (72, 0):
        raise CellError(tr("“{text}” is more than two days later. Write a time up to 72:00.", text=text))
    return (days * 24 + hour) * 60 + minute


def _hour_of_half_day(text: str, hour: int, half: str) -> int:
    if not 1 <= hour <= 12:
        raise CellError(
            tr(
                "“{text}” is not a time: with AM or PM the hour is 1 to 12. Write 13:30 or 1:30 PM.",
                text=text,
            )
        )
    return hour % 12 + (12 if half[0] in "pP" else 0)


def _day_fraction(text: str) -> int:
    minutes = float(text.replace(",", ".")) * MINUTES_PER_DAY
    if abs(minutes - round(minutes)) > 0.1:
        raise CellError(
            tr("“{text}” is no whole minute as a part of a day. Write the time like 06:30.", text=text)
        )
    return round(minutes)


def _own_mark(text: str) -> DecimalMark:
    """Return the decimal mark that a number proves by itself: 12,5 and 1.234,5 do, 1,234 does not."""
    marks = [character for character in text if character in ".,"]
    if not marks:
        return ""
    last = marks[-1]
    other: DecimalMark = "," if last == "." else "."
    if len(set(marks)) == 2:
        return "." if last == "." else ","
    if len(marks) > 1:
        return other
    before, after = text.split(last)
    digits = before.strip(" +-")
    if len(after.strip(" %")) == 3 and 1 <= len(digits) <= 3 and digits != "0":
        return ""
    return "." if last == "." else ","


def _grouped(text: str, mark: str) -> bool:
    """Tell whether thousands marks stand where they belong."""
    if mark not in text:
        return text.isdigit() or not text
    first, *others = text.split(mark)
    return first.isdigit() and len(first) <= 3 and all(len(part) == 3 and part.isdigit() for part in others)
