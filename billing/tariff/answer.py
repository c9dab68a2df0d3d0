"""Answer `manage.py bill`: two texts in; a bill, sentences about faults, an exit code out."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import tzinfo

from billing.tariff.bill import bill
from billing.tariff.load_csv import read_load
from billing.tariff.problems import InputError
from billing.tariff.read import read_tariff
from billing.tariff.result import BillLine, BillPeriod, BillResult
from depot.money import format_money

DONE, WRONG_INPUT = 0, 1


@dataclass(frozen=True, slots=True)
class Answer:
    """Hold what the command prints: bill (None when an input cannot be read), faults, exit code."""

    result: BillResult | None
    errors: tuple[str, ...]
    exit_code: int


def bill_texts(
    tariff_text: str,
    load_text: str,
    *,
    tariff_file: str = "tariff",
    load_file: str = "load",
    time_zone: tzinfo | None = None,
) -> Answer:
    """Bill a load (CSV text) with a tariff (JSON text); faults of both files are told at once."""
    errors: list[str] = []
    tariff = load = None
    try:
        tariff = read_tariff(tariff_text)
    except InputError as error:
        errors += [f"{tariff_file}: {sentence}" for sentence in error.problems]
    try:
        load = read_load(load_text, file=load_file, zone=time_zone)
    except InputError as error:
        errors += error.problems
    if tariff is None or load is None:
        return Answer(None, tuple(errors), WRONG_INPUT)
    try:
        result = bill(tariff, load, time_zone=time_zone)
    except InputError as error:
        return Answer(None, tuple(f"{load_file}: {sentence}" for sentence in error.problems), WRONG_INPUT)
    refused = tuple(
        f"{tariff_file}: {element} Bill it with a tariff without it." for element in result.unsupported
    )
    return Answer(result, refused, WRONG_INPUT if refused else DONE)


def table(result: BillResult) -> str:
    """Write a bill for people: one block per billing period, money rounded to the currency's minor unit."""
    rows: list[str] = []
    for period in result.periods:
        rows += _period_rows(result, period)
    if result.total is not None:
        rows.append(f"Total {format_money(result.total, result.currency)} ({result.time_zone})")
    rows += [f"Warning: {warning}" for warning in result.warnings]
    return "\n".join(rows)


def _period_rows(result: BillResult, period: BillPeriod) -> list[str]:
    title = f"{period.start_at:%Y-%m-%d} to {period.end_at:%Y-%m-%d}"
    lines = [_line_row(result, line) for line in period.lines]
    total = f"{'':2}{'Total':78}{format_money(period.total, result.currency):>16}"
    return [title, *lines, total, ""]


def _line_row(result: BillResult, line: BillLine) -> str:
    amount = format_money(line.amount, result.currency)
    return f"{'':2}{line.label[:44]:46}{line.quantity:>14,} {line.unit:<6}{line.rate:>11} {amount:>15}"
