"""Write the lines that rest on other lines or on the calendar: fixed, carried credit, minimum, taxes."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from billing.tariff.model import FixedCharge, Tariff, Tax
from billing.tariff.money import joined, prorated, quantity, rate, rounded
from billing.tariff.result import BillLine
from billing.tariff.sheet import Share, Sheet
from depot.words import mark, tr


def fixed_line(sheet: Sheet, index: int, charge: FixedCharge) -> BillLine:
    """Bill a fixed charge: by the month, per covered local day, or a twelfth of a year; `count` times."""
    tariff, share = sheet.tariff, sheet.share(index)
    meters = tr(" for each of {count}", count=charge.count) if charge.count > 1 else ""
    if charge.per == "day":
        days = sheet.covered_days[index]
        unit, count, amount = "day", Decimal(days * charge.count), charge.amount
        sentence = tr(
            "{days} days at {amount} {currency} a day{meters}.",
            days=days,
            amount=amount,
            currency=tariff.currency,
            meters=meters,
        )
    else:
        unit, count = "month", Decimal(charge.count)
        amount, sentence = _monthly(charge, tariff, sheet, index, share)
        sentence += f"{meters}."
    return BillLine(
        f"fixed.{charge.id}", charge.label, count, unit, amount, rounded(tariff, count * amount), sentence
    )


def _monthly(
    charge: FixedCharge, tariff: Tariff, sheet: Sheet, index: int, share: Share
) -> tuple[Decimal, str]:
    if charge.per == "year":
        words = tr(
            "A twelfth of {amount} {currency} a year{share}",
            amount=charge.amount,
            currency=tariff.currency,
            share=share,
        )
        if share.fraction == 1:
            return rate(charge.amount / 12), words
        return prorated(charge.amount, share.fraction / 12), words
    amount = prorated(charge.amount, share.fraction)
    if share.fraction == 1:
        return amount, tr("Charged once for the billing period of {days} days", days=sheet.spans[index].days)
    return amount, tr(
        "{amount} {currency} a month{share}", amount=charge.amount, currency=tariff.currency, share=share
    )


def carried_lines(
    tariff: Tariff, lines: Sequence[BillLine], credit: Decimal
) -> tuple[list[BillLine], Decimal]:
    """Take off the credit of the period before, and carry on what is left of it; return lines and the rest."""
    if tariff.export is None or not tariff.export.carry_credit:
        return [], Decimal(0)
    one, found = Decimal(1), []
    if credit:
        sentence = tr(
            "Credit of {credit:,} {currency} from the billing period before.",
            credit=credit,
            currency=tariff.currency,
        )
        found.append(
            BillLine("export.carried_in", tr("Credit brought in"), one, "period", -credit, -credit, sentence)
        )
    total = sum((line.amount for line in (*lines, *found)), Decimal(0))
    rest = max(-total, Decimal(0))
    if rest:
        sentence = tr(
            "Charges below 0 are not paid out: {rest:,} {currency} are credited next period.",
            rest=rest,
            currency=tariff.currency,
        )
        found.append(
            BillLine("export.carried_out", tr("Credit carried on"), one, "period", rest, rest, sentence)
        )
    return found, rest


def minimum_lines(
    sheet: Sheet, index: int, lines: Sequence[BillLine], year: Decimal | None
) -> list[BillLine]:
    """Top the charges so far up to the minimum bill; a yearly one on `year`, the charges of twelve months.

    `year` is None when this billing period does not end a calendar year that is known whole.
    """
    tariff, minimum = sheet.tariff, sheet.tariff.minimum
    if minimum is None or (minimum.per == "year" and year is None):
        return []
    so_far = sum((line.amount for line in lines), Decimal(0))
    if minimum.per == "day":
        least = rounded(tariff, minimum.amount * sheet.covered_days[index])
    elif minimum.per == "month":
        least = rounded(tariff, prorated(minimum.amount, sheet.share(index).fraction))
    else:
        least, so_far = rounded(tariff, minimum.amount), so_far + (year or Decimal(0))
    short = least - so_far
    if short <= 0:
        return []
    pattern = (
        mark("Raises the charges of this year to the minimum bill of {least} {currency}.")
        if minimum.per == "year"
        else mark("Raises the charges of this period to the minimum bill of {least} {currency}.")
    )
    sentence = tr(pattern, least=least, currency=tariff.currency)
    return [BillLine("minimum", tr("Minimum bill"), Decimal(1), "period", short, short, sentence)]


def tax_lines(tariff: Tariff, lines: Sequence[BillLine], imported_kwh: float) -> list[BillLine]:
    """Add duties per kWh, then percentages; a percentage includes the duties when its `on` does."""
    duties = [_duty_line(tariff, tax, imported_kwh) for tax in tariff.taxes if tax.per_kwh is not None]
    taxed = [*lines, *duties]
    return duties + [_tax_line(tariff, tax, taxed) for tax in tariff.taxes if tax.per_kwh is None]


def taxed_by(tax: Tax, line_id: str) -> bool:
    """Tell whether a percentage tax is on a line."""
    return (not tax.on or line_id.startswith(tax.on)) and not (
        tax.but_not and line_id.startswith(tax.but_not)
    )


def _duty_line(tariff: Tariff, tax: Tax, imported_kwh: float) -> BillLine:
    billed, price = quantity(tariff, imported_kwh), tax.per_kwh or Decimal(0)
    sentence = tr(
        "{billed:,} kWh imported at {price} {currency}/kWh.",
        billed=billed,
        price=price,
        currency=tariff.currency,
    )
    amount = rounded(tariff, billed * price)
    return BillLine(f"tax.{tax.id}", tax.label, billed, "kWh", price, amount, sentence)


def _tax_line(tariff: Tariff, tax: Tax, lines: Sequence[BillLine]) -> BillLine:
    base = sum((line.amount for line in lines if taxed_by(tax, line.id)), Decimal(0))
    share = tax.percent / 100
    sentence = tr(
        "{percent} % of {base:,} {currency}.", percent=tax.percent, base=base, currency=tariff.currency
    )
    return BillLine(
        f"tax.{tax.id}", tax.label, base, tariff.currency, share, rounded(tariff, base * share), sentence
    )


def of_version(lines: Sequence[BillLine], tariff: Tariff) -> list[BillLine]:
    """Mark lines with the first day of their tariff version, for a billing period that has several."""
    suffix = f"@{tariff.valid_from}" if tariff.valid_from else "@start"
    label = tr("from {valid_from}", valid_from=tariff.valid_from) if tariff.valid_from else tr("before")
    return [
        BillLine(
            line.id + suffix,
            joined(line.label, label),
            line.quantity,
            line.unit,
            line.rate,
            line.amount,
            line.explanation,
        )
        for line in lines
    ]
