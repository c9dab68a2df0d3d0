"""Read the parts of a URDB record: periods, schedules, tiers, numbers; collect what is wrong with them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from billing.tariff.model import WEEKDAYS, WEEKEND, Season, Tier, When
from billing.tariff.problems import Problem
from billing.tariff.schema import month_spans
from depot.words import tr

UNBOUNDED = Decimal("1e30")  # URDB writes 1e38 for "no upper limit"
MAX_LABEL = 70
MAX_NUMBER = Decimal("1e9")  # no price is higher; Decimal could not hold amounts of 1e38 to the cent
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")

MAX_PERIODS = 1000

Hours = list[list[int]]


@dataclass(slots=True)
class Reader:
    """Collect what is found while one record is read."""

    fields: dict[str, Any]
    problems: list[Problem]
    unsupported: list[str]
    notes: list[str]
    seasons: dict[str, Season] = field(default_factory=dict)

    def fault(self, place: str, message: str, cure: str) -> None:
        self.problems.append(Problem(place, message, cure))

    def refuse(self, name: str, what: str) -> None:
        self.unsupported.append(tr("{name}: {what} is not supported.", name=name, what=what))

    def number(self, place: str, value: Any) -> Decimal:
        """Return a finite number; a fault gives 0, which is never billed because the fault is raised."""
        try:
            number = Decimal(str(value)) if not isinstance(value, bool) else Decimal("NaN")
        except ArithmeticError:
            number = Decimal("NaN")
        if number.is_finite() and (abs(number) <= MAX_NUMBER or place.endswith("/max")):
            return number
        self.fault(place, tr("{value!r} is not a number", value=value), tr("Write a number such as 0.123"))
        return Decimal(0)

    def optional(self, name: str) -> Decimal:
        return self.number(name, self.fields[name]) if name in self.fields else Decimal(0)


def tiers_of(reader: Reader, structure: str, period: int, free_if: str = "") -> tuple[Tier, ...]:
    """Return the tiers of a period (price = rate + adj); tiers of one price are one."""
    rows = reader.fields[structure]
    tiers = rows[period] if period < len(rows) else [{"rate": 0}]
    place = f"{structure}/{period}"
    if not all(isinstance(tier, Mapping) for tier in tiers):
        reader.fault(place, tr("a tier is not an object"), tr('Write {"rate": 0.1}'))
        return (Tier(None, Decimal(0)),)
    found = []
    for number, tier in enumerate(tiers):
        limit = tier.get("max")
        upper = None if limit is None else reader.number(f"{place}/{number}/max", limit)
        upper = None if upper is not None and upper >= UNBOUNDED else upper
        found.append(Tier(upper, rate_of(reader, f"{place}/{number}", tier, free_if)))
    _check_limits(reader, place, found)
    return (Tier(None, found[0].amount),) if len({tier.amount for tier in found}) == 1 else tuple(found)


def _check_limits(reader: Reader, place: str, tiers: list[Tier]) -> None:
    last = len(tiers) - 1
    lower = Decimal(0)
    for number, tier in enumerate(tiers):
        if tier.up_to is None and number < last:
            reader.fault(
                f"{place}/{number}/max",
                tr("it is missing"),
                tr("Give the upper limit of each tier but the last"),
            )
        elif tier.up_to is not None and number == last:
            message = tr("nothing is priced above {up_to}", up_to=tier.up_to)
            reader.fault(f"{place}/{number}/max", message, tr("Remove max from the last tier"))
        elif tier.up_to is not None and tier.up_to <= lower:
            message = tr("{up_to} is not above the tier before", up_to=tier.up_to)
            reader.fault(f"{place}/{number}/max", message, tr("Let the limits of tiers rise"))
        lower = tier.up_to or lower


def raw_tiers(reader: Reader, structure: str, period: int) -> list[Mapping[str, Any]]:
    """Return a period's tiers as they were written; what is no object is left out."""
    rows = reader.fields[structure]
    tiers = rows[period] if period < len(rows) else []
    return [tier for tier in tiers if isinstance(tier, Mapping)]


def rate_of(reader: Reader, place: str, tier: Mapping[str, Any], free_if: str = "") -> Decimal:
    if tier.get("rate") is None and tier.get("adj") is None:
        if tier.get(free_if) is None:
            reader.fault(place, tr("it has no rate"), tr('Write "rate": 0 when it is free'))
        return Decimal(0)
    parts = [tier[key] for key in ("rate", "adj") if tier.get(key) is not None]
    return sum((reader.number(f"{place}/rate", part) for part in parts), Decimal(0))


def used_periods(
    reader: Reader, structure: str, weekday: str, weekend: str
) -> tuple[list[int], tuple[Hours, Hours]]:
    """Return the periods that the schedules use (each with a row) and the two schedules."""
    rows = reader.fields[structure]
    single = isinstance(rows, list) and len(rows) == 1
    found = []
    for name in (weekday, weekend):
        if name in reader.fields:
            found.append(_schedule(reader, name))
        elif single:
            found.append([[0] * 24 for _ in range(12)])
        else:
            reader.fault(
                name,
                tr("it is missing"),
                tr("Give 12 lists of 24 period numbers for {structure}", structure=structure),
            )
            found.append([])
    used = {period for schedule in found for month in schedule for period in month}
    check_rows(reader, structure, used, tr("{weekday} or {weekend}", weekday=weekday, weekend=weekend))
    known = range(len(rows)) if isinstance(rows, list) else range(0)
    return sorted(used & set(known)), (found[0], found[1])


def check_rows(reader: Reader, structure: str, used: set[int], where: str) -> None:
    rows = reader.fields[structure]
    if not isinstance(rows, list) or not all(isinstance(row, list) and row for row in rows):
        reader.fault(structure, tr("it is not a list of lists of tiers"), tr('Write [[{"rate": 0.1}], ...]'))
        reader.fields[structure] = []
        return
    for period in sorted(used - set(range(len(rows)))):
        message = tr(
            "{where} names period {period}, but there are {rows} rows (0 to {last})",
            where=where,
            period=period,
            rows=len(rows),
            last=len(rows) - 1,
        )
        reader.fault(structure, message, tr("Add the row or correct the schedule"))


def _schedule(reader: Reader, name: str) -> Hours:
    value = reader.fields[name]
    shaped = isinstance(value, list) and len(value) == 12
    if not shaped or not all(isinstance(month, list) and len(month) == 24 for month in value):
        reader.fault(name, tr("it is not 12 months of 24 hours"), tr("Give 12 lists of 24 period numbers"))
        return []
    return [
        [_period(reader, f"{name}/{m}/{h}", cell) for h, cell in enumerate(row)]
        for m, row in enumerate(value)
    ]


def month_periods(reader: Reader) -> list[int]:
    value = reader.fields.get("flatdemandmonths", [0] * 12)
    if not isinstance(value, list) or len(value) != 12:
        reader.fault("flatdemandmonths", tr("it is not 12 months"), tr("Give 12 period numbers"))
        return []
    return [_period(reader, f"flatdemandmonths/{month}", cell) for month, cell in enumerate(value)]


def _period(reader: Reader, place: str, cell: Any) -> int:
    whole = isinstance(cell, int | float) and not isinstance(cell, bool) and 0 <= cell < MAX_PERIODS
    whole = whole and cell == int(cell)
    if not whole:
        reader.fault(
            place, tr("{cell!r} is not a period number", cell=cell), tr("Write a whole number of 0 or more")
        )
        return 0
    return int(cell)


def whens(reader: Reader, schedules: tuple[Hours, Hours], period: int) -> tuple[When, ...]:
    """Turn two 12 x 24 schedules into conditions, months with the same hours joined."""
    found = []
    for schedule, days in zip(schedules, (WEEKDAYS, WEEKEND), strict=True):
        by_hours: dict[tuple[tuple[int, int], ...], list[int]] = {}
        for month, hours in enumerate(schedule):
            spans = _spans([cell == period for cell in hours])
            if spans:
                by_hours.setdefault(spans, []).append(month)
        found += [When(season(reader, months), days, spans) for spans, months in by_hours.items()]
    return tuple(found)


def _spans(held: list[bool]) -> tuple[tuple[int, int], ...]:
    edges = [hour for hour in range(25) if (held[hour - 1] if hour else False) != (hour < 24 and held[hour])]
    return tuple((first * 60, last * 60) for first, last in zip(edges[::2], edges[1::2], strict=True))


def season(reader: Reader, months: list[int]) -> tuple[str, ...]:
    """Name the months (0-based) as a season of the tariff; all of them need none."""
    if len(months) == 12:
        return ()
    label = span_label(months)
    season = Season(label.lower().replace(", ", "_"), label, month_spans(month + 1 for month in months))
    reader.seasons[season.id] = season
    return (season.id,)


def span_label(months: list[int]) -> str:
    if len(months) == 12:
        return ""
    runs: list[list[int]] = []
    for month in months:
        if runs and runs[-1][-1] == month - 1:
            runs[-1].append(month)
        else:
            runs.append([month])
    return ", ".join("-".join(dict.fromkeys((MONTHS[run[0]], MONTHS[run[-1]]))) for run in runs)


def label(labels: Any, period: int, name: str = "Period") -> str:
    if isinstance(labels, list) and period < len(labels) and labels[period]:
        return str(labels[period])[:MAX_LABEL]
    return f"{name} {period}"
