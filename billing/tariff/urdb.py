"""Read a tariff from OpenEI URDB JSON (https://openei.org/services/doc/rest/util_rates/).

URDB knows no time zone, no holidays and no rounding rule: the tariff has no zone, no holidays, and lines are
kept to a hundredth of a cent, quantities to a millionth. Elements that the engine does not bill are named in
`Tariff.unsupported`.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import Any

from billing.tariff.model import (
    METERING_MINUTES,
    DemandCharge,
    DemandUnit,
    EnergyComponent,
    Export,
    ExportMethod,
    FixedCharge,
    FixedUnit,
    MinimumBill,
    Price,
    Ratchet,
    Reactive,
    Tariff,
    Tier,
    TierBasis,
    When,
)
from billing.tariff.problems import TariffError
from billing.tariff.urdb_fields import normalise
from billing.tariff.urdb_read import (
    Reader,
    check_rows,
    label,
    month_periods,
    raw_tiers,
    season,
    span_label,
    tiers_of,
    used_periods,
    whens,
)
from depot.words import tr

LINE_DECIMALS, QUANTITY_DECIMALS = 4, 6
LOOK_BACK_MONTHS = 11
_FIXED_UNITS: dict[str, FixedUnit] = {"$/month": "month", "$/day": "day", "$/year": "year"}
_TIER_UNITS: dict[str, TierBasis] = {
    "kwh": "kwh",
    "kwh daily": "kwh_per_day",
    "kwh/kw": "kwh_per_kw",
    "kwh/kw daily": "kwh_per_kw_per_day",
}
_DEMAND_UNITS: dict[str, tuple[DemandUnit, FixedUnit]] = {
    "kw": ("kW", "month"),
    "kva": ("kVA", "month"),
    "kw daily": ("kW", "day"),
    "kva daily": ("kVA", "day"),
}
_EXPORT_RULES: dict[str, ExportMethod] = {
    "net billing instantaneous": "prices",
    "net billing hourly": "net_billing_hourly",
    "net metering": "net_metering",
    "buy all sell all": "buy_all_sell_all",
}
_ENERGY = "energyratestructure"
_ENERGY_FIELDS = (_ENERGY, "energyweekdayschedule", "energyweekendschedule")
_DEMAND_FIELDS = ("demandratestructure", "demandweekdayschedule", "demandweekendschedule")


def from_urdb(record: Mapping[str, Any]) -> Tariff:
    """Make a tariff from one URDB record in either spelling.

    Prices are `rate` + `adj` (currency per kWh or kW). Raises TariffError with every fault found: missing or
    misshapen schedules, a schedule naming a period without a row, rates missing or not numeric.
    """
    reader = Reader(*normalise(record))
    ratchet = _ratchet(reader)
    flat = _flat_demand(reader, ratchet)
    energy = _energy(reader, flat)
    demand = [*flat, *_tou_demand(reader, ratchet)]
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
        reactive=Reactive(reactive) if reactive else None,
        line_decimals=LINE_DECIMALS,
        quantity_decimals=QUANTITY_DECIMALS,
        unsupported=tuple(reader.unsupported),
        notes=tuple(reader.notes),
    )


def _energy(reader: Reader, flat: list[DemandCharge]) -> tuple[EnergyComponent, ...]:
    if _ENERGY not in reader.fields:
        reader.fault(_ENERGY, tr("it is missing"), tr('Give [[{"rate": 0}]] when energy is free'))
        return ()
    used, schedules = used_periods(reader, *_ENERGY_FIELDS)
    labels = reader.fields.get("energytoulabels")
    rows = []
    for period in used:
        tiers = tiers_of(reader, _ENERGY, period, free_if="sell")
        rows.append(_price(period, label(labels, period), tiers, whens(reader, schedules, period)))
    basis = _tier_basis(reader, used)
    billing = flat[0].id if flat and basis.startswith("kwh_per_kw") else ""
    return (EnergyComponent("urdb", "Energy", tuple(rows), tier_basis=basis, tier_demand=billing),)


def _tier_basis(reader: Reader, used: list[int]) -> TierBasis:
    """Return the unit in which tiers are counted; one unit for the whole tariff."""
    units: dict[str, str] = {}
    for period in used:
        tiers = raw_tiers(reader, _ENERGY, period)
        for number, tier in enumerate(tiers):
            unit = str(tier.get("unit") or "kWh")
            if unit.lower() not in _TIER_UNITS:
                reader.refuse(f"{_ENERGY}/{period}/{number}/unit", tr("the unit '{unit}'", unit=unit))
            elif len(tiers) > 1:
                units.setdefault(unit.lower(), unit)
    if len(units) > 1:
        reader.refuse(
            _ENERGY, tr("one price in tiers of several units ({values})", values=", ".join(units.values()))
        )
    return _TIER_UNITS[next(iter(units), "kwh")]


def _flat_demand(reader: Reader, ratchet: Ratchet | None) -> list[DemandCharge]:
    name = "flatdemandstructure"
    if name not in reader.fields:
        return []
    months = month_periods(reader)
    check_rows(reader, name, set(months), "flatdemandmonths")
    unit, per = _demand_unit(reader, name, "flatdemandunit", set(months))
    rows = []
    for period in sorted(set(months)):
        inside = [month for month in range(12) if months[month] == period]
        tiers = tiers_of(reader, name, period)
        if ratchet or any(tier.amount for tier in tiers):  # a free month's peak can count later
            rows.append(_price(period, span_label(inside), tiers, (When(season(reader, inside)),)))
    if not any(row.amount or row.tiers for row in rows) and not _needs_billing_kw(reader):
        return []
    minutes = _metering(reader)
    return [DemandCharge("urdb", "Demand", tuple(rows), minutes, unit, per, ratchet=ratchet)] if rows else []


def _needs_billing_kw(reader: Reader) -> bool:
    structure = reader.fields.get(_ENERGY)
    tiers = (
        [tier for row in structure if isinstance(row, list) for tier in row]
        if isinstance(structure, list)
        else []
    )
    return any("/kw" in str(tier.get("unit", "")).lower() for tier in tiers if isinstance(tier, Mapping))


def _tou_demand(reader: Reader, ratchet: Ratchet | None) -> list[DemandCharge]:
    name = "demandratestructure"
    if name not in reader.fields:
        return []
    used, schedules = used_periods(reader, *_DEMAND_FIELDS)
    unit, per = _demand_unit(reader, name, "demandrateunit", set(used))
    labels = reader.fields.get("demandtoulabels", reader.fields.get("demandlabels"))
    minutes = _metering(reader)
    found = []
    for period in used:
        tiers = tiers_of(reader, name, period)
        if any(tier.amount for tier in tiers):
            price = _price(period, "", tiers, whens(reader, schedules, period))
            name_ = label(labels, period, tr("Time-of-use demand"))
            charge = DemandCharge(f"tou-p{period}", name_, (price,), minutes, unit, per, ratchet=ratchet)
            found.append(charge)
    return found


def _price(period: int, name: str, tiers: tuple[Tier, ...], when: tuple[When, ...]) -> Price:
    several = tiers if len(tiers) > 1 else ()
    return Price(f"p{period}", name, tiers[0].amount, when, several)


def _ratchet(reader: Reader) -> Ratchet | None:
    """Read either kind of demand ratchet: a look-back in percent, or the older percentages by month."""
    percent = reader.optional("lookbackpercent")
    span, months = reader.optional("lookbackrange"), _months(reader)
    old = reader.fields.get("demandratchetpercentage")
    by_month = (
        {reader.number("demandratchetpercentage", value) for value in old} if isinstance(old, list) else set()
    )
    if not percent and not any(by_month):
        return None
    if percent and any(by_month):
        reader.refuse("demandratchetpercentage", tr("a second demand ratchet beside lookbackpercent"))
        return None
    if len(by_month) > 1:
        reader.refuse("demandratchetpercentage", tr("a demand ratchet whose percentage differs by month"))
        return None
    share = percent or next(iter(by_month))
    if not 0 < share <= 1:
        name = "lookbackpercent" if percent else "demandratchetpercentage"
        reader.fault(name, tr("{share} is not a share", share=share), tr("Write 0.8 for 80 %"))
        return None
    if percent and span and months:
        reader.fault("lookbackmonths", tr("it excludes lookbackrange"), tr("Keep one of the two"))
    if percent and not span and not months:
        reader.refuse("lookbackpercent", tr("a look-back without lookbackrange and lookbackmonths"))
        return None
    reader.notes.append(
        tr(
            "URDB does not say which demand charge looks back: each one looks back on its own peaks, "
            "never ahead, and bills at least its own month's peak."
        )
    )
    return Ratchet(share * 100, int(span) or LOOK_BACK_MONTHS, months)


def _months(reader: Reader) -> tuple[int, ...]:
    value = reader.fields.get("lookbackmonths")
    if value is None:
        return ()
    if not isinstance(value, list) or len(value) != 12:
        reader.fault("lookbackmonths", tr("it is not 12 months"), tr("Give 12 times 0 or 1"))
        return ()
    return tuple(month for month, held in enumerate(value, start=1) if held)


def _export(reader: Reader) -> Export | None:
    rule = str(reader.fields.get("dgrules", "")).strip().lower()
    method = _EXPORT_RULES.get(rule, "prices")
    if rule and rule not in _EXPORT_RULES:
        reader.refuse("dgrules", tr("the export rule '{dgrules}'", dgrules=reader.fields["dgrules"]))
    if method == "net_metering":
        return Export(method)
    structure = reader.fields.get(_ENERGY)
    if not isinstance(structure, list) or reader.problems:
        return None
    if method == "buy_all_sell_all":
        reader.notes.append(
            tr("Buy All Sell All: import_kw must be the load's own meter and export_kw the generator's.")
        )
    used, schedules = used_periods(reader, *_ENERGY_FIELDS)
    labels = reader.fields.get("energytoulabels")
    rows = []
    for period in used:
        sells = {
            reader.number(f"{_ENERGY}/{period}/sell", tier.get("sell") or 0)
            for tier in raw_tiers(reader, _ENERGY, period)
        }
        if len(sells) > 1:
            reader.refuse(f"{_ENERGY}/{period}", tr("a sell price that differs by tier"))
        elif any("sell" in tier for tier in raw_tiers(reader, _ENERGY, period)):
            rows.append(
                Price(f"p{period}", label(labels, period), sells.pop(), whens(reader, schedules, period))
            )
    if any(row.amount for row in rows) or method == "net_billing_hourly":
        return Export(method, tuple(rows))
    return None


def _fixed(reader: Reader) -> tuple[FixedCharge, ...]:
    first, old = reader.optional("fixedchargefirstmeter"), reader.optional("fixedmonthlycharge")
    unit = str(reader.fields.get("fixedchargeunits", "$/month"))
    if reader.optional("fixedchargeeaaddl"):
        reader.notes.append(tr("The charge for each additional meter was not billed: the load is one meter."))
    if first and old and (first != old or unit != "$/month"):
        cure = tr("Keep the one that is meant")
        reader.fault(
            "fixedmonthlycharge",
            tr(
                "{old} a month differs from fixedchargefirstmeter {first} {unit}",
                old=old,
                first=first,
                unit=unit,
            ),
            cure,
        )
    amount = first or old
    if not amount:
        return ()
    if first and unit not in _FIXED_UNITS:
        reader.refuse("fixedchargeunits", tr("the unit '{unit}'", unit=unit))
    per = _FIXED_UNITS.get(unit, "month") if first else "month"
    return (FixedCharge("urdb", tr("Customer charge"), amount, per),)


def _minimum(reader: Reader) -> MinimumBill | None:
    amount, unit = reader.optional("mincharge"), str(reader.fields.get("minchargeunits", "$/month"))
    yearly = reader.optional("annualmincharge")
    if amount and unit not in _FIXED_UNITS:
        reader.refuse("minchargeunits", tr("the unit '{unit}'", unit=unit))
    if amount and yearly and (unit != "$/year" or amount != yearly):
        reader.refuse("annualmincharge", tr("a second minimum bill beside mincharge"))
    if amount:
        return MinimumBill(amount, _FIXED_UNITS.get(unit, "month"))
    return MinimumBill(yearly, "year") if yearly else None


def _refuse_the_rest(reader: Reader) -> None:
    if _any_amount(reader.fields.get("coincidentratestructure")):
        what = tr(
            "a coincident-peak charge (URDB does not name its hours; write it in the product's own format)"
        )
        reader.refuse("coincidentratestructure", what)


def _any_amount(value: Any) -> bool:
    """Tell whether any number other than 0 stands in a nested value (tier limits aside)."""
    if isinstance(value, Mapping):
        return any(_any_amount(inner) for key, inner in value.items() if key in ("rate", "adj"))
    if isinstance(value, list):
        return any(map(_any_amount, value))
    return isinstance(value, int | float) and bool(value)


def _demand_unit(reader: Reader, structure: str, name: str, used: set[int]) -> tuple[DemandUnit, FixedUnit]:
    """Return kW or kVA, and whether it is charged by the month or by the day; refuse other units."""
    unit = str(reader.fields.get(name) or reader.fields.get("demandunits") or "kW")
    if unit.lower() not in _DEMAND_UNITS:
        reader.refuse(name, tr("the demand unit '{unit}'", unit=unit))
    for period in sorted(used):
        for tier in raw_tiers(reader, structure, period):
            own = str(tier.get("unit") or unit)
            if own.lower() != unit.lower():
                reader.refuse(
                    f"{structure}/{period}/unit",
                    tr("the demand unit '{own}' beside '{unit}'", own=own, unit=unit),
                )
    return _DEMAND_UNITS.get(unit.lower(), ("kW", "month"))


def _metering(reader: Reader) -> int:
    minutes = reader.number("demandwindow", reader.fields.get("demandwindow", 15))
    if minutes not in METERING_MINUTES:
        reader.refuse("demandwindow", tr("a metering interval of {minutes} minutes", minutes=minutes))
        return 15
    return int(minutes)


def _date(reader: Reader, name: str) -> date | None:
    value = reader.fields.get(name)
    value = value.get("$date") if isinstance(value, Mapping) else value
    if value is None:
        return None
    try:
        if isinstance(value, int | float):
            return datetime.fromtimestamp(value if value < 1e11 else value / 1000, UTC).date()
        return datetime.fromisoformat(str(value)).date()
    except (ValueError, OverflowError, OSError):
        reader.fault(
            name, tr("{value!r} is not a date", value=value), tr("Write seconds since 1970 or an ISO date")
        )
        return None
