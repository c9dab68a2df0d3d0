"""Answer `manage.py bill`: texts in; a bill, sentences about faults, an exit code out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, tzinfo
from typing import Any, TypeVar

from billing.tariff.bill import bill
from billing.tariff.carried import NOTHING, read_carried
from billing.tariff.compare import Compared, compare
from billing.tariff.history import read_history
from billing.tariff.load import LoadSeries
from billing.tariff.load_csv import read_load
from billing.tariff.model import Tariff
from billing.tariff.problems import InputError
from billing.tariff.read import read_tariff
from billing.tariff.result import BillLine, BillPeriod, BillResult
from depot.money import format_money
from depot.words import tr

DONE, WRONG_INPUT = 0, 1
Read = TypeVar("Read")


@dataclass(frozen=True, slots=True)
class Source:
    """One input: the name to call it by, and its text."""

    name: str
    text: str


@dataclass(frozen=True, slots=True)
class Question:
    """What to bill beside the first tariff: later versions, others to compare, earlier peaks, cycles, carry-over."""

    then: tuple[Source, ...] = ()
    compare: tuple[Source, ...] = ()
    history: Source | None = None
    cycle_starts: tuple[date, ...] = ()
    carried: Source | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """Hold what the command prints: bill (None when an input cannot be read), faults, exit code."""

    result: BillResult | None
    errors: tuple[str, ...]
    exit_code: int
    compared: tuple[Compared, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """Return the document of `manage.py bill --json`; `comparison` when tariffs were compared."""
        document = self.result.as_json() if self.result else {}
        if self.compared:
            document["comparison"] = [one.as_json() for one in self.compared]
        return document


def bill_texts(
    tariff_text: str,
    load_text: str,
    *,
    tariff_file: str = "tariff",
    load_file: str = "load",
    time_zone: tzinfo | None = None,
    question: Question | None = None,
) -> Answer:
    """Bill a load (CSV text) with a tariff (JSON or YAML text); faults of all files are told at once."""
    asked, errors = question or Question(), list[str]()
    sources = (Source(tariff_file, tariff_text), *asked.then)
    versions = [_tariff(source, errors) for source in sources]
    others = [_tariff(source, errors) for source in asked.compare]
    load = _read(lambda: read_load(load_text, file=load_file, zone=time_zone), "", errors)
    earlier = asked.history
    peaks = None
    if earlier is not None:
        peaks = _read(lambda: read_history(earlier.text, earlier.name), "", errors)
    before, carried = asked.carried, NOTHING
    if before is not None:
        carried = _read(lambda: read_carried(before.text, before.name), "", errors) or NOTHING
    if errors or load is None:
        return Answer(None, tuple(errors), WRONG_INPUT)
    tariffs = [version for version in versions if version is not None]
    given: dict[str, Any] = {"time_zone": time_zone, "history": peaks, "carried": carried}
    given["cycle_starts"] = asked.cycle_starts or None
    try:
        result = bill(tariffs if len(tariffs) > 1 else tariffs[0], load, **given)
    except InputError as error:
        return Answer(None, tuple(f"{load_file}: {sentence}" for sentence in error.problems), WRONG_INPUT)
    refused = tuple(
        tr(
            "{tariff_file}: {element} Bill it with a tariff without it.",
            tariff_file=tariff_file,
            element=element,
        )
        for element in result.unsupported
    )
    compared = _compared(others, tariffs, load, given)
    return Answer(result, refused, WRONG_INPUT if refused else DONE, compared)


def _compared(
    others: Sequence[Tariff | None], tariffs: list[Tariff], load: LoadSeries, given: dict[str, Any]
) -> tuple[Compared, ...]:
    if not others:
        return ()
    return tuple(compare([tariffs, *([other] for other in others if other is not None)], load, **given))


def _tariff(source: Source, errors: list[str]) -> Tariff | None:
    return _read(lambda: read_tariff(source.text), f"{source.name}: ", errors)


def _read(read: Callable[[], Read], prefix: str, errors: list[str]) -> Read | None:
    try:
        return read()
    except InputError as error:
        errors += [f"{prefix}{sentence}" for sentence in error.problems]
        return None


def table(answer: Answer) -> str:
    """Write a bill for people: one block per billing period, money rounded to the currency's minor unit."""
    result = answer.result
    if result is None:
        return ""
    rows: list[str] = []
    for period in result.periods:
        rows += _period_rows(result, period)
    if result.total is not None:
        rows.append(
            tr(
                "Total {total} ({time_zone})",
                total=format_money(result.total, result.currency),
                time_zone=result.time_zone,
            )
        )
    rows += [tr("Warning: {warning}", warning=warning) for warning in result.warnings]
    rows += [_compared_row(one) for one in answer.compared]
    return "\n".join(rows)


def _compared_row(one: Compared) -> str:
    if one.total is None:
        return tr(
            "Compared: {name} cannot bill it: {problems}",
            name=one.tariff.name,
            problems=" ".join(one.problems),
        )
    return tr(
        "Compared: {name:60} {total:>16}",
        name=one.tariff.name[:60],
        total=format_money(one.total, one.tariff.currency),
    )


def _period_rows(result: BillResult, period: BillPeriod) -> list[str]:
    title = tr("{start_at:%Y-%m-%d} to {end_at:%Y-%m-%d}", start_at=period.start_at, end_at=period.end_at)
    lines = [_line_row(result, line) for line in period.lines]
    total = f"{'':2}{'Total':78}{format_money(period.total, result.currency):>16}"
    return [title, *lines, total, ""]


def _line_row(result: BillResult, line: BillLine) -> str:
    amount = format_money(line.amount, result.currency)
    return f"{'':2}{line.label[:44]:46}{line.quantity:>14,} {line.unit:<6}{line.rate:>11} {amount:>15}"
