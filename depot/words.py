"""Say sentences, numbers and days in the language of who reads them. PURE: the pure rooms speak, too.

A sentence stands in the code in English, as a pattern: `tr("{count} of {all} chargers are connected", count=3, all=5)`.
Its translation is looked up in depot/locale, where Django's templates find theirs. What is stored (a plan's notes, an
alert, a bill's lines) is said once, in its depot's language; what is made for a page, in that of its reader. Commands,
the API and files for programs speak English.
"""

from __future__ import annotations

import gettext
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import date, datetime
from functools import cache
from numbers import Number
from pathlib import Path
from string import Formatter
from typing import Any

ENGLISH = "en"
LANGUAGES = {ENGLISH: "English", "de": "Deutsch"}
"""By code, each by its own name."""
COMMA = frozenset({"de"})
"""Languages that write 1.234,5."""
DOTTED_DAY = frozenset({"de"})
"""Languages that write the 24th as "24."."""
LOCALE = Path(__file__).parent / "locale"

_spoken: ContextVar[str] = ContextVar("spoken", default=ENGLISH)
_SWAP = str.maketrans(",.", ".,")


@contextmanager
def speaking(language: str) -> Iterator[None]:
    """Say what is said inside in a language; in English where it is none of `LANGUAGES`."""
    token = _spoken.set(language if language in LANGUAGES else ENGLISH)
    try:
        yield
    finally:
        _spoken.reset(token)


def spoken() -> str:
    """Return the code of the language that is spoken now."""
    return _spoken.get()


def tr(sentence: str, /, **values: Any) -> str:
    """Return a sentence in the language spoken now, its {names} filled in, numbers written as that language does."""
    said = _catalogue(spoken()).gettext(sentence)
    return _filled(said, values) if values else said


def trn(one: str, many: str, count: int, /, **values: Any) -> str:
    """Return the sentence for a count, which fills {count}, in the language spoken now."""
    return _filled(_catalogue(spoken()).ngettext(one, many, count), {"count": count, **values})


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence that is said later, in the language spoken then: `str()` says it."""

    pattern: str
    values: Mapping[str, Any]

    def __str__(self) -> str:
        return tr(self.pattern, **self.values)


def later(sentence: str, /, **values: Any) -> Sentence:
    """Return a sentence to be said later, such as in the depot's language and not in its reader's."""
    return Sentence(sentence, values)


def mark(sentence: str) -> str:
    """Return a sentence unchanged; `tr` says it later. This only lets it be found for translation."""
    return sentence


def figures(written: str) -> str:
    """Return a number written in the English way (1,234.5) as the language spoken now writes it."""
    return written.translate(_SWAP) if spoken() in COMMA else written


def listed(parts: Iterable[str]) -> str:
    """Join parts by the word for and: winter and summer."""
    return tr(" and ").join(parts)


def sign_follows() -> bool:
    """Tell whether a currency's sign stands behind the amount in the language spoken now: 3,00 €."""
    return spoken() in COMMA


def day_words(day: date) -> str:
    """Write a day: Tue 24 Nov, or Di 24. Nov."""
    return f"{weekday_words(day.weekday())} {day_month(day)}"


def day_month(day: date) -> str:
    """Write a day without its weekday: 24 Nov, or 24. Nov."""
    dot = "." if spoken() in DOTTED_DAY else ""
    return f"{day.day}{dot} {month_words(day.month)}"


def weekday_time(local: datetime) -> str:
    """Write a local moment of this week: Tue 06:10, Di 06:10."""
    return f"{weekday_words(local.weekday())} {local:%H:%M}"


def weekday_words(weekday: int) -> str:
    """Return the short name of a weekday, Monday is 0."""
    return tr("Mon Tue Wed Thu Fri Sat Sun").split()[weekday]


def weekday_name(weekday: int) -> str:
    """Return the whole name of a weekday, Monday is 0."""
    return tr("Monday Tuesday Wednesday Thursday Friday Saturday Sunday").split()[weekday]


def month_words(month: int) -> str:
    """Return the short name of a month, January is 1."""
    return tr("Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec").split()[month - 1]


def month_name(month: int) -> str:
    """Return the whole name of a month, January is 1."""
    names = tr("January February March April May June July August September October November December")
    return names.split()[month - 1]


def month_year(day: date) -> str:
    """Write the month of a day: November 2026."""
    return f"{month_name(day.month)} {day.year}"


class _Spoken(Formatter):
    """Fill in a pattern with its numbers, days and months as the language spoken now has them."""

    def format_field(self, value: Any, format_spec: str) -> Any:
        if isinstance(value, date):
            return format(value, _with_names(format_spec, value))
        written = format(value, format_spec)
        return figures(written) if isinstance(value, Number) else written


def _with_names(format_spec: str, day: date) -> str:
    """Put the names of a day and its month into a format of strftime."""
    names = {"%A": weekday_name, "%a": weekday_words}
    for code, name in names.items():
        format_spec = format_spec.replace(code, name(day.weekday()))
    return format_spec.replace("%B", month_name(day.month)).replace("%b", month_words(day.month))


def _filled(pattern: str, values: Mapping[str, Any]) -> str:
    return pattern.format(**values) if spoken() == ENGLISH else _Spoken().vformat(pattern, (), values)


@cache
def _catalogue(language: str) -> gettext.NullTranslations:
    if language == ENGLISH:
        return gettext.NullTranslations()
    return gettext.translation("django", LOCALE, [language])
