"""What the reader of a bill must know beside its lines."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta, tzinfo

import numpy as np

from billing.tariff.carried import Carried
from billing.tariff.history import History, look_back, months_before
from billing.tariff.load import LoadSeries
from billing.tariff.model import Coincident, DemandCharge, Tariff
from billing.tariff.result import BillPeriod
from billing.tariff.sheet import Sheet
from depot.words import tr


def bill_warnings(
    sheets: Sequence[Sheet], periods: Sequence[BillPeriod], history: History, carried: Carried
) -> tuple[str, ...]:
    """Return the tariff's notes, the load's notices, and what their meeting makes doubtful."""
    load, zone = sheets[0].load, sheets[0].zone
    found = [note for sheet in sheets for note in sheet.tariff.notes] + list(map(str, load.notices))
    if not sheets[0].tariff.time_zone:
        found.append(tr("The tariff names no time zone; it was billed on the clock of {zone}.", zone=zone))
    found += _validity(sheets[0].tariff, load, zone) if len(sheets) == 1 else _versions(sheets)
    found += _coverage(load, periods)
    known_from = min([periods[0].start_at.date(), *(day for day, _ in carried.charges)])
    for sheet in sheets:
        found += _demand(sheet.tariff, load) + _look_back(sheet, history) + _coincident(sheet)
        found += _unused_prices(sheet.tariff, load) + _not_billed(sheet.tariff, load, periods)
        found += _yearly_minimum(sheet.tariff, known_from, periods[-1].end_at.date())
    return tuple(dict.fromkeys(found))


def _not_billed(tariff: Tariff, load: LoadSeries, periods: Sequence[BillPeriod]) -> list[str]:
    found = []
    if tariff.reactive and tariff.reactive.price and load.reactive_kvar is None:
        unit = {"kvar": tr("kVAr of reactive demand"), "kvarh": tr("kVArh of reactive energy")}[
            tariff.reactive.unit
        ]
        found.append(
            tr(
                "The tariff charges {price} {currency}/{unit}; the load has no reactive readings, so a "
                "power factor of 1 is assumed and nothing is billed.",
                price=tariff.reactive.price,
                currency=tariff.currency,
                unit=unit,
            )
        )
    exported_kwh = float(load.export_kw.sum()) * load.step_minutes / 60
    if tariff.export is None and exported_kwh > 0:
        found.append(
            tr(
                "{exported_kwh:,.1f} kWh were exported; the tariff pays nothing for export.",
                exported_kwh=exported_kwh,
            )
        )
    return found


def _yearly_minimum(tariff: Tariff, known_from: date, end: date) -> list[str]:
    """Tell when a yearly minimum bill is not settled, because the load ends no year that is known whole."""
    if tariff.minimum is None or tariff.minimum.per != "year":
        return []
    if known_from <= date(end.year - 1, 1, 1) and end >= date(end.year, 1, 1):
        return []
    return [tr("The yearly minimum bill is settled only in a bill that holds the whole calendar year.")]


def _versions(sheets: Sequence[Sheet]) -> list[str]:
    found = [
        tr(
            "From {valid_from} on the bill follows the tariff version '{name}'.",
            valid_from=sheet.tariff.valid_from,
            name=sheet.tariff.name,
        )
        for sheet in sheets[1:]
    ]
    if any(charge.per == "year" for sheet in sheets for charge in sheet.tariff.demand):
        found.append(
            tr("A correction of a yearly demand charge is priced by the version of its own billing period.")
        )
    return found


def _look_back(sheet: Sheet, history: History) -> list[str]:
    """Tell which demand charges look back further than peaks are known."""
    found = []
    first = sheet.spans[0].first
    for charge in sheet.tariff.demand:
        wanted = look_back(charge.ratchet, charge.mean_of_periods, charge.per == "year")
        if charge.per == "year":
            wanted = min(wanted, first.month - 1)
        known = [day for day in history.get(charge.id, {}) if months_before(first, wanted) <= day < first]
        if len(known) < wanted:
            found.append(_look_back_words(charge, wanted, len(known), first))
    return found


def _look_back_words(charge: DemandCharge, wanted: int, known: int, first: date) -> str:
    return tr(
        "Demand charge '{id}' looks back {wanted} months before {first}, of which {known} are "
        "known: the bill counts only known peaks. Give the others as history.",
        id=charge.id,
        wanted=wanted,
        first=first,
        known=known,
    )


def _coincident(sheet: Sheet) -> list[str]:
    return [text for charge in sheet.tariff.coincident for text in _unannounced(sheet, charge)]


def _unannounced(sheet: Sheet, charge: Coincident) -> list[str]:
    if charge.basis != "same_period":
        return []
    days = [at.astimezone(sheet.zone).date() for at in charge.moments]
    return [
        tr(
            "Coincident charge '{id}': no hour is announced for {first} to {end}; nothing is billed "
            "for it yet. Bill again when the hours are known.",
            id=charge.id,
            first=span.first,
            end=span.end,
        )
        for span in sheet.spans
        if not any(span.first <= day < span.end for day in days)
    ]


def _unused_prices(tariff: Tariff, load: LoadSeries) -> list[str]:
    taken = any(component.series for component in tariff.energy)
    paid = tariff.export is not None and tariff.export.series is not None
    unused = {
        "import_price_per_kwh": load.import_price_per_kwh is not None and not taken,
        "export_price_per_kwh": load.export_price_per_kwh is not None and not paid,
    }
    return [
        tr("The load's column {name} is not used: the tariff has prices of its own.", name=name)
        for name, is_unused in unused.items()
        if is_unused
    ]


def _validity(tariff: Tariff, load: LoadSeries, zone: tzinfo) -> list[str]:
    first, last = load.start_at.astimezone(zone).date(), _last_day(load, zone)
    early = tariff.valid_from is not None and first < tariff.valid_from
    late = tariff.valid_to is not None and last > tariff.valid_to
    if not early and not late:
        return []
    since, until = tariff.valid_from or tr("any time"), tariff.valid_to or tr("today's version")
    return [
        tr(
            "The tariff is valid from {since} to {until}; the load runs from {first} to {last}.",
            since=since,
            until=until,
            first=first,
            last=last,
        )
    ]


def _last_day(load: LoadSeries, zone: tzinfo) -> date:
    return (load.end_at - timedelta(minutes=load.step_minutes)).astimezone(zone).date()


def _coverage(load: LoadSeries, periods: Sequence[BillPeriod]) -> list[str]:
    return [
        tr(
            "The load does not cover the whole billing period from {start_at:%Y-%m-%d} to "
            "{end_at:%Y-%m-%d}: monthly charges and demand are billed in full, days only as covered.",
            start_at=period.start_at,
            end_at=period.end_at,
        )
        for period in periods
        if period.start_at < load.start_at or period.end_at > load.end_at
    ]


def _demand(tariff: Tariff, load: LoadSeries) -> list[str]:
    shorter = sorted({c.metering_minutes for c in tariff.demand if c.metering_minutes % load.step_minutes})
    if not shorter or not np.any(load.import_kw):
        return []
    intervals = ", ".join(map(str, shorter))
    return [
        tr(
            "Demand is metered over {intervals} minutes but the load has {step_minutes}-minute "
            "steps: the power is taken as even within a step, and the real peak may be higher.",
            intervals=intervals,
            step_minutes=load.step_minutes,
        )
    ]
