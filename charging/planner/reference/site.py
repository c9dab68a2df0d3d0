"""What the depot shares: flexible loads, nodes with their phases, chargers, the grid connection, demand charges."""

from itertools import pairwise

import pulp

from charging.planner.case import Charger, Storage
from charging.planner.demand import DemandCharge
from charging.planner.reference.model import Model, switch_of, variable
from charging.planner.rolling import Previous
from charging.planner.values import UNLIMITED, FlexibleLoad


def add_flexible_load(model: Model, number: int, load: FlexibleLoad) -> None:
    """Add a load that draws its energy at any time in its window; what it lacks counts as a missed "must"."""
    powers = []
    model.load_kw.append([0.0] * model.case.steps)
    for step in range(load.from_step, load.to_step):
        power = variable(f"f_{number}_{step}", load.max_kw)
        model.draw(load.node, None, step, power)
        model.load_kw[-1][step] = power
        powers.append(power)
    missing = variable(f"fm_{number}")
    model.add(model.case.hours * pulp.lpSum(powers) + missing == load.energy_kwh)
    model.must_missing.append(missing)


def add_shared_limits(model: Model) -> None:
    """Add the limits of nodes, of their phases, and of chargers with all that hang on them."""
    for node in model.case.site.nodes:
        for step, net in enumerate(model.node_net[node.id]):
            if node.import_limit_kw[step] < UNLIMITED:
                model.add(net <= float(node.import_limit_kw[step]))
            if node.export_limit_kw[step] < UNLIMITED:
                model.add(net >= -float(node.export_limit_kw[step]))
        _add_phases(model, node.id)
    for charger in model.case.chargers:
        for step in range(model.case.steps):
            users = model.charger_use.get(f"{charger.id} {step}", [])
            model.add(pulp.lpSum(charge for charge, _ in users) <= charger.max_charge_kw)
            model.add(pulp.lpSum(discharge for _, discharge in users) <= charger.max_discharge_kw)


def _add_phases(model: Model, name: str) -> None:
    """Hold each phase of a node: its single-phase net plus a third of what is on all three."""
    node = next(item for item in model.case.site.nodes if item.id == name)
    if node.phase_limit_kw is None:
        return
    for step, net in enumerate(model.node_net[name]):
        limit = float(node.phase_limit_kw[step])
        singles = [model.phase_net[name, phase][step] for phase in (1, 2, 3)]
        third = (net - pulp.lpSum(singles)) * (1.0 / 3.0)
        for single in singles:
            if limit < UNLIMITED:
                model.add(single + third <= limit)
                model.add(single + third >= -limit)


def add_changes(model: Model, before: Previous) -> None:
    """Price by how much the first steps of each vehicle and battery differ from what the last plan was about to do."""
    names = [*(item.id for item in model.case.vehicles), *(item.id for item in model.case.storage)]
    for number, (name, store) in enumerate(zip(names, model.stores, strict=True)):
        for step, net in enumerate(before.net_kw.get(name, ())):
            changed = variable(f"ch_{number}_{step}")
            model.add(changed >= store.charge[step] - store.discharge[step] - net)
            model.add(changed >= net - store.charge[step] + store.discharge[step])
            model.penalty.append(before.price_per_kw * changed)


def add_site(model: Model) -> None:
    """Add the grid connection: balance, limits with what is beyond them in kWh, and the energy cost."""
    case, site, hours = model.case, model.case.site, model.case.hours
    reach = site_reach_kw(model)
    for step in range(case.steps):
        solar = variable(f"solar_{step}", float(site.solar_kw[step]))
        if not site.solar_curtailable:
            model.add(solar == float(site.solar_kw[step]))
        import_kw, export_kw = variable(f"import_{step}"), variable(f"export_{step}")
        model.add(import_kw - export_kw == model.net[step] - solar)
        if model.switches:
            importing = switch_of(model, f"importing_{step}")
            model.add(import_kw <= reach * importing)
            model.add(export_kw <= reach * (1 - importing))
        # Beyond a limit there is only what building and sun alone put there; vehicles and batteries add nothing.
        load, sun = float(site.building_load_kw[step]), float(site.solar_kw[step])
        forced = 0.0 if site.solar_curtailable else sun
        for flow, limit, alone in (
            (import_kw, float(site.import_limit_kw[step]), load - sun),
            (export_kw, float(site.export_limit_kw[step]), forced - load),
        ):
            if limit < UNLIMITED:
                over = variable(f"over_{flow.name}", max(0.0, alone - limit))
                model.add(flow <= limit + over)
                model.excess.append(hours * over)
        model.cost.append(hours * float(case.prices.import_per_kwh[step]) * import_kw)
        model.cost.append(-hours * float(case.prices.export_per_kwh[step]) * export_kw)
        model.imports.append(import_kw)
        model.exports.append(export_kw)


def site_reach_kw(model: Model) -> float:
    """Return a power that no flow at the grid connection can exceed."""
    case, site = model.case, model.case.site
    stations: list[Charger | Storage] = [*case.chargers, *case.storage]
    return 10.0 * (
        sum(item.max_charge_kw + item.max_discharge_kw for item in stations)
        + sum(load.max_kw for load in case.flexible_loads)
        + float(abs(site.building_load_kw).max() + site.solar_kw.max() + 1.0)
    )


def add_demand(model: Model, number: int, charge: DemandCharge) -> None:
    """Add one peak a billing period above every metering interval's mean; price it above what is billed."""
    first_minute = model.case.start.hour * 60 + model.case.start.minute
    intervals: dict[tuple[int, int], list[object]] = {}
    for step, import_kw in enumerate(model.imports):
        if charge.window[step]:
            interval = (first_minute + step * model.case.step_minutes) // charge.metering_minutes
            intervals.setdefault((int(charge.period[step]), interval), []).append(import_kw)
    billed = [float(value) for value in charge.billed_kw_so_far]
    peaks = [variable(f"peak_{number}_{period}", None, value) for period, value in enumerate(billed)]
    for (period, _), powers in intervals.items():
        model.add(peaks[period] >= pulp.lpSum(powers) * (1.0 / len(powers)))
    if not charge.tiers:
        model.cost.append(charge.price_per_kw * (pulp.lpSum(peaks) - sum(billed)))
        return
    edges = [tier.from_kw for tier in charge.tiers]
    for period, peak in enumerate(peaks):
        # A dearer block is never taken before a cheaper one is full, because prices rise.
        parts = [
            variable(f"part_{number}_{period}_{k}", None if high == UNLIMITED else high - low)
            for k, (low, high) in enumerate(pairwise([*edges, UNLIMITED]))
        ]
        model.add(pulp.lpSum(parts) == peak)
        pairs = zip(charge.tiers, parts, strict=True)
        so_far = _tiered_cost(charge, billed[period])
        model.cost.append(pulp.lpSum(tier.price_per_kw * part for tier, part in pairs) - so_far)


def _tiered_cost(charge: DemandCharge, peak_kw: float) -> float:
    """Return what a peak costs in all: each kW at the price of the tier that it lies in."""
    ends = [*(tier.from_kw for tier in charge.tiers[1:]), UNLIMITED]
    return sum(
        tier.price_per_kw * max(0.0, min(peak_kw, end) - tier.from_kw)
        for tier, end in zip(charge.tiers, ends, strict=True)
    )
