"""Bill demand: what was metered, what ratchets and means make of it, and the lines that charge it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from fractions import Fraction

from billing.tariff.calendar import moment
from billing.tariff.history import PeakBook
from billing.tariff.metering import Maximum, demand_line_id
from billing.tariff.model import Price, Tariff, Tier
from billing.tariff.money import joined, prorated, quantity, rounded, shown, times
from billing.tariff.result import BillLine, Peak
from billing.tariff.sheet import Share, Sheet
from depot.words import tr


@dataclass(slots=True)
class Demand:
    """Demand of one billing period: lines, peaks by line id, and the kW billed by charge id."""

    lines: list[BillLine]
    peaks_kw: dict[str, Peak]
    billed_kw: dict[str, Decimal]


@dataclass(frozen=True, slots=True)
class _Billed:
    """The kW that a charge bills, and the words that lead to them."""

    kw: Decimal
    words: str


def bill_demand(sheet: Sheet, index: int, peaks: list[Maximum], book: PeakBook) -> Demand:
    """Bill the demand maxima of one billing period and note them in the book."""
    found = Demand([], {}, {})
    first = sheet.spans[index].first
    for peak in peaks:
        at = moment(peak.utc_minute, sheet.zone)
        share = sheet.share(index, peak.price)
        metered = quantity(sheet.tariff, peak.kw)
        billed = _billed(sheet.tariff, peak, (metered, at, first), book)
        found.lines += _lines(sheet.tariff, peak, billed, share, (first, book))
        found.peaks_kw[demand_line_id(peak.charge, peak.price)] = Peak(metered, at)
        charge = peak.charge
        found.billed_kw[charge.id] = max(billed.kw, found.billed_kw.get(charge.id, billed.kw))
    for peak in peaks:  # after all lines: rows of one charge do not look back on each other
        if peak.charge.per != "day":
            kw = max(quantity(sheet.tariff, peak.kw), peak.charge.least_kw)
            book.record(peak.charge, first, kw, sheet.share(index, peak.price).fraction)
    return found


def _billed(tariff: Tariff, peak: Maximum, found: tuple[Decimal, datetime, date], book: PeakBook) -> _Billed:
    """Return the kW to bill: metered, at least the charge's least, averaged, at least the ratchet's."""
    charge, (metered, at, first) = peak.charge, found
    kw, words = metered, _metered_words(peak, metered, at)
    if charge.least_kw > kw:
        kw = charge.least_kw
        words += tr("; at least {kw} {unit} are billed", kw=kw, unit=charge.unit)
    if charge.mean_of_periods > 1:
        earlier = book.before(charge, first, charge.mean_of_periods - 1)
        kw = quantity(tariff, (kw + sum(earlier.values())) / (1 + len(earlier)))
        words += tr(
            "; the mean of {count} billing periods is {kw:,} {unit}",
            count=1 + len(earlier),
            kw=kw,
            unit=charge.unit,
        )
    floor = book.floor(charge, first)
    if floor is not None and charge.ratchet is not None:
        least, before, day = quantity(tariff, floor[0]), floor[1], floor[2]
        if least > kw:
            kw = least
            words += tr(
                "; the ratchet bills {percent} % of the {before:,} {unit} of {day:%Y-%m}: {kw:,} {unit}",
                percent=charge.ratchet.percent,
                before=before,
                unit=charge.unit,
                day=day,
                kw=kw,
            )
    return _Billed(kw, words)


def _metered_words(peak: Maximum, metered: Decimal, at: datetime) -> str:
    charge = peak.charge
    if charge.highest > 1 and peak.values:
        values = ", ".join(shown(value) for value in peak.values)
        days = tr(" on different days") if charge.on_different_days else ""
        return tr(
            "Mean of the {values} highest {metering_minutes}-minute averages{days} ({values2}): "
            "{metered:,} {unit}, the highest on {at:%Y-%m-%d %H:%M}",
            values=len(peak.values),
            metering_minutes=charge.metering_minutes,
            days=days,
            values2=values,
            metered=metered,
            unit=charge.unit,
            at=at,
        )
    return tr(
        "Highest {metering_minutes}-minute average in the window: {metered:,} {unit}, on {at:%Y-%m-%d %H:%M}",
        metering_minutes=charge.metering_minutes,
        metered=metered,
        unit=charge.unit,
        at=at,
    )


def _lines(
    tariff: Tariff, peak: Maximum, billed: _Billed, share: Share, so_far: tuple[date, PeakBook]
) -> list[BillLine]:
    if peak.charge.per == "day":
        return [_daily_line(tariff, peak)]
    if peak.charge.per == "year":
        return _yearly_lines(tariff, peak, billed, share, so_far)
    if peak.price.steps:
        return [_step_line(tariff, peak, billed, share)]
    if peak.price.tiers:
        return _tier_lines(tariff, peak, billed, share)
    price = peak.price.amount
    rate = prorated(price, share.fraction)
    sentence = tr(
        "{words}, at {price} {currency}/{unit}{share}.",
        words=billed.words,
        price=price,
        currency=tariff.currency,
        unit=peak.charge.unit,
        share=share,
    )
    return [_line(tariff, peak, "", (billed.kw, peak.charge.unit, rate), sentence)]


def _tier_lines(tariff: Tariff, peak: Maximum, billed: _Billed, share: Share) -> list[BillLine]:
    lines = []
    for number, (kw, tier) in enumerate(slices(billed.kw, peak.price.tiers), start=1):
        sentence = tr(
            "{words}; {kw:,} {unit} of it fall in tier {number}, at {amount} {currency}/{unit}{share}.",
            words=billed.words,
            kw=kw,
            unit=peak.charge.unit,
            number=number,
            amount=tier.amount,
            currency=tariff.currency,
            share=share,
        )
        rate = prorated(tier.amount, share.fraction)
        lines.append(_line(tariff, peak, f".t{number}", (kw, peak.charge.unit, rate), sentence))
    return lines


def _step_line(tariff: Tariff, peak: Maximum, billed: _Billed, share: Share) -> BillLine:
    step = step_of(billed.kw, peak.price)
    above = (
        tr("up to {up_to} {unit}", up_to=step.up_to, unit=peak.charge.unit)
        if step.up_to
        else tr("the highest")
    )
    sentence = tr(
        "{words}: the step {above}, {amount} {currency} a month{share}.",
        words=billed.words,
        above=above,
        amount=step.amount,
        currency=tariff.currency,
        share=share,
    )
    return _line(tariff, peak, "", (Decimal(1), "month", prorated(step.amount, share.fraction)), sentence)


def _daily_line(tariff: Tariff, peak: Maximum) -> BillLine:
    total = sum((quantity(tariff, value) for value in peak.values), Decimal(0))
    charge, price = peak.charge, peak.price.amount
    sentence = tr(
        "The highest {metering_minutes}-minute averages of {values} days, from {values2} to "
        "{values3} {unit}, are {total:,} {unit}-days, at {price} {currency} each.",
        metering_minutes=charge.metering_minutes,
        values=len(peak.values),
        values2=shown(min(peak.values)),
        values3=shown(max(peak.values)),
        unit=charge.unit,
        total=total,
        price=price,
        currency=tariff.currency,
    )
    return _line(tariff, peak, "", (total, f"{charge.unit}-day", price), sentence)


def _yearly_lines(
    tariff: Tariff, peak: Maximum, billed: _Billed, share: Share, so_far: tuple[date, PeakBook]
) -> list[BillLine]:
    """Charge this month on the year's highest so far, and correct the earlier months when it has risen.

    Amounts are differences of the yearly price x kW x months / 12, rounded, so that a year adds up exactly.
    """
    first, book = so_far
    charge, price = peak.charge, peak.price.amount
    before, months = book.year_so_far(charge, first)
    kw = max(billed.kw, before)

    def up_to(power: Decimal, count: Fraction) -> Decimal:
        return rounded(tariff, times(price * power, count / 12))

    amount = up_to(kw, months + share.fraction) - up_to(kw, months)
    words = (
        billed.words
        if kw == billed.kw
        else tr("{words}; the year's highest is {kw:,} {unit}", words=billed.words, kw=kw, unit=charge.unit)
    )
    sentence = tr(
        "{words}, at a twelfth of {price} {currency}/{unit} a year{share}.",
        words=words,
        price=price,
        currency=tariff.currency,
        unit=charge.unit,
        share=share,
    )
    line = _line(tariff, peak, "", (kw, charge.unit, prorated(price, share.fraction / 12)), sentence, amount)
    correction = up_to(kw, months) - up_to(before, months)
    if not correction:
        return [line]
    sentence = tr(
        "The year's highest rose from {before:,} to {kw:,} {unit}: the {months:.4g} months "
        "billed before are charged the difference.",
        before=before,
        kw=kw,
        unit=charge.unit,
        months=float(months),
    )
    rest = (kw - before, charge.unit, prorated(price, months / 12))
    return [line, _line(tariff, peak, ".correction", rest, sentence, correction)]


def _line(
    tariff: Tariff,
    peak: Maximum,
    suffix: str,
    priced: tuple[Decimal, str, Decimal],
    sentence: str,
    amount: Decimal | None = None,
) -> BillLine:
    count, unit, rate = priced
    label = joined(peak.charge.label, peak.price.label)
    extra = {"": "", ".correction": tr("earlier months")}.get(suffix, tr("tier {suffix}", suffix=suffix[2:]))
    return BillLine(
        demand_line_id(peak.charge, peak.price) + suffix,
        joined(label, extra),
        count,
        unit,
        rate,
        rounded(tariff, count * rate) if amount is None else amount,
        sentence,
    )


def slices(
    value: Decimal, tiers: tuple[Tier, ...], scale: Decimal = Decimal(1)
) -> list[tuple[Decimal, Tier]]:
    """Cut a quantity into what falls in each tier (limits times `scale`); the first tier is always there."""
    found: list[tuple[Decimal, Tier]] = []
    lower = Decimal(0)
    for tier in tiers:
        upper = value if tier.up_to is None else min(value, tier.up_to * scale)
        if upper > lower or not found:
            found.append((max(upper - lower, Decimal(0)), tier))
        lower = max(lower, upper)
    return found


def step_of(kw: Decimal, price: Price) -> Tier:
    """Return the step in which a power falls; its upper edge belongs to it."""
    return next(step for step in price.steps if step.up_to is None or kw <= step.up_to)
