"""Write the lines of a bill: quantity, unit, rate, amount, and the sentence that explains them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal

from billing.tariff.metering import Maximum, demand_line_id
from billing.tariff.model import EnergyComponent, FixedCharge, Price, Tariff, Tax
from billing.tariff.periods import Span
from billing.tariff.result import BillLine

QUANTITY_STEP = Decimal("0.001")
RATE_STEP = Decimal("0.000001")


def quantity(value: float) -> Decimal:
    """Return a metered kWh or kW rounded half up to three decimals, as it is billed."""
    return Decimal(repr(float(value))).quantize(QUANTITY_STEP, ROUND_HALF_UP)


def rounded(tariff: Tariff, amount: Decimal) -> Decimal:
    """Return an amount rounded half up to the tariff's line decimals; never minus zero."""
    result = amount.quantize(Decimal(1).scaleb(-tariff.line_decimals), ROUND_HALF_UP)
    return result if result else abs(result)


def energy_line(tariff: Tariff, component: EnergyComponent, price: Price, kwh: float) -> BillLine:
    """Bill the kWh of one price row."""
    billed = quantity(kwh)
    return BillLine(
        f"energy.{component.id}.{price.id}",
        _joined(component.label, price.label),
        billed,
        "kWh",
        price.amount,
        rounded(tariff, billed * price.amount),
        f"{billed:,} kWh imported at {price.amount} {tariff.currency}/kWh.",
    )


def dynamic_line(tariff: Tariff, component: EnergyComponent, kwh: float, cost: float) -> BillLine:
    """Bill the kWh of a component whose price follows the load's series; the rate shown is the mean."""
    billed = quantity(kwh)
    amount = rounded(tariff, Decimal(repr(float(cost))))
    rate = _mean_rate(amount, billed)
    sentence = (
        f"{billed:,} kWh imported, each interval at its own price, on average {rate} {tariff.currency}/kWh."
    )
    return BillLine(f"energy.{component.id}", component.label, billed, "kWh", rate, amount, sentence)


def demand_line(tariff: Tariff, peak: Maximum, share: tuple[int, int], at: datetime) -> BillLine:
    """Bill one demand maximum; a season that runs for part of the period is prorated by its days."""
    billed = quantity(peak.kw)
    season_days, days = share
    rate = peak.price.amount
    sentence = (
        f"Highest {peak.charge.metering_minutes}-minute average in the window: {billed:,} kW, "
        f"on {at:%Y-%m-%d %H:%M}, at {peak.price.amount} {tariff.currency}/kW"
    )
    if season_days < days:
        rate = (rate * season_days / days).quantize(RATE_STEP, ROUND_HALF_UP)
        sentence += f" for {season_days} of {days} days"
    return BillLine(
        demand_line_id(peak.charge, peak.price),
        _joined(peak.charge.label, peak.price.label),
        billed,
        "kW",
        rate,
        rounded(tariff, billed * rate),
        f"{sentence}.",
    )


def fixed_line(tariff: Tariff, charge: FixedCharge, days: int, span: Span) -> BillLine:
    """Bill a fixed charge: whole per billing month, per covered local day, or a twelfth of a year."""
    amount, unit, count = charge.amount, "month", Decimal(1)
    sentence = f"Charged once for the billing period of {span.days} days."
    if charge.per == "day":
        unit, count = "day", Decimal(days)
        sentence = f"{days} days at {amount} {tariff.currency} a day."
    elif charge.per == "year":
        amount = (charge.amount / 12).quantize(RATE_STEP, ROUND_HALF_UP)
        sentence = f"A twelfth of {charge.amount} {tariff.currency} a year."
    return BillLine(
        f"fixed.{charge.id}", charge.label, count, unit, amount, rounded(tariff, count * amount), sentence
    )


def reactive_lines(tariff: Tariff) -> list[BillLine]:
    """Show a reactive-power charge with 0 kVAr: the load carries no reactive readings (a warning says so)."""
    if not tariff.reactive_price_per_kvar:
        return []
    sentence = "The load has no reactive-power readings; a power factor of 1 is assumed."
    price = tariff.reactive_price_per_kvar
    return [BillLine("reactive", "Reactive demand", Decimal(0), "kVAr", price, Decimal(0), sentence)]


def export_line(tariff: Tariff, price: Price, kwh: float) -> BillLine:
    """Credit the kWh of one export price row: the rate and the amount are negative."""
    billed = quantity(kwh)
    sentence = f"{billed:,} kWh exported, paid {price.amount} {tariff.currency}/kWh."
    amount = rounded(tariff, -billed * price.amount)
    return BillLine(
        f"export.{price.id}", _joined("Export", price.label), billed, "kWh", -price.amount, amount, sentence
    )


def export_series_line(tariff: Tariff, kwh: float, credit: float) -> BillLine:
    """Credit export whose price follows the load's series; the rate shown is the mean."""
    billed = quantity(kwh)
    amount = rounded(tariff, -Decimal(repr(float(credit))))
    rate = _mean_rate(amount, billed)
    sentence = (
        f"{billed:,} kWh exported, each interval at its own price, on average {-rate} {tariff.currency}/kWh."
    )
    return BillLine("export.series", "Export", billed, "kWh", rate, amount, sentence)


def minimum_lines(tariff: Tariff, lines: Sequence[BillLine], days: int) -> list[BillLine]:
    """Top the charges so far up to the minimum bill, when they fall short of it."""
    if tariff.minimum is None:
        return []
    least = rounded(tariff, tariff.minimum.amount * (days if tariff.minimum.per == "day" else 1))
    short = least - sum((line.amount for line in lines), Decimal(0))
    if short <= 0:
        return []
    sentence = f"Raises the charges of this period to the minimum bill of {least} {tariff.currency}."
    return [BillLine("minimum", "Minimum bill", Decimal(1), "period", short, short, sentence)]


def tax_lines(tariff: Tariff, lines: Sequence[BillLine]) -> list[BillLine]:
    """Add each tax on the lines it names."""
    return [_tax_line(tariff, tax, lines) for tax in tariff.taxes]


def _tax_line(tariff: Tariff, tax: Tax, lines: Sequence[BillLine]) -> BillLine:
    taxed = [line.amount for line in lines if not tax.on or line.id.startswith(tax.on)]
    base = sum(taxed, Decimal(0))
    rate = tax.percent / 100
    sentence = f"{tax.percent} % of {base:,} {tariff.currency}."
    return BillLine(
        f"tax.{tax.id}", tax.label, base, tariff.currency, rate, rounded(tariff, base * rate), sentence
    )


def _mean_rate(amount: Decimal, billed: Decimal) -> Decimal:
    return (amount / billed).quantize(RATE_STEP, ROUND_HALF_UP) if billed else Decimal(0)


def _joined(*labels: str) -> str:
    return " – ".join(label for label in labels if label)
