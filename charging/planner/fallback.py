"""The plan without a solver: charge what leaves soonest first, inside every limit; never discharge.

It is what the depot falls back on, so it uses arithmetic only and always ends.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from charging.planner.case import BoolArray, FloatArray, IntArray
from charging.planner.devices import Problem, node_members
from charging.planner.phases import PhaseLimits, phase_limits
from charging.planner.settle import Decision, energy_path
from charging.planner.taper import least_before


@dataclass(frozen=True, slots=True, eq=False)
class _Headroom:
    """What is left to charge with in one step; taking it away is the only change."""

    site_kw: FloatArray
    nodes_kw: FloatArray
    phases_kw: FloatArray
    chargers_kw: FloatArray


def fallback_decision(
    problem: Problem,
    begun: Decision | None = None,
    begun_steps: int = 0,
    held_kw: FloatArray | None = None,
) -> Decision:
    """Return powers by least laxity first; the first `begun_steps` steps are those of `begun`.

    `held_kw` (T) is an import above which nothing is charged, such as a demand peak that is to be held.

    Laxity is how long a device could still wait and yet meet its next needs at full power. Every device is charged
    to what its next departure (and what follows it) needs; surplus solar power that may neither be exported nor
    curtailed is charged on top where there is room.
    """
    case, devices = problem.case, problem.devices
    least, goal = latest_needs(problem), _goals(problem)
    members, phases = node_members(case, devices), phase_limits(case, devices)
    conversion = devices.conversion(case.hours)
    full = conversion.stored_kwh(np.maximum(devices.charge_limit_kw, 1e-9)).clip(1e-9)
    charge, discharge = np.zeros_like(devices.use_kwh), np.zeros_like(devices.use_kwh)
    if begun is not None:
        charge[:, :begun_steps] = begun.charge_kw[:, :begun_steps]
        discharge[:, :begun_steps] = begun.discharge_kw[:, :begun_steps]
    energy = energy_path(problem, Decision(charge, discharge, case.site.solar_kw))[:, begun_steps]
    site = case.site
    for step in range(begun_steps, case.steps):
        headroom = _headroom(problem, phases, step, held_kw)
        limit = np.minimum(devices.charge_limit_kw[:, step], devices.tapers.most_kw(energy))
        order = np.argsort((energy - least[:, step]) / full[:, step], kind="stable").astype(np.int64)
        for ceiling in (np.minimum(goal[:, step], devices.ceiling_kwh), devices.ceiling_kwh):
            wanted_kw = conversion.charge_for(ceiling - energy) - charge[:, step]
            wanted_kw = np.clip(wanted_kw, 0.0, limit - charge[:, step])
            room_kw = np.minimum(conversion.charge_for(devices.ceiling_kwh - energy), limit)
            least_kw = np.maximum(0.0, devices.least_charge_kw - charge[:, step])
            wanted_kw = np.where(wanted_kw > 0.0, np.maximum(wanted_kw, least_kw), 0.0)
            wanted_kw = np.minimum(wanted_kw, room_kw - charge[:, step])
            charge[:, step] += _share(
                problem, headroom, (members, phases.shares), order, (wanted_kw, least_kw)
            )
            surplus_kw = site.solar_kw[step] - site.building_load_kw[step] - charge[:, step].sum()
            surplus_kw -= site.export_limit_kw[step]
            if site.solar_curtailable or surplus_kw <= 0.0:
                break
            headroom.site_kw[0] = min(headroom.site_kw[0], surplus_kw)
        energy += conversion.stored_kwh(charge[:, step]) - devices.use_kwh[:, step]
    return Decision(charge, discharge, solar_used(problem, charge))


def peaks_held(problem: Problem, peaks_kw: Mapping[str, Sequence[float]], share: float) -> FloatArray:
    """Return the import in each step that holds every demand peak between what is billed (0) and `peaks_kw` (1).

    `peaks_kw` are those of charging without regard to them: by charge, one a billing period.
    """
    held = problem.case.site.import_limit_kw.copy()
    for charge in problem.case.demand_charges:
        if charge.price_per_kw <= 0.0 and not charge.tiers:
            continue
        billed, peaks = charge.billed_kw_so_far, np.asarray(peaks_kw[charge.id])
        least = billed + share * np.maximum(0.0, peaks - billed)
        held = np.where(charge.window, np.minimum(held, least[charge.period]), held)
    return held


def _headroom(problem: Problem, phases: PhaseLimits, step: int, held_kw: FloatArray | None) -> _Headroom:
    case = problem.case
    site = case.site
    limit = site.import_limit_kw if held_kw is None else held_kw
    free = limit[step] - site.building_load_kw[step] + site.solar_kw[step]
    return _Headroom(
        site_kw=np.array([max(0.0, free)]),
        nodes_kw=np.array([node.import_limit_kw[step] for node in site.nodes]),
        phases_kw=phases.limits_kw[:, step].copy(),
        chargers_kw=np.array([charger.max_charge_kw for charger in case.chargers]),
    )


def _share(
    problem: Problem,
    headroom: _Headroom,
    above_it: tuple[BoolArray, FloatArray],
    order: IntArray,
    wishes: tuple[FloatArray, FloatArray],
) -> FloatArray:
    """Give each device, in order, what it wants of what is left above it: nodes, and phases by their shares.

    A device whose wish and least power (kW) are `wishes` gets nothing where less than the least is left.
    """
    members, shares = above_it
    wanted_kw, least_kw = wishes
    given = np.zeros_like(wanted_kw)
    for device in order:
        if wanted_kw[device] <= 0.0:
            continue
        above, loaded = members[:, device], shares[:, device] > 0.0
        charger = problem.devices.charger_index[device]
        power = min(
            wanted_kw[device],
            headroom.site_kw[0],
            headroom.nodes_kw[above].min(initial=np.inf),
            (headroom.phases_kw[loaded] / shares[loaded, device]).min(initial=np.inf),
            headroom.chargers_kw[charger] if charger >= 0 else np.inf,
        )
        if power < least_kw[device]:
            continue
        given[device] = power
        headroom.site_kw[0] -= power
        headroom.nodes_kw[above] -= power
        headroom.phases_kw[loaded] -= power * shares[loaded, device]
        if charger >= 0:
            headroom.chargers_kw[charger] -= power
    return given


def _needed_at(problem: Problem) -> FloatArray:
    """Return the energy asked for at each boundary: targets of both tiers, minimum and orders, (D, T + 1)."""
    devices = problem.devices
    needed = np.repeat(devices.floor_kwh[:, None], problem.case.steps + 1, axis=1)
    for device, targets in enumerate(devices.targets):
        for target in targets:
            wanted = target.soc * devices.capacity_kwh[device]
            needed[device, target.boundary] = max(needed[device, target.boundary], wanted)
    needed = np.maximum(needed, devices.ordered_kwh)
    return np.minimum(needed, devices.ceiling_kwh[:, None])


def latest_needs(problem: Problem) -> FloatArray:
    """Return the least energy at each boundary from which all later needs can be met at full power."""
    devices, hours = problem.devices, problem.case.hours
    needs = _needed_at(problem)
    gain = devices.conversion(hours).stored_kwh(devices.charge_limit_kw)
    rate = hours * devices.charge_efficiency, hours * devices.charge_loss_kw
    for step in range(problem.case.steps - 1, -1, -1):
        after = needs[:, step + 1] + devices.use_kwh[:, step]
        later = least_before(after, gain[:, step], rate, devices.tapers)
        needs[:, step] = np.maximum(needs[:, step], later)
    return needs


def _goals(problem: Problem) -> FloatArray:
    """Return the energy to charge to in each step: the most that is needed until the device has left, (D, T)."""
    devices = problem.devices
    latest, needed = latest_needs(problem), _needed_at(problem)
    goals = np.empty_like(devices.use_kwh)
    goal = needed[:, -1]
    for step in range(problem.case.steps - 1, -1, -1):
        leaves = ~devices.plugged[:, step]
        goals[:, step] = np.where(leaves, latest[:, step], goal)
        goal = np.where(leaves, latest[:, step], np.maximum(goal, needed[:, step]))
    return goals


def solar_used(problem: Problem, charge_kw: FloatArray) -> FloatArray:
    """Use solar power for the load first, and export the rest where that is allowed and pays."""
    site, prices = problem.case.site, problem.case.prices
    if not site.solar_curtailable:
        return site.solar_kw
    load = site.building_load_kw + charge_kw.sum(axis=0)
    outlet = np.where(prices.export_per_kwh >= 0.0, site.export_limit_kw, 0.0)
    used: FloatArray = np.clip(load + outlet, 0.0, site.solar_kw)
    return used
