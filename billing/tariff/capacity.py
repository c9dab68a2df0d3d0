"""Bill subscribed power, coincident peaks and reactive power."""

from __future__ import annotations

from datetime import datetime
from decimal import ROUND_CEILING, Decimal

import numpy as np

from billing.tariff.calendar import Floats, moment
from billing.tariff.metering import Meter
from billing.tariff.model import DEFAULT_METERING_MINUTES, Coincident, Subscription, Tariff
from billing.tariff.money import joined, prorated, quantity, rounded, shown
from billing.tariff.result import BillLine, Peak
from billing.tariff.sheet import Sheet
from depot.words import tr


def subscription_lines(
    sheet: Sheet, index: int, charge: Subscription, meter: Meter
) -> tuple[list[BillLine], dict[str, Peak]]:
    """Bill the blocks subscribed (or those the highest kW needs) and what goes beyond them."""
    top = meter.highest_kw(index, charge.metering_minutes)
    if top is None:
        return [], {}
    tariff, share = sheet.tariff, sheet.share(index)
    id, kw, at = f"subscription.{charge.id}", quantity(tariff, top[0]), moment(top[1], sheet.zone)
    subscribed = kw if charge.subscribed_kw is None else charge.subscribed_kw
    blocks = (subscribed / charge.block_kw).to_integral_value(ROUND_CEILING)
    rate = prorated(charge.price_per_block, share.fraction)
    measured = tr(
        "highest {metering_minutes}-minute average {kw:,} kW on {at:%Y-%m-%d %H:%M}",
        metering_minutes=charge.metering_minutes,
        kw=kw,
        at=at,
    )
    why = (
        tr("needed for the {measured}", measured=measured)
        if charge.subscribed_kw is None
        else tr("subscribed; {measured}", measured=measured)
    )
    sentence = tr(
        "{blocks:,} blocks of {block_kw} kW {why}, at {price_per_block} {currency} a block{share}.",
        blocks=blocks,
        block_kw=charge.block_kw,
        why=why,
        price_per_block=charge.price_per_block,
        currency=tariff.currency,
        share=share,
    )
    amount = rounded(tariff, blocks * rate)
    lines = [BillLine(id, charge.label, blocks, "block", rate, amount, sentence)]
    over = charge.overage
    limit = blocks * charge.block_kw
    if over is not None and kw > limit:
        excess, words = _excess(sheet, meter, index, charge, (limit, kw))
        rate = prorated(over.price_per_kw, share.fraction)
        sentence = tr(
            "{words}, at {price_per_kw} {currency}/kW{share}.",
            words=words,
            price_per_kw=over.price_per_kw,
            currency=tariff.currency,
            share=share,
        )
        amount = rounded(tariff, excess * rate)
        label = joined(charge.label, "overage")
        lines.append(BillLine(f"{id}.overage", label, excess, "kW", rate, amount, sentence))
    return lines, {id: Peak(kw, at)}


def _excess(
    sheet: Sheet, meter: Meter, index: int, charge: Subscription, found: tuple[Decimal, Decimal]
) -> tuple[Decimal, str]:
    limit, kw = found
    over = charge.overage
    if over is None or not over.hourly_sum:
        return kw - limit, tr("{kw:,} kW above the {limit:,} kW subscribed", kw=kw - limit, limit=limit)
    blocks = meter.blocks(charge.metering_minutes)
    inside = np.flatnonzero(blocks.period == index)
    hours = blocks.steps.utc_minute[inside] // 60
    highest = np.maximum.reduceat(blocks.mean_kw[inside], np.flatnonzero(np.diff(hours, prepend=-1)))
    excess = np.sort(highest[highest > float(limit)])[::-1]
    counted = excess[: over.count] if over.count else excess
    total = _sum_of_quantities(sheet.tariff, counted) - limit * counted.size
    which = tr("largest hourly excesses") if over.count else tr("hourly excesses")
    return total, tr(
        "The sum of the {size} {which} above the {limit:,} kW subscribed is {total:,} kW",
        size=counted.size,
        which=which,
        limit=limit,
        total=total,
    )


def _sum_of_quantities(tariff: Tariff, values: Floats) -> Decimal:
    """Round each value half up to the quantity decimals, and add them up."""
    scale = 10**tariff.quantity_decimals
    return quantity(tariff, Decimal(int(np.floor(values * scale + 0.5).sum())) / scale)


def coincident_lines(
    sheet: Sheet, index: int, charge: Coincident, meter: Meter
) -> tuple[list[BillLine], dict[str, Peak]]:
    """Bill the mean kW of the announced hours of this billing period, or of the year before."""
    tariff, span = sheet.tariff, sheet.spans[index]
    if charge.basis == "year_before":
        known = tag_kw(charge, span.first.year, sheet, meter)
        if known is None:
            return [], {}
        kw, words = known
        share = sheet.share(index)
    else:
        first, end = span.first, span.end
        inside = [at for at in charge.moments if first <= at.astimezone(sheet.zone).date() < end]
        values = [value for at in inside if (value := _kw_at(meter, at, charge)) is not None]
        if not values:
            return [], {}
        kw = quantity(tariff, sum(values) / len(values))
        words = _moments_words(values, kw)
        share = sheet.share(index)
    rate = prorated(charge.price_per_kw, share.fraction)
    sentence = tr(
        "{words}, at {price_per_kw} {currency}/kW{share}.",
        words=words,
        price_per_kw=charge.price_per_kw,
        currency=tariff.currency,
        share=share,
    )
    amount = rounded(tariff, kw * rate)
    return [BillLine(f"coincident.{charge.id}", charge.label, kw, "kW", rate, amount, sentence)], {}


def tag_kw(charge: Coincident, year: int, sheet: Sheet, meter: Meter) -> tuple[Decimal, str] | None:
    """Return the kW that a year's charges rest on: stated, or the mean of last year's announced hours."""
    stated = dict(charge.known_kw).get(year)
    if stated is not None:
        return quantity(sheet.tariff, stated), tr(
            "{stated:,} kW set by the announced hours of {year}", stated=stated, year=year - 1
        )
    moments = [at for at in charge.moments if at.astimezone(sheet.zone).year == year - 1]
    values = [_kw_at(meter, at, charge) for at in moments]
    measured = [value for value in values if value is not None]
    if not measured or len(measured) < len(values):
        return None
    kw = quantity(sheet.tariff, sum(measured) / len(measured))
    return kw, _moments_words(measured, kw)


def _moments_words(values: list[float], kw: Decimal) -> str:
    each = ", ".join(map(shown, values))
    return tr(
        "Mean of the {values} announced hours ({each}): {kw:,} kW", values=len(values), each=each, kw=kw
    )


def _kw_at(meter: Meter, at: datetime, charge: Coincident) -> float | None:
    blocks = meter.blocks(charge.metering_minutes)
    minute = int(at.timestamp()) // 60
    step = int(np.searchsorted(blocks.steps.utc_minute, minute, side="right")) - 1
    if step < 0 or minute >= blocks.steps.utc_minute[step] + charge.metering_minutes:
        return None
    return float(blocks.mean_kw[step])


def reactive_lines(sheet: Sheet, index: int, meter: Meter, import_kwh: float) -> list[BillLine]:
    """Bill reactive power above what is free; without readings a line of 0 (a warning says so)."""
    reactive, tariff, load = sheet.tariff.reactive, sheet.tariff, sheet.load
    if reactive is None or not reactive.price:
        return []
    if load.reactive_kvar is None:
        sentence = tr("The load has no reactive-power readings; a power factor of 1 is assumed.")
        unit = {"kvar": "kVAr", "kvarh": "kVArh"}[reactive.unit]
        zero = Decimal(0)
        return [BillLine("reactive", tr("Reactive demand"), zero, unit, reactive.price, zero, sentence)]
    if reactive.unit == "kvarh":
        mine = sheet.period == index
        drawn = quantity(tariff, float(sheet.fine(load.reactive_kvar)[mine].sum()) * sheet.hours)
        return [_reactive_line(tariff, "kVArh", drawn, quantity(tariff, import_kwh), tr("energy drawn"))]
    blocks = meter.blocks(DEFAULT_METERING_MINUTES, "kvar")
    inside = blocks.mean_kw[blocks.period == index]
    top = meter.highest_kw(index)
    if top is None:
        return []
    drawn = quantity(tariff, float(inside.max()))
    return [_reactive_line(tariff, "kVAr", drawn, quantity(tariff, top[0]), tr("highest 15-minute average"))]


def _reactive_line(tariff: Tariff, unit: str, drawn: Decimal, active: Decimal, what: str) -> BillLine:
    reactive = tariff.reactive
    assert reactive is not None  # noqa: S101 – the caller has one
    free = quantity(tariff, active * reactive.free_per_kw)
    billed = max(drawn - free, Decimal(0))
    sentence = tr(
        "{measured} {drawn:,} {unit}, of which {free:,} are free ({free_per_kw} per {base}): "
        "{billed:,} {unit} at {price} {currency}.",
        measured=what.capitalize(),
        drawn=drawn,
        unit=unit,
        free=free,
        free_per_kw=reactive.free_per_kw,
        base=unit.replace("VAr", "W"),
        billed=billed,
        price=reactive.price,
        currency=tariff.currency,
    )
    amount = rounded(tariff, billed * reactive.price)
    return BillLine("reactive", tr("Reactive power"), billed, unit, reactive.price, amount, sentence)


def missing_capacity(tariff: Tariff, sheet: Sheet, meter: Meter) -> tuple[str, ...]:
    """Name the charges that this load cannot bear: coincident hours of last year, apparent power."""
    found = []
    for charge in tariff.coincident:
        if charge.basis == "year_before":
            years = sorted(
                {span.first.year for span, days in zip(sheet.spans, sheet.parts, strict=True) if days.size}
            )
            found += [
                tr(
                    "coincident/{id}: the kW of the announced hours of {year} are not known; the charge of "
                    "{year2} cannot be billed. Give known_kw for {year2}, or a load that holds those hours.",
                    id=charge.id,
                    year=year - 1,
                    year2=year,
                )
                for year in years
                if tag_kw(charge, year, sheet, meter) is None
            ]
    if sheet.load.reactive_kvar is None:
        found += [
            tr(
                "demand/{id}: demand in kVA cannot be billed from a load without the column reactive_kvar.",
                id=charge.id,
            )
            for charge in tariff.demand
            if charge.unit == "kVA"
        ]
    return tuple(found)
