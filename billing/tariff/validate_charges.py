"""Check each charge of a tariff by itself: tiers that rise, rules that fit together."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

from billing.tariff.model import DemandCharge, EnergyComponent, Export, Price, Tariff, Tier
from billing.tariff.problems import Problem
from depot.words import tr


def check_charges(tariff: Tariff) -> list[Problem]:
    """Return every fault inside a charge (empty = sound)."""
    problems: list[Problem] = []
    for component in tariff.energy:
        problems += _energy(tariff, component)
    for charge in tariff.demand:
        problems += _demand(charge)
    problems += _export(tariff, tariff.export) if tariff.export else []
    problems += [
        Problem(f"subscriptions/{charge.id}", tr("overage without subscribed_kw"), tr("Give subscribed_kw"))
        for charge in tariff.subscriptions
        if charge.overage and charge.subscribed_kw is None
    ]
    problems += [
        Problem(
            f"taxes/{tax.id}", tr("a duty per kWh is on imported energy only"), tr("Remove on and but_not")
        )
        for tax in tariff.taxes
        if tax.per_kwh is not None and (tax.on or tax.but_not)
    ]
    months = tariff.proration
    if months and months.whole_from_days > months.whole_to_days:
        problems.append(
            Problem("proration", tr("whole_from_days is above whole_to_days"), tr("Exchange them"))
        )
    return problems


def _energy(tariff: Tariff, component: EnergyComponent) -> list[Problem]:
    place = f"energy/{component.id}"
    problems = _tier_faults(place, component.prices)
    if component.tier_demand and component.tier_demand not in {charge.id for charge in tariff.demand}:
        message = tr("demand charge '{tier_demand}' is not defined", tier_demand=component.tier_demand)
        problems.append(Problem(f"{place}/tier_demand", message, tr("Name a charge of 'demand'")))
    return problems


def _demand(charge: DemandCharge) -> list[Problem]:
    place = f"demand/{charge.id}"
    problems = _tier_faults(place, charge.prices)
    extended = charge.ratchet or charge.highest > 1 or charge.mean_of_periods > 1 or charge.least_kw
    stepped = any(price.tiers or price.steps for price in charge.prices)
    if charge.per != "month" and (extended or stepped):
        message = tr("a price per {per} stands beside a rule for months", per=charge.per)
        cure = tr("Remove ratchet, highest, mean_of_periods, least_kw, tiers and steps, or per")
        problems.append(Problem(place, message, cure))
    seasonal = any(when.seasons for price in charge.prices for when in price.when)
    if charge.per == "year" and (len(charge.prices) > 1 or seasonal):
        message = tr("a price per year has several rows or seasons")
        problems.append(Problem(place, message, tr("Give one row without seasons, or a charge for each")))
    return problems


def _export(tariff: Tariff, export: Export) -> list[Problem]:
    if export.method in ("prices", "buy_all_sell_all") and not (export.prices or export.series):
        message = tr("method '{method}' has no prices", method=export.method)
        return [Problem("export", message, tr("Add them or remove export"))]
    if export.method == "net_metering" and not all(component.prices for component in tariff.energy):
        message = tr("net metering takes kWh off price rows, and a component has none")
        return [Problem("export", message, tr("Give every energy component prices, or use another method"))]
    return []


def _tier_faults(place: str, prices: Iterable[Price]) -> list[Problem]:
    return [
        Problem(
            f"{place}/prices/{price.id}/{name}",
            message,
            tr("Let up_to rise, and leave it out in the last one"),
        )
        for price in prices
        for name, tiers in (("tiers", price.tiers), ("steps", price.steps))
        if (message := _tier_fault(tiers))
    ]


def _tier_fault(tiers: tuple[Tier, ...]) -> str:
    if not tiers:
        return ""
    limits = [tier.up_to for tier in tiers]
    if limits[-1] is not None:
        return tr("nothing is priced above {limits}", limits=limits[-1])
    if any(limit is None for limit in limits[:-1]):
        return tr("up_to is missing before the last one")
    rises = all(a < b for a, b in pairwise(limits[:-1]) if a is not None and b is not None)
    return "" if rises else tr("up_to does not rise")
