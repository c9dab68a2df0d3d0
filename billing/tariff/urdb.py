"""Read a tariff from OpenEI URDB JSON (https://openei.org/services/doc/rest/util_rates/).

URDB knows no time zone, no holidays and no rounding rule: the tariff has no zone, no holidays, and lines are
kept to a hundredth of a cent. Elements that the engine does not bill are named in `Tariff.unsupported`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from math import isfinite
from typing import Any

from billing.tariff.model import (
    METERING_MINUTES,
    WEEKDAYS,
    WEEKEND,
    DemandCharge,
    EnergyComponent,
    Export,
    ExportMethod,
    FixedCharge,
    FixedUnit,
    MinimumBill,
    Price,
    Season,
    Tariff,
    When,
)
from billing.tariff.problems import Problem, TariffError
from billing.tariff.schema import month_spans
from billing.tariff.urdb_fields import normalise

UNBOUNDED = Decimal("1e30")  # URDB writes 1e38 for "no upper limit"
LINE_DECIMALS = 4
MAX_LABEL = 70
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_FIXED_UNITS: dict[str, FixedUnit] = {"$/month": "month", "$/day": "day", "$/year": "year"}
_EXPORT_RULES: dict[str, ExportMethod] = {
    "net billing instantaneous": "prices",
    "net billing hourly": "net_billing_hourly",
    "net metering": "net_metering",
}

Hours = list[list[int]]


@dataclass(slots=True)
class _Reader:
    """Collect what is found while one record is read."""

    fields: dict[str, Any]
    problems: list[Problem]
    unsupported: list[str]
    notes: list[str]
    seasons: dict[str, Season] = field(default_factory=dict)

    def fault(self, place: str, message: str, cure: str) -> None:
        self.problems.append(Problem(place, message, cure))

    def refuse(self, name: str, what: str) -> None:
        self.unsupported.append(f"{name}: {what} is not supported.")

    def number(self, place: str, value: Any) -> Decimal:
        """Return a finite number; a fault gives 0, which is never billed because the fault is raised."""
        try:
            number = Decimal(str(value)) if not isinstance(value, bool) else Decimal("NaN")
        except ArithmeticError:
            number = Decimal("NaN")
        if number.is_finite():
            return number
        self.fault(place, f"{value!r} is not a number", "Write a number such as 0.123")
        return Decimal(0)

    def optional(self, name: str) -> Decimal:
        return self.number(name, self.fields[name]) if name in self.fields else Decimal(0)


def from_urdb(record: Mapping[str, Any]) -> Tariff:
    """Make a tariff from one URDB record in either spelling.

    Prices are `rate` + `adj` (currency per kWh or kW). Raises TariffError with every fault found: missing or
    misshapen schedules, a schedule naming a period without a row, rates missing or not numeric.
    """
    reader = _Reader(*normalise(record))
    energy = _energy(reader)
    demand = [*_flat_demand(reader), *_tou_demand(reader)]
    fixed, minimum = _fixed(reader), _minimum(reader)
    export = _export(reader)
    _refuse_the_rest(reader)
    valid_from, valid_to = _date(reader, "startdate"), _date(reader, "enddate")
    if reader.problems:
        raise TariffError(reader.problems)
    reactive = reader.optional("demandreactivepowercharge")
    return Tariff(
        name=str(reader.fields.get("name", "URDB tariff")),
        currency="USD",
        utility=str(reader.fields.get("utility", "")),
        source=str(reader.fields.get("source", reader.fields.get("uri", ""))),
        valid_from=valid_from,
        valid_to=valid_to,
        seasons=tuple(reader.seasons.values()),
        energy=energy,
        demand=tuple(demand),
        fixed=fixed,
        export=export,
        minimum=minimum,
        reactive_price_per_kvar=reactive or None,
        line_decimals=LINE_DECIMALS,
        unsupported=tuple(reader.unsupported),
        notes=tuple(reader.notes),
    )


def _energy(reader: _Reader) -> tuple[EnergyComponent, ...]:
    if "energyratestructure" not in reader.fields:
        reader.fault("energyratestructure", "it is missing", 'Give [[{"rate": 0}]] when energy is free')
        return ()
    used, schedules = _used_periods(
        reader, "energyratestructure", "energyweekdayschedule", "energyweekendschedule"
    )
    labels = reader.fields.get("energytoulabels")
    rows = []
    for period in used:
        tier = _one_tier(reader, "energyratestructure", period)
        _energy_unit(reader, period, tier)
        amount = _rate(reader, f"energyratestructure/{period}/0", tier, free_if="sell")
        rows.append(Price(f"p{period}", _label(labels, period), amount, _whens(reader, schedules, period)))
    return (EnergyComponent("urdb", "Energy", tuple(rows)),)


def _flat_demand(reader: _Reader) -> list[DemandCharge]:
    name = "flatdemandstructure"
    if name not in reader.fields:
        return []
    months = _month_periods(reader)
    _check_rows(reader, name, set(months), "flatdemandmonths")
    _demand_unit(reader, "flatdemandunit")
    rows = []
    for period in sorted(set(months)):
        tier = _one_tier(reader, name, period)
        amount = _rate(reader, f"{name}/{period}/0", tier)
        inside = [month for month in range(12) if months[month] == period]
        if amount:
            rows.append(Price(f"p{period}", _span_label(inside), amount, (When(_season(reader, inside)),)))
    return [DemandCharge("urdb", "Demand", tuple(rows), _metering(reader))] if rows else []


def _tou_demand(reader: _Reader) -> list[DemandCharge]:
    name = "demandratestructure"
    if name not in reader.fields:
        return []
    used, schedules = _used_periods(reader, name, "demandweekdayschedule", "demandweekendschedule")
    _demand_unit(reader, "demandrateunit")
    labels = reader.fields.get("demandtoulabels", reader.fields.get("demandlabels"))
    rows = []
    for period in used:
        amount = _rate(reader, f"{name}/{period}/0", _one_tier(reader, name, period))
        if amount:
            label = _label(labels, period, "Time-of-use demand")
            rows.append((period, label, amount, _whens(reader, schedules, period)))
    minutes = _metering(reader)
    return [
        DemandCharge(f"tou-p{period}", label, (Price(f"p{period}", "", amount, when),), minutes)
        for period, label, amount, when in rows
    ]


def _export(reader: _Reader) -> Export | None:
    rule = str(reader.fields.get("dgrules", "")).strip().lower()
    if rule == "buy all sell all":
        reader.refuse("dgrules", "Buy All Sell All")
        return None
    method = _EXPORT_RULES.get(rule, "prices") if rule else "prices"
    if rule and rule not in _EXPORT_RULES:
        reader.refuse("dgrules", f"the export rule '{reader.fields['dgrules']}'")
    if method != "prices":
        return Export(method)
    structure = reader.fields.get("energyratestructure")
    if not isinstance(structure, list) or reader.problems:
        return None
    used, schedules = _used_periods(
        reader, "energyratestructure", "energyweekdayschedule", "energyweekendschedule"
    )
    labels = reader.fields.get("energytoulabels")
    rows = []
    for period in used:
        sell = _one_tier(reader, "energyratestructure", period).get("sell")
        if sell is not None:
            amount = reader.number(f"energyratestructure/{period}/0/sell", sell)
            rows.append(
                Price(f"p{period}", _label(labels, period), amount, _whens(reader, schedules, period))
            )
    return Export("prices", tuple(rows)) if any(row.amount for row in rows) else None


def _fixed(reader: _Reader) -> tuple[FixedCharge, ...]:
    first, old = reader.optional("fixedchargefirstmeter"), reader.optional("fixedmonthlycharge")
    unit = str(reader.fields.get("fixedchargeunits", "$/month"))
    if reader.optional("fixedchargeeaaddl"):
        reader.notes.append("The charge for each additional meter was not billed: the load is one meter.")
    if first and old and (first != old or unit != "$/month"):
        cure = "Keep the one that is meant"
        reader.fault(
            "fixedmonthlycharge", f"{old} a month differs from fixedchargefirstmeter {first} {unit}", cure
        )
    amount = first or old
    if not amount:
        return ()
    if first and unit not in _FIXED_UNITS:
        reader.refuse("fixedchargeunits", f"the unit '{unit}'")
    per = _FIXED_UNITS.get(unit, "month") if first else "month"
    return (FixedCharge("urdb", "Customer charge", amount, per),)


def _minimum(reader: _Reader) -> MinimumBill | None:
    amount, unit = reader.optional("mincharge"), str(reader.fields.get("minchargeunits", "$/month"))
    if reader.optional("annualmincharge") or (amount and unit == "$/year"):
        reader.refuse("annualmincharge", "a minimum bill per year")
        return None
    if not amount:
        return None
    if unit not in ("$/month", "$/day"):
        reader.refuse("minchargeunits", f"the unit '{unit}'")
    return MinimumBill(amount, "day" if unit == "$/day" else "month")


def _refuse_the_rest(reader: _Reader) -> None:
    ratchets = ("demandratchetpercentage", "lookbackpercent")
    for name in ratchets:
        if _any_amount(reader.fields.get(name)):
            reader.refuse(name, "a demand ratchet (look-back)")
    if _any_amount(reader.fields.get("coincidentratestructure")):
        reader.refuse("coincidentratestructure", "a coincident-peak charge")


def _any_amount(value: Any) -> bool:
    """Tell whether any number other than 0 stands in a nested value (tier limits aside)."""
    if isinstance(value, Mapping):
        return any(_any_amount(inner) for key, inner in value.items() if key in ("rate", "adj"))
    if isinstance(value, list):
        return any(map(_any_amount, value))
    return isinstance(value, int | float) and bool(value)


def _used_periods(
    reader: _Reader, structure: str, weekday: str, weekend: str
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
            reader.fault(name, "it is missing", f"Give 12 lists of 24 period numbers for {structure}")
            found.append([])
    used = {period for schedule in found for month in schedule for period in month}
    _check_rows(reader, structure, used, f"{weekday} or {weekend}")
    known = range(len(rows)) if isinstance(rows, list) else range(0)
    return sorted(used & set(known)), (found[0], found[1])


def _check_rows(reader: _Reader, structure: str, used: set[int], where: str) -> None:
    rows = reader.fields[structure]
    if not isinstance(rows, list) or not all(isinstance(row, list) and row for row in rows):
        reader.fault(structure, "it is not a list of lists of tiers", 'Write [[{"rate": 0.1}], ...]')
        reader.fields[structure] = []
        return
    for period in sorted(used - set(range(len(rows)))):
        message = f"{where} names period {period}, but there are {len(rows)} rows (0 to {len(rows) - 1})"
        reader.fault(structure, message, "Add the row or correct the schedule")


def _schedule(reader: _Reader, name: str) -> Hours:
    value = reader.fields[name]
    shaped = isinstance(value, list) and len(value) == 12
    if not shaped or not all(isinstance(month, list) and len(month) == 24 for month in value):
        reader.fault(name, "it is not 12 months of 24 hours", "Give 12 lists of 24 period numbers")
        return []
    return [
        [_period(reader, f"{name}/{m}/{h}", cell) for h, cell in enumerate(row)]
        for m, row in enumerate(value)
    ]


def _month_periods(reader: _Reader) -> list[int]:
    value = reader.fields.get("flatdemandmonths", [0] * 12)
    if not isinstance(value, list) or len(value) != 12:
        reader.fault("flatdemandmonths", "it is not 12 months", "Give 12 period numbers")
        return []
    return [_period(reader, f"flatdemandmonths/{month}", cell) for month, cell in enumerate(value)]


def _period(reader: _Reader, place: str, cell: Any) -> int:
    whole = (
        isinstance(cell, int | float) and not isinstance(cell, bool) and isfinite(cell) and cell == int(cell)
    )
    if not whole or cell < 0:
        reader.fault(place, f"{cell!r} is not a period number", "Write a whole number of 0 or more")
        return 0
    return int(cell)


def _one_tier(reader: _Reader, structure: str, period: int) -> Mapping[str, Any]:
    """Return the only tier of a period; several tiers are refused unless all cost the same."""
    rows = reader.fields[structure]
    tiers = rows[period] if period < len(rows) else [{"rate": 0}]
    place = f"{structure}/{period}"
    if not all(isinstance(tier, Mapping) for tier in tiers):
        reader.fault(place, "a tier is not an object", 'Write {"rate": 0.1}')
        return {"rate": 0}
    first: Mapping[str, Any] = tiers[0]
    if len({tuple(str(tier.get(key, 0)) for key in ("rate", "adj", "sell")) for tier in tiers}) > 1:
        message = f"{structure}/{period}: a price in {len(tiers)} tiers"
        if not any(text.startswith(message) for text in reader.unsupported):
            reader.unsupported.append(f"{message} is not supported.")
    limit = tiers[-1].get("max")
    if limit is not None and reader.number(f"{place}/max", limit) < UNBOUNDED and len(tiers) == 1:
        reader.fault(f"{place}/0/max", f"nothing is priced above {limit}", "Remove max from the last tier")
    return first


def _rate(reader: _Reader, place: str, tier: Mapping[str, Any], free_if: str = "") -> Decimal:
    if tier.get("rate") is None and tier.get("adj") is None:
        if tier.get(free_if) is None:
            reader.fault(place, "it has no rate", 'Write "rate": 0 when it is free')
        return Decimal(0)
    parts = [tier[key] for key in ("rate", "adj") if tier.get(key) is not None]
    return sum((reader.number(f"{place}/rate", part) for part in parts), Decimal(0))


def _energy_unit(reader: _Reader, period: int, tier: Mapping[str, Any]) -> None:
    unit = str(tier.get("unit") or "kWh")
    if unit.lower() not in ("kwh", "kwh daily", "kwh/kw", "kwh/kw daily"):
        reader.refuse(f"energyratestructure/{period}/0/unit", f"the unit '{unit}'")


def _demand_unit(reader: _Reader, name: str) -> None:
    unit = str(reader.fields.get(name) or reader.fields.get("demandunits") or "kW")
    if unit.lower() != "kw":
        reader.refuse(name, f"the demand unit '{unit}'")


def _metering(reader: _Reader) -> int:
    minutes = reader.number("demandwindow", reader.fields.get("demandwindow", 15))
    if minutes not in METERING_MINUTES:
        reader.refuse("demandwindow", f"a metering interval of {minutes} minutes")
        return 15
    return int(minutes)


def _whens(reader: _Reader, schedules: tuple[Hours, Hours], period: int) -> tuple[When, ...]:
    """Turn two 12 x 24 schedules into conditions, months with the same hours joined."""
    found = []
    for schedule, days in zip(schedules, (WEEKDAYS, WEEKEND), strict=True):
        by_hours: dict[tuple[tuple[int, int], ...], list[int]] = {}
        for month, hours in enumerate(schedule):
            spans = _spans([cell == period for cell in hours])
            if spans:
                by_hours.setdefault(spans, []).append(month)
        found += [When(_season(reader, months), days, spans) for spans, months in by_hours.items()]
    return tuple(found)


def _spans(held: list[bool]) -> tuple[tuple[int, int], ...]:
    edges = [hour for hour in range(25) if (held[hour - 1] if hour else False) != (hour < 24 and held[hour])]
    return tuple((first * 60, last * 60) for first, last in zip(edges[::2], edges[1::2], strict=True))


def _season(reader: _Reader, months: list[int]) -> tuple[str, ...]:
    """Name the months (0-based) as a season of the tariff; all of them need none."""
    if len(months) == 12:
        return ()
    label = _span_label(months)
    season = Season(label.lower().replace(", ", "_"), label, month_spans(month + 1 for month in months))
    reader.seasons[season.id] = season
    return (season.id,)


def _span_label(months: list[int]) -> str:
    if len(months) == 12:
        return ""
    runs: list[list[int]] = []
    for month in months:
        if runs and runs[-1][-1] == month - 1:
            runs[-1].append(month)
        else:
            runs.append([month])
    return ", ".join("-".join(dict.fromkeys((MONTHS[run[0]], MONTHS[run[-1]]))) for run in runs)


def _label(labels: Any, period: int, name: str = "Period") -> str:
    if isinstance(labels, list) and period < len(labels) and labels[period]:
        return str(labels[period])[:MAX_LABEL]
    return f"{name} {period}"


def _date(reader: _Reader, name: str) -> date | None:
    value = reader.fields.get(name)
    value = value.get("$date") if isinstance(value, Mapping) else value
    if value is None:
        return None
    try:
        if isinstance(value, int | float):
            return datetime.fromtimestamp(value if value < 1e11 else value / 1000, UTC).date()
        return datetime.fromisoformat(str(value)).date()
    except (ValueError, OverflowError, OSError):
        reader.fault(name, f"{value!r} is not a date", "Write seconds since 1970 or an ISO date")
        return None
