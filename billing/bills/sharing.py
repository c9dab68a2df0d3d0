"""Share a bill among vehicles and the rest of the site, so that the parts are the bill to the cent.

The rule, line by line (docs/algorithms/bills.md):

* energy and export: a kWh into a vehicle costs what the depot paid for a kWh in that interval, a kWh out of it
  earns the same; in an interval in which the site sold, it is the credit. The rest of these lines is the site's.
* demand: in proportion to what each drew, net, in the interval that set the peak. One that discharged then has
  a part below zero. A peak of which that is not known is shared like the other lines.
* all others: in proportion to the kWh each used, vehicles by what was charged, the site by its building's load.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Literal

from depot.money import round_money

LineKind = Literal["energy", "demand", "other"]


@dataclass(frozen=True, slots=True)
class LineToShare:
    """A line of a bill. `peak_kw` is the site's import in the interval that set a demand line's peak."""

    id: str
    kind: LineKind
    amount: Decimal
    peak_kw: float | None = None


@dataclass(frozen=True, slots=True)
class Use:
    """What a vehicle did in the period: kWh in and out, the worth of both together, and kW at each peak by line."""

    charged_kwh: float
    given_kwh: float
    worth: Decimal
    at_peak_kw: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Share:
    """A part of a bill, each amount in the currency's smallest unit."""

    energy: Decimal = Decimal(0)
    demand: Decimal = Decimal(0)
    other: Decimal = Decimal(0)

    @property
    def total(self) -> Decimal:
        return self.energy + self.demand + self.other

    def __add__(self, more: Share) -> Share:
        return Share(self.energy + more.energy, self.demand + more.demand, self.other + more.other)


@dataclass(frozen=True, slots=True)
class SharedBill:
    """The parts of the vehicles by key and that of the rest of the site: together the bill, exactly."""

    vehicles: dict[int, Share]
    site: Share

    @property
    def total(self) -> Decimal:
        return sum((share.total for share in self.vehicles.values()), self.site.total)


def share_bill(
    lines: Sequence[LineToShare], uses: Mapping[int, Use], building_kwh: float, currency: str
) -> SharedBill:
    """Return the parts of a bill. What rounding leaves over is the site's."""
    parts = {key: _share(lines, use, uses, building_kwh, currency) for key, use in uses.items()}
    vehicles = sum(parts.values(), Share())
    return SharedBill(
        parts,
        Share(
            _sum(lines, "energy") - vehicles.energy,
            _sum(lines, "demand") - vehicles.demand,
            _sum(lines, "other") - vehicles.other,
        ),
    )


def _share(
    lines: Sequence[LineToShare], use: Use, uses: Mapping[int, Use], building_kwh: float, currency: str
) -> Share:
    used = building_kwh + sum(one.charged_kwh for one in uses.values())
    by_kwh = Decimal(str(use.charged_kwh / used)) if used > 0 else Decimal(0)
    demand = sum((_demand(line, use, by_kwh) for line in lines if line.kind == "demand"), Decimal(0))
    return Share(
        round_money(use.worth, currency),
        round_money(demand, currency),
        round_money(_sum(lines, "other") * by_kwh, currency),
    )


def _demand(line: LineToShare, use: Use, by_kwh: Decimal) -> Decimal:
    if not line.peak_kw or line.id not in use.at_peak_kw:
        return line.amount * by_kwh
    return line.amount * Decimal(str(use.at_peak_kw[line.id] / line.peak_kw))


def _sum(lines: Sequence[LineToShare], kind: LineKind) -> Decimal:
    return sum((line.amount for line in lines if line.kind == kind), Decimal(0))


def split(amount: Decimal, weights: Mapping[str, float], currency: str) -> dict[str, Decimal]:
    """Return an amount in proportion to weights of 0 or more, rounded; the greatest weight takes what is left over.

    Without any weight nobody has a part.
    """
    total = sum(weights.values())
    if total <= 0:
        return {}
    parts = {
        key: round_money(amount * Decimal(str(weight / total)), currency) for key, weight in weights.items()
    }
    greatest = max(parts, key=lambda key: weights[key])
    parts[greatest] += amount - sum(parts.values(), Decimal(0))
    return parts
