"""The sentences about tariffs."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

from billing.models import Tariff as TariffRow
from billing.tariff import Tariff
from billing.tariff.model import DemandCharge, Price
from billing.views.week import price_range
from depot.money import currency_sign, format_money
from depot.words import day_month, mark, tr

PER = {"month": mark("month"), "day": mark("day"), "year": mark("year")}
METHODS = {
    "prices": mark("Exported energy is paid by its hour"),
    "series": mark("Exported energy is paid the market's price"),
    "net_metering": mark("Exported energy is taken off what is imported (net metering)"),
    "net_billing_hourly": mark("Import and export are netted within each hour"),
    "buy_all_sell_all": mark("All generation is sold and all use bought"),
}


def unit_price(amount: Decimal, currency: str, unit: str) -> str:
    """Return a price with as many decimals as it needs, at least two: $0.10/kWh, €147.35/kW."""
    sign = currency_sign(currency)
    digits = f"{amount.normalize():f}"
    whole, _, rest = digits.partition(".")
    number = f"{whole}.{rest.ljust(2, '0')}"
    return f"{sign}{number}/{unit}" if len(sign) <= 3 and not sign.isalpha() else f"{number} {sign}/{unit}"


def tariff_answer(tariff: Tariff, row: TariffRow, year: int) -> str:
    """Say what a kWh costs at the least and at the most, and what a kW of peak adds."""
    low, high = price_range(tariff, year)
    least, most = (unit_price(price, tariff.currency, "kWh") for price in (low, high))
    energy = least if low == high else tr("{least} to {most}", least=least, most=most)
    market = tr("the market's price plus ") if any(component.series for component in tariff.energy) else ""
    peaks = [price for charge in tariff.demand for price in map(_first, charge.prices) if price]
    demand = (
        tr("; a kW of peak costs up to {peaks}", peaks=unit_price(max(peaks), tariff.currency, "kW"))
        if peaks
        else ""
    )
    until = tr(" to {valid_to}", valid_to=_day(row.valid_to)) if row.valid_to else ""
    return tr(
        "{name}, from {valid_from}{until}: {market}{energy}{demand}.",
        name=row.name,
        valid_from=_day(row.valid_from),
        until=until,
        market=market,
        energy=energy,
        demand=demand,
    )


def charges_in_words(tariff: Tariff) -> list[tuple[str, str]]:
    """Return each element of a tariff beside its energy prices: its name and what it charges."""
    currency = tariff.currency
    found = [(charge.label, _demand(charge, currency)) for charge in tariff.demand]
    for block in tariff.subscriptions:
        held = (
            tr("{subscribed_kw} kW subscribed", subscribed_kw=block.subscribed_kw)
            if block.subscribed_kw
            else tr("as many blocks as the peak needs")
        )
        price = format_money(block.price_per_block, currency)
        found.append(
            (
                block.label,
                tr(
                    "{price} per {block_kw} kW block and month, {held}",
                    price=price,
                    block_kw=block.block_kw,
                    held=held,
                ),
            )
        )
    for coincident in tariff.coincident:
        price = unit_price(coincident.price_per_kw, currency, "kW")
        found.append(
            (
                coincident.label,
                tr("{price} on {moments} announced hours", price=price, moments=len(coincident.moments)),
            )
        )
    for fixed in tariff.fixed:
        count = f"{fixed.count} × " if fixed.count != 1 else ""
        found.append(
            (
                fixed.label,
                tr(
                    "{count}{amount} per {per}",
                    count=count,
                    amount=format_money(fixed.amount, currency),
                    per=tr(PER[fixed.per]),
                ),
            )
        )
    if tariff.export is not None:
        found.append((tr("Export"), tr(METHODS[tariff.export.method])))
    if tariff.reactive is not None:
        found.append(
            (tr("Reactive power"), unit_price(tariff.reactive.price, currency, tariff.reactive.unit))
        )
    if tariff.minimum is not None:
        found.append(
            (
                tr("Minimum bill"),
                tr(
                    "{amount} per {per}",
                    amount=format_money(tariff.minimum.amount, currency),
                    per=tr(PER[tariff.minimum.per]),
                ),
            )
        )
    for tax in tariff.taxes:
        amount = f"{tax.percent:f} %" if tax.per_kwh is None else unit_price(tax.per_kwh, currency, "kWh")
        found.append((tax.label, amount))
    return found


def _demand(charge: DemandCharge, currency: str) -> str:
    prices = sorted({_first(price) for price in charge.prices})
    ends = list(dict.fromkeys(unit_price(p, currency, charge.unit) for p in (prices[0], prices[-1])))
    shown = ends[0] if len(ends) == 1 else tr("{least} to {most}", least=ends[0], most=ends[1])
    of = tr("the highest {metering_minutes}-minute mean", metering_minutes=charge.metering_minutes)
    if charge.highest > 1:
        of = tr(
            "the mean of the {highest} highest {metering_minutes}-minute means",
            highest=charge.highest,
            metering_minutes=charge.metering_minutes,
        )
    words = tr("{shown} a {per} for {of}", shown=shown, per=tr(PER[charge.per]), of=of)
    if charge.least_kw:
        words += tr(", at least {least_kw} {unit}", least_kw=charge.least_kw, unit=charge.unit)
    if charge.ratchet:
        words += tr(
            ", at least {percent} % of the peaks of {months_back} months before",
            percent=charge.ratchet.percent,
            months_back=charge.ratchet.months_back,
        )
    return words


def _first(price: Price) -> Decimal:
    """Return what the first kW of a row costs; of step fees nothing can be said per kW."""
    return price.tiers[0].amount if price.tiers else Decimal(0) if price.steps else price.amount


def _day(day: date) -> str:
    return f"{day_month(day)} {day.year}"
