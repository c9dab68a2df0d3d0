"""Bill energy and export: prices by row, tiers, market series, monthly riders, and netting rules."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal

import numpy as np

from billing.tariff.calendar import Floats, Ints, active_row
from billing.tariff.demand import slices
from billing.tariff.metering import Meter
from billing.tariff.model import EnergyComponent, Export, Price, SeriesPrice, Tariff
from billing.tariff.money import joined, quantity, rate, rounded, times
from billing.tariff.result import BillLine
from billing.tariff.sheet import Sheet
from depot.words import tr

NETTED_MINUTES = 60


@dataclass(frozen=True, eq=False)
class Flows:
    """Hold a sheet's imported and exported kWh per fine step, after any hourly netting, and their sums."""

    import_kwh: Floats
    export_kwh: Floats
    rows: dict[str, Floats]
    import_sums: dict[str, Floats]
    export_sums: dict[str, Floats]
    series_sums: dict[str, Floats]
    imported: Floats
    exported: Floats


@dataclass(slots=True)
class Bank:
    """Hold exported kWh that net metering has still to credit, by component and price row."""

    kwh: dict[tuple[str, str], Decimal] = field(default_factory=dict)

    def settle(
        self, component: EnergyComponent, net: dict[str, Decimal]
    ) -> dict[str, tuple[Decimal, Decimal]]:
        """Return what is billed and what was credited per row, and keep the surplus.

        Credits go to their own price row first; those of rows that this period does not have go to its rows
        in order.
        """
        left: dict[str, Decimal] = {}
        for row, kwh in net.items():
            key = (component.id, row)
            self.kwh[key] = self.kwh.get(key, Decimal(0)) + max(-kwh, Decimal(0))
            left[row] = self._use(key, max(kwh, Decimal(0)))
        absent = [price.id for price in component.prices if price.id not in net]
        for row, wanted in left.items():
            for other in absent:
                wanted = self._use((component.id, other), wanted)  # noqa: PLW2901
            left[row] = wanted
        return {row: (left[row], max(net[row], Decimal(0)) - left[row]) for row in net}

    def _use(self, key: tuple[str, str], wanted: Decimal) -> Decimal:
        """Take credits off what is wanted and return the rest of it."""
        used = min(wanted, self.kwh.get(key, Decimal(0)))
        if used:
            self.kwh[key] -= used
        return wanted - used

    def total(self, component: EnergyComponent) -> Decimal:
        """Return the kWh a component still has to credit."""
        return sum((kwh for (id, _), kwh in self.kwh.items() if id == component.id), Decimal(0))


def flows_of(sheet: Sheet, banked: bool = False) -> Flows:
    """Sum a sheet's energy by component, price row and billing period, in one pass over its arrays.

    `banked` says that net metering has kWh of earlier periods to credit, though nothing may be exported now.
    """
    imported = sheet.fine(sheet.load.import_kw) * sheet.hours
    exported = sheet.fine(sheet.load.export_kw) * sheet.hours
    export = sheet.tariff.export
    if export is not None and export.method == "net_billing_hourly":
        imported, exported = _netted(sheet, imported, exported)
    everything = np.zeros(imported.size, dtype=np.int64)
    exports = banked or bool(exported.any())
    flows = Flows(imported, exported, {}, {}, {}, {}, *_totals(sheet, everything, imported, exported))
    for component in sheet.tariff.energy:
        if component.prices:
            row = active_row(sheet.tariff, component.prices, sheet.steps)
            flows.rows[component.id] = sheet.sums(row, len(component.prices), np.ones_like(imported))
            flows.import_sums[component.id] = sheet.sums(row, len(component.prices), imported)
            if exports and export is not None and export.method == "net_metering":
                flows.export_sums[component.id] = sheet.sums(row, len(component.prices), exported)
        elif component.series is not None and sheet.load.import_price_per_kwh is not None:
            price = sheet.fine(series_price(component.series, sheet.load.import_price_per_kwh))
            flows.series_sums[component.id] = sheet.sums(everything, 1, imported * price)[:, 0]
    return flows


def _totals(sheet: Sheet, everything: Ints, imported: Floats, exported: Floats) -> tuple[Floats, Floats]:
    return sheet.sums(everything, 1, imported)[:, 0], sheet.sums(everything, 1, exported)[:, 0]


def _netted(sheet: Sheet, imported: Floats, exported: Floats) -> tuple[Floats, Floats]:
    """Take import and export of each clock hour off each other; the rest keeps the larger one's shape."""
    steps = sheet.steps
    shift = int(steps.local_minute[0] - steps.utc_minute[0])
    hour = (steps.utc_minute + shift) // NETTED_MINUTES
    hour -= hour[0]
    drawn, fed = np.bincount(hour, weights=imported), np.bincount(hour, weights=exported)
    kept_import = np.divide(np.maximum(drawn - fed, 0), drawn, out=np.zeros_like(drawn), where=drawn > 0)
    kept_export = np.divide(np.maximum(fed - drawn, 0), fed, out=np.zeros_like(fed), where=fed > 0)
    return imported * kept_import[hour], exported * kept_export[hour]


def series_price(series: SeriesPrice, market_per_kwh: Floats) -> Floats:
    """Return market price x factor + adder, held within floor and cap, per kWh."""
    price = market_per_kwh * float(series.factor) + float(series.adder_per_kwh)
    low = -np.inf if series.floor_per_kwh is None else float(series.floor_per_kwh)
    high = np.inf if series.cap_per_kwh is None else float(series.cap_per_kwh)
    return np.asarray(np.clip(price, low, high))


def energy_lines(
    sheet: Sheet, index: int, flows: Flows, billed_kw: dict[str, Decimal], meter: Meter, bank: Bank
) -> list[BillLine]:
    """Bill the energy of one billing period, component by component."""
    lines: list[BillLine] = []
    for component in sheet.tariff.energy:
        if component.series is not None:
            cost = flows.series_sums[component.id][index]
            lines.append(_series_line(sheet.tariff, component, flows.imported[index], cost))
        elif component.monthly:
            lines += _monthly_lines(sheet, index, component, flows)
        else:
            scale = _tier_scale(sheet, index, component, billed_kw, meter)
            lines += _priced_lines(sheet, index, component, (flows, scale, bank))
    return lines


def _priced_lines(
    sheet: Sheet, index: int, component: EnergyComponent, given: tuple[Flows, Decimal, Bank]
) -> list[BillLine]:
    flows, scale, bank = given
    there = flows.rows[component.id][index]
    kwh = flows.import_sums[component.id][index]
    if component.id not in flows.export_sums:
        if not any(price.tiers for price in component.prices):
            return [
                _flat_line(sheet.tariff, component, price, quantity(sheet.tariff, kwh[number]))
                for number, price in enumerate(component.prices)
                if there[number]
            ]
        amounts = {
            p.id: (quantity(sheet.tariff, kwh[n]), "") for n, p in enumerate(component.prices) if there[n]
        }
        return _tiered(sheet.tariff, component, amounts, scale)
    fed = flows.export_sums[component.id][index]
    net = {
        p.id: quantity(sheet.tariff, kwh[n]) - quantity(sheet.tariff, fed[n])
        for n, p in enumerate(component.prices)
        if there[n]
    }
    settled = bank.settle(component, net)
    words = {
        p.id: (
            settled[p.id][0],
            tr(
                " ({tariff:,} imported less {tariff2:,} exported, less {settled:,} of earlier credit)",
                tariff=quantity(sheet.tariff, kwh[n]),
                tariff2=quantity(sheet.tariff, fed[n]),
                settled=settled[p.id][1],
            ),
        )
        for n, p in enumerate(component.prices)
        if there[n]
    }
    return _tiered(sheet.tariff, component, words, scale)


def _tiered(
    tariff: Tariff,
    component: EnergyComponent,
    amounts: dict[str, tuple[Decimal, str]],
    scale: Decimal,
) -> list[BillLine]:
    """Bill rows by tiers: tiers fill on the component's total, each row takes its share of every tier."""
    total = sum((kwh for kwh, _ in amounts.values()), Decimal(0))
    lines = []
    for price in component.prices:
        if price.id not in amounts:
            continue
        kwh, words = amounts[price.id]
        if not price.tiers:
            lines.append(_flat_line(tariff, component, price, kwh, words))
            continue
        part = kwh / total if total else Decimal(0)
        for number, (filled, tier) in enumerate(slices(total, price.tiers, scale), start=1):
            limit = (
                ""
                if tier.up_to is None
                else tr(" up to {tariff:,} kWh", tariff=quantity(tariff, tier.up_to * scale))
            )
            billed = quantity(tariff, filled * part)
            sentence = tr(
                "{billed:,} kWh{words} in tier {number}{limit}, of {total:,} kWh in all, at {amount} "
                "{currency}/kWh.",
                billed=billed,
                words=words,
                number=number,
                limit=limit,
                total=total,
                amount=tier.amount,
                currency=tariff.currency,
            )
            lines.append(
                BillLine(
                    f"energy.{component.id}.{price.id}.t{number}",
                    joined(component.label, price.label, tr("tier {number}", number=number)),
                    billed,
                    "kWh",
                    tier.amount,
                    rounded(tariff, billed * tier.amount),
                    sentence,
                )
            )
    return lines


def _tier_scale(
    sheet: Sheet, index: int, component: EnergyComponent, billed_kw: dict[str, Decimal], meter: Meter
) -> Decimal:
    """Return what the tiers' limits are multiplied by: share of a month, days, billing demand in kW."""
    basis = component.tier_basis
    if basis == "kwh":
        return times(Decimal(1), sheet.share(index).fraction)
    scale = Decimal(sheet.covered_days[index]) if basis.endswith("per_day") else Decimal(1)
    if basis.startswith("kwh_per_kw"):
        if component.tier_demand:
            scale *= billed_kw.get(component.tier_demand, Decimal(0))
        else:
            top = meter.highest_kw(index)
            scale *= quantity(sheet.tariff, top[0]) if top else Decimal(0)
    return scale


def _flat_line(
    tariff: Tariff, component: EnergyComponent, price: Price, kwh: Decimal, words: str = ""
) -> BillLine:
    return BillLine(
        f"energy.{component.id}.{price.id}",
        joined(component.label, price.label),
        kwh,
        "kWh",
        price.amount,
        rounded(tariff, kwh * price.amount),
        tr(
            "{kwh:,} kWh imported{words} at {amount} {currency}/kWh.",
            kwh=kwh,
            words=words,
            amount=price.amount,
            currency=tariff.currency,
        ),
    )


def _series_line(tariff: Tariff, component: EnergyComponent, kwh: float, cost: float) -> BillLine:
    """Bill the kWh of a component whose price follows the load's series; the rate shown is the mean."""
    billed = quantity(tariff, kwh)
    amount = rounded(tariff, Decimal(repr(float(cost))))
    mean = _mean_rate(amount, billed)
    sentence = tr(
        "{billed:,} kWh imported, each interval at its own price, on average {mean} {currency}/kWh.",
        billed=billed,
        mean=mean,
        currency=tariff.currency,
    )
    return BillLine(f"energy.{component.id}", component.label, billed, "kWh", mean, amount, sentence)


def _monthly_lines(sheet: Sheet, index: int, component: EnergyComponent, flows: Flows) -> list[BillLine]:
    """Bill a monthly rider: a line for each calendar month that the billing period touches."""
    tariff, prices = sheet.tariff, dict(component.monthly)
    mine = np.flatnonzero(sheet.period == index)
    months = sheet.steps.day[mine].astype("datetime64[D]").astype("datetime64[M]").astype(np.int64)
    lines = []
    for month in np.unique(months):
        number = int(month // 12 + 1970) * 100 + int(month % 12) + 1
        kwh = quantity(tariff, float(flows.import_kwh[mine[months == month]].sum()))
        price = prices[number]
        lines.append(
            BillLine(
                f"energy.{component.id}.{number // 100}-{number % 100:02d}",
                joined(component.label, f"{number // 100}-{number % 100:02d}"),
                kwh,
                "kWh",
                price,
                rounded(tariff, kwh * price),
                tr(
                    "{kwh:,} kWh imported at this month's price of {price} {currency}/kWh.",
                    kwh=kwh,
                    price=price,
                    currency=tariff.currency,
                ),
            )
        )
    return lines


def export_sums(sheet: Sheet, flows: Flows) -> Floats | None:
    """Return exported kWh by billing period and export price row, or what a price series pays for them."""
    export = sheet.tariff.export
    if export is None or not flows.export_kwh.any() or export.method == "net_metering":
        return None
    if export.series is not None and sheet.load.export_price_per_kwh is not None:
        price = sheet.fine(series_price(export.series, sheet.load.export_price_per_kwh))
        everything = np.zeros(flows.export_kwh.size, dtype=np.int64)
        return sheet.sums(everything, 1, flows.export_kwh * price)
    row = active_row(sheet.tariff, export.prices, sheet.steps)
    return sheet.sums(row, len(export.prices), flows.export_kwh)


def export_lines(sheet: Sheet, index: int, flows: Flows, sums: Floats | None, bank: Bank) -> list[BillLine]:
    """Credit the export of one billing period; rates and amounts of credits are negative."""
    export = sheet.tariff.export
    if export is None:
        return []
    if export.method == "net_metering":
        return _bank_lines(sheet, index, export, flows, bank)
    if sums is None:
        return []
    if export.series is not None:
        return [_export_series_line(sheet.tariff, flows.exported[index], sums[index, 0])]
    return [
        _export_line(sheet.tariff, price, sums[index, number])
        for number, price in enumerate(export.prices)
        if sums[index, number]
    ]


def _bank_lines(sheet: Sheet, index: int, export: Export, flows: Flows, bank: Bank) -> list[BillLine]:
    """Show the kWh that roll on, or pay for them when the true-up month ends."""
    tariff, left = sheet.tariff, bank.total(sheet.tariff.energy[0])
    end = sheet.spans[index].end
    at_true_up = end.month == export.true_up_month % 12 + 1 and end.day <= sheet.spans[index].days
    if not left:
        return []
    if not at_true_up:
        sentence = tr("{left:,} kWh of export credit roll on to the next billing period.", left=left)
        zero = Decimal(0)
        return [BillLine("export.credit", tr("Export credit"), left, "kWh", zero, zero, sentence)]
    price = export.true_up_price_per_kwh
    bank.kwh.clear()
    sentence = tr(
        "The year's surplus of {left:,} kWh is settled at {price} {currency}/kWh.",
        left=left,
        price=price,
        currency=tariff.currency,
    )
    amount = rounded(tariff, -left * price)
    return [BillLine("export.true_up", tr("Export true-up"), left, "kWh", -price, amount, sentence)]


def _export_line(tariff: Tariff, price: Price, kwh: float) -> BillLine:
    billed = quantity(tariff, kwh)
    sentence = tr(
        "{billed:,} kWh exported, paid {amount} {currency}/kWh.",
        billed=billed,
        amount=price.amount,
        currency=tariff.currency,
    )
    amount = rounded(tariff, -billed * price.amount)
    label = joined(tr("Export"), price.label)
    return BillLine(f"export.{price.id}", label, billed, "kWh", -price.amount, amount, sentence)


def _export_series_line(tariff: Tariff, kwh: float, credit: float) -> BillLine:
    billed = quantity(tariff, kwh)
    amount = rounded(tariff, -Decimal(repr(float(credit))))
    mean = _mean_rate(amount, billed)
    sentence = tr(
        "{billed:,} kWh exported, each interval at its own price, on average {mean} {currency}/kWh.",
        billed=billed,
        mean=-mean,
        currency=tariff.currency,
    )
    return BillLine("export.series", tr("Export"), billed, "kWh", mean, amount, sentence)


def _mean_rate(amount: Decimal, billed: Decimal) -> Decimal:
    return rate(amount / billed) if billed else Decimal(0)
