"""Lay the utility's bill beside the depot's: differences line by line, and what may explain each of them.

A suggestion is never more than that: it says which number it rests on, so that a person can check it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta, tzinfo
from decimal import Decimal

from billing.bills.metered import block_peaks, estimated_peak
from billing.tariff import LoadSeries
from depot.money import format_money, minor_units
from depot.words import tr

SAME_SHARE = Decimal("0.002")
"""Quantities this close (0.2 %) are taken as the same reading, rounded otherwise."""
RATCHET_SHARES = tuple(Decimal(percent) for percent in (100, 95, 90, 85, 80, 75, 70, 60, 50))
LEAST_POWER_FACTOR = Decimal("0.8")


@dataclass(frozen=True, slots=True)
class Side:
    """One line as one of the two bills has it; `quantity` None where the utility's bill does not say it."""

    label: str
    quantity: Decimal | None
    unit: str
    amount: Decimal

    @property
    def rate(self) -> Decimal | None:
        """Return the price that quantity and amount imply."""
        return self.amount / self.quantity if self.quantity else None


@dataclass(frozen=True, slots=True)
class Pair:
    """One line of both bills; None where a bill does not have it. `line_id` is that of the depot's bill."""

    line_id: str
    ours: Side | None
    theirs: Side | None

    @property
    def label(self) -> str:
        side = self.ours or self.theirs
        return side.label if side else ""

    @property
    def difference(self) -> Decimal:
        """Return the utility's amount less the depot's."""
        return (self.theirs.amount if self.theirs else Decimal(0)) - (
            self.ours.amount if self.ours else Decimal(0)
        )

    @property
    def more(self) -> Decimal | None:
        """Return the utility's quantity less the depot's, where both say one."""
        if self.ours is None or self.theirs is None or not self.ours.quantity or self.theirs.quantity is None:
            return None
        return self.theirs.quantity - self.ours.quantity


@dataclass(frozen=True, slots=True)
class Facts:
    """What the depot knows of its own bill: the load, earlier peaks by charge, and the whole period."""

    load: LoadSeries
    zone: tzinfo
    start_at: datetime
    end_at: datetime
    currency: str
    peaks: Mapping[str, Mapping[date, Decimal]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the comparison with what may explain its difference."""

    pair: Pair
    agrees: bool
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Reconciled:
    """The comparison: rows, both totals, and what concerns the bill as a whole. `difference` is theirs less ours."""

    rows: tuple[Row, ...]
    ours: Decimal
    theirs: Decimal
    reasons: tuple[str, ...]

    @property
    def difference(self) -> Decimal:
        return self.theirs - self.ours

    @property
    def agrees(self) -> bool:
        """Tell whether no line differs."""
        return not self.difference and all(row.agrees for row in self.rows)


def reconcile(pairs: Sequence[Pair], stated: Decimal, facts: Facts) -> Reconciled:
    """Compare two bills; `stated` is the total that the utility's bill says, which its lines may not add up to."""
    cent = Decimal(1).scaleb(-minor_units(facts.currency))
    rows = []
    for pair in pairs:
        agrees = pair.ours is not None and pair.theirs is not None and abs(pair.difference) < cent
        rows.append(Row(pair, agrees, () if agrees else tuple(_reasons(pair, facts))))
    ours = sum((pair.ours.amount for pair in pairs if pair.ours), Decimal(0))
    return Reconciled(tuple(rows), ours, stated, tuple(_whole(pairs, stated, facts)))


def _reasons(pair: Pair, facts: Facts) -> list[str]:
    """Return what may explain the difference of one line."""
    if pair.theirs is None:
        return [
            tr("The utility's bill has no such line: it may be part of another one, or no longer charged.")
        ]
    if pair.ours is None:
        return [tr("The tariff has no such line. Add it to the tariff if it is charged every month.")]
    if pair.more is None:
        return []
    if _same(pair.theirs.quantity, pair.ours.quantity):
        return [_price_words(pair.ours, pair.theirs, facts)]
    if pair.line_id.startswith("tax"):
        return [tr("It follows from the other lines: the sum that is taxed differs.")]
    if pair.line_id.startswith(("demand", "subscription")):
        return _demand_reasons(pair, facts)
    if pair.line_id.startswith(("energy", "export")):
        return _energy_reasons(pair, facts)
    return []


def _price_words(ours: Side, theirs: Side, facts: Facts) -> str:
    if ours.rate is None or theirs.rate is None or _same(ours.rate, theirs.rate):
        return tr("Quantity and price are the same: the rest is rounding.")
    unit = f"{facts.currency}/{ours.unit}"
    return tr(
        "Same quantity, another price: {theirs:.5f} instead of {ours:.5f} {unit}. Compare the "
        "price sheet, and the day from which it holds.",
        theirs=theirs.rate,
        ours=ours.rate,
        unit=unit,
    )


def _energy_reasons(pair: Pair, facts: Facts) -> list[str]:
    load = facts.load
    estimated = int(load.estimated.sum())
    if not estimated:
        return []
    kwh = float(load.import_kw[load.estimated].sum()) * load.step_minutes / 60
    more = abs(float(pair.more or 0))
    enough = tr("can explain it") if kwh >= more else tr("explain a part at most")
    return [
        tr(
            "{estimated} of our intervals were not measured but estimated, {kwh:,.1f} kWh together: "
            "they {enough}.",
            estimated=estimated,
            kwh=kwh,
            enough=enough,
        )
    ]


def _demand_reasons(pair: Pair, facts: Facts) -> list[str]:
    assert pair.theirs is not None and pair.theirs.quantity is not None  # noqa: S101 – told apart before
    theirs = pair.theirs.quantity
    higher = (pair.more or 0) > 0
    found = _other_metering(theirs, facts) + _ratchet(pair.line_id, theirs, facts)
    if higher:
        found += _unmeasured(facts)
    if not found and higher and pair.ours is not None and pair.ours.quantity:
        factor = pair.ours.quantity / theirs
        if factor >= LEAST_POWER_FACTOR:
            found.append(
                tr(
                    "If the utility bills kVA, a power factor of {factor:.3f} at the peak explains it.",
                    factor=factor,
                )
            )
    return found


def _other_metering(theirs: Decimal, facts: Facts) -> list[str]:
    """Look for the utility's kW among the highest means over other metering intervals."""
    for minutes, (kw, at) in block_peaks(facts.load, facts.zone).items():
        if _same(theirs, Decimal(str(round(kw, 3)))):
            return [
                tr(
                    "Our highest {minutes}-minute mean of all hours is {kw:,.3f} kW, at {at}: the utility "
                    "may meter over {minutes} minutes, or count hours that this line leaves out.",
                    minutes=minutes,
                    kw=kw,
                    at=_local(at, facts),
                )
            ]
    return []


def _ratchet(line_id: str, theirs: Decimal, facts: Facts) -> list[str]:
    charge = line_id.partition("@")[0].split(".")[1]
    for day, kw in sorted(facts.peaks.get(charge, {}).items(), reverse=True):
        for percent in RATCHET_SHARES:
            if _same(theirs, kw * percent / 100):
                return [
                    tr(
                        "It is {percent} % of the {kw:,} kW of {day:%B %Y}: a peak that the utility looks back "
                        "on.",
                        percent=percent,
                        kw=kw,
                        day=day,
                    )
                ]
    return []


def _unmeasured(facts: Facts) -> list[str]:
    top = estimated_peak(facts.load)
    if top is None:
        return []
    kw, at = top
    return [
        tr(
            "Some of our intervals were not measured, the highest at {at} (estimated {kw:,.1f} kW). "
            "An estimated interval sets no peak here; the utility's meter may have seen its peak "
            "then.",
            at=_local(at, facts),
            kw=kw,
        )
    ]


def _whole(pairs: Sequence[Pair], stated: Decimal, facts: Facts) -> list[str]:
    """Return what concerns the whole bill: its sum, its period, its meter."""
    found = []
    entered = sum((pair.theirs.amount for pair in pairs if pair.theirs), Decimal(0))
    if entered != stated:
        found.append(
            tr(
                "The lines that were entered add up to {entered}, the bill says {stated}: a line is "
                "missing or mistyped.",
                entered=format_money(entered, facts.currency),
                stated=format_money(stated, facts.currency),
            )
        )
    missing = (facts.load.start_at - facts.start_at) + max(facts.end_at - facts.load.end_at, timedelta(0))
    if missing > timedelta(0):
        hours = missing / timedelta(hours=1)
        found.append(
            tr("Our ledger lacks {hours:,.1f} h at the beginning or end of the period.", hours=hours)
        )
    return found + _meter(pairs)


def _meter(pairs: Sequence[Pair]) -> list[str]:
    """Look for one factor in all energy, or the same energy split otherwise over the hours."""
    sides = [
        (pair.ours.quantity, pair.theirs.quantity)
        for pair in pairs
        if pair.line_id.startswith("energy") and pair.more is not None and pair.ours and pair.theirs
    ]
    energy = [(ours, theirs) for ours, theirs in sides if ours and theirs]
    if not energy or all(_same(theirs, ours) for ours, theirs in energy):
        return []
    ratios = [theirs / ours for ours, theirs in energy]
    if max(ratios) - min(ratios) < SAME_SHARE:
        share = (sum(ratios, Decimal(0)) / len(ratios) - 1) * 100
        return [
            tr(
                "All energy differs by the same {share:+.2f} %: a meter factor, transformer losses, or "
                "another period.",
                share=share,
            )
        ]
    ours, theirs = (sum(column, Decimal(0)) for column in zip(*energy, strict=True))
    if _same(theirs, ours):
        return [
            tr(
                "The energy agrees as a whole ({ours:,.0f} kWh), its split over the hours does not: "
                "compare the hours of the price sheet, its holidays, and the clock of the meter.",
                ours=ours,
            )
        ]
    return []


def _same(one: Decimal | None, other: Decimal | None) -> bool:
    if one is None or other is None:
        return False
    return abs(one - other) <= SAME_SHARE * max(abs(one), abs(other))


def _local(at: datetime, facts: Facts) -> str:
    return f"{at.astimezone(facts.zone):%Y-%m-%d %H:%M}"
