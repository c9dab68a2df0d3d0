"""The rules that the linear programme leaves out, and the reading of powers from its answer."""

from dataclasses import replace

import numpy as np

from charging.planner.case import BoolArray, FloatArray
from charging.planner.devices import Devices, Problem, node_members
from charging.planner.earnings import most_earned
from charging.planner.formulation import Formulation
from charging.planner.gates import Gates
from charging.planner.phases import phase_limits
from charging.planner.settle import Decision, changed_kw, energy_path, path_of, stored_kwh

POWER_KW = 1e-5
RULE_KWH = 1e-4
TAPER_KW = 2e-4
LEAST_KW = 2e-4
LOST_KW = 2e-5


def decision_from(form: Formulation, values: FloatArray) -> Decision:
    """Return the powers of an answer, within their limits and without the solver's dust."""
    programme = form.programme
    clean = np.clip(values[: len(programme.cost)], programme.lower, programme.upper)
    powers = []
    for places in (form.charge_at, form.discharge_at):
        power = np.where(places >= 0, clean[places], 0.0)
        powers.append(np.where(power > POWER_KW, power, 0.0))
    return Decision(powers[0], powers[1], clean[form.solar_columns])


def promised_path(problem: Problem, form: Formulation, values: FloatArray) -> FloatArray:
    """Return the energies (D, T + 1) that an answer counts on: what it says is lost may be less than what is."""
    promised = np.zeros(problem.devices.use_kwh.shape)
    for places, per_unit in form.powers.kwh_per_unit(problem.devices, problem.case.hours):
        promised += np.where(places >= 0, values[places], 0.0) * per_unit
    return path_of(problem, promised)


def untrue_losses(problem: Problem, form: Formulation, values: FloatArray) -> tuple[BoolArray, BoolArray]:
    """Return the steps (D, T) for which an answer counts on less, and on more, than is lost with its power there."""
    devices = problem.devices
    less, more = (np.zeros(devices.use_kwh.shape, dtype=bool) for _ in range(2))
    for (at, lost_at), side in zip(form.powers.pairs(), devices.sides(), strict=True):
        device, step = np.nonzero(lost_at >= 0)
        power = values[at[device, step]]
        counted = values[lost_at[device, step]] + side.loss_kw[device] * power / side.most_kw[device, step]
        lost = np.where(power > POWER_KW, side.loss_kw[device], 0.0)
        less[device, step] |= counted < lost - LOST_KW
        more[device, step] |= counted > lost + LOST_KW
    return less, more


def kept_one_way(problem: Problem, decision: Decision) -> Decision:
    """Replace charge and discharge at once by the one that stores the same energy, where that costs nothing.

    It leaves more power at the site. That is never worse where no reserve is sold, prices are not negative and the
    export limits, of the site, of every node and of every phase, still hold; elsewhere the answer stays as it is, and
    so does what devices with a loss do.
    """
    case, devices = problem.case, problem.devices
    both = (decision.charge_kw > 0.0) & (decision.discharge_kw > 0.0) & ~devices.lossy()[:, None]
    if not both.any():
        return decision
    stored = stored_kwh(problem, decision) / case.hours
    charge = np.maximum(stored, 0.0) / devices.charge_efficiency[:, None]
    discharge = np.maximum(-stored, 0.0) * devices.discharge_efficiency[:, None]
    # What is left of both may be too little for one: then a switch has to decide.
    both &= (charge == 0.0) | (charge >= devices.least_charge_kw[:, None])
    both &= (discharge == 0.0) | (discharge >= devices.least_discharge_kw[:, None])
    single = Decision(
        np.where(both, charge, decision.charge_kw),
        np.where(both, discharge, decision.discharge_kw),
        decision.solar_used_kw,
    )
    surplus = single.solar_used_kw - case.site.building_load_kw - _net(single).sum(axis=0)
    export_limit = np.where(case.prices.export_per_kwh < 0.0, 0.0, case.site.export_limit_kw)
    curtailed = np.clip(surplus - export_limit, 0.0, single.solar_used_kw)
    if case.site.solar_curtailable:
        surplus = surplus - curtailed
        single = replace(single, solar_used_kw=single.solar_used_kw - curtailed)
    free = (case.prices.import_per_kwh >= 0.0) & (surplus <= export_limit + POWER_KW)
    for node, members in zip(case.site.nodes, node_members(case, devices), strict=True):
        free &= -_net(single)[members].sum(axis=0) <= node.export_limit_kw + POWER_KW
    phases = phase_limits(case, devices)
    free &= (np.abs(phases.load_kw(_net(single))) <= phases.limits_kw + POWER_KW).all(axis=0)
    free &= both.any(axis=0)
    if case.reserve is not None and case.reserve.frequency is not None:
        # Reserve hangs on the power itself.
        free &= case.reserve.frequency.pay_per_kw_h == 0.0
    return Decision(
        np.where(free, single.charge_kw, decision.charge_kw),
        np.where(free, single.discharge_kw, decision.discharge_kw),
        np.where(free, single.solar_used_kw, decision.solar_used_kw),
    )


def _net(decision: Decision) -> FloatArray:
    return decision.charge_kw - decision.discharge_kw


def broken_rules(problem: Problem, decision: Decision, path: FloatArray) -> Gates:
    """Return where powers, with the energies (D, T + 1) that they are thought to lead to, break a rule.

    Both ways at once, discharge below the floor, charge above maximum or taper, less than the least power.
    """
    devices = problem.devices
    charging, discharging = decision.charge_kw > POWER_KW, decision.discharge_kw > POWER_KW
    after = path[:, 1:]
    return Gates(
        direction=np.zeros(problem.case.steps, dtype=bool),
        one_way=charging & discharging,
        floor=discharging & (after < devices.discharge_floor_kwh[:, None] - RULE_KWH),
        ceiling=charging & (after > devices.ceiling_kwh[:, None] + RULE_KWH),
        tail=decision.charge_kw > devices.tapers.most_kw(path[:, :-1]) + TAPER_KW,
        bands=np.zeros_like(charging),
        least=_too_little(decision, devices, lossy=False),
        loss=_too_little(decision, devices, lossy=True),
    )


def _too_little(decision: Decision, devices: Devices, lossy: bool) -> BoolArray:
    """Return where a power is above nothing and below the least one, on sides with a loss or on those without."""
    found = np.zeros(decision.charge_kw.shape, dtype=bool)
    for power, side in zip((decision.charge_kw, decision.discharge_kw), devices.sides(), strict=True):
        rows = (side.loss_kw > 0.0) == lossy
        found |= rows[:, None] & (power > POWER_KW) & (power < side.least_kw[:, None] - LEAST_KW)
    return found


def both_directions(problem: Problem, form: Formulation, values: FloatArray) -> BoolArray:
    """Return the steps (T,) where an answer imports and exports at once and gains by it."""
    imports, exports = (values[item].sum(axis=0) for item in (form.import_columns, form.export_columns))
    both: BoolArray = gains_both_ways(problem) & (imports > POWER_KW) & (exports > POWER_KW)
    return both


def gains_both_ways(problem: Problem) -> BoolArray:
    """Return the steps (T,) where importing and exporting at once could pay, if it were allowed."""
    prices = problem.case.prices
    gains: BoolArray = prices.export_per_kwh > prices.import_per_kwh
    for event in problem.case.events:
        if event.kind == "export":
            # What flows both ways could reach an event's least power.
            gains[event.from_step : event.to_step] = True
    return gains


def penalty_of(problem: Problem, decision: Decision) -> float:
    """Return the price of missed "should" targets, as far as they can be reached, and of changes to the last plan."""
    path = energy_path(problem, decision)
    devices, fullest = problem.devices, problem.envelope.fullest_kwh
    before = problem.case.previous
    penalty = 0.0 if before is None else before.price_per_kw * changed_kw(problem, decision)
    for device, targets in enumerate(devices.targets):
        for target in targets:
            if target.tier == "should":
                wanted = min(target.soc * devices.capacity_kwh[device], fullest[device, target.boundary])
                penalty += target.price_per_kwh * max(0.0, float(wanted - path[device, target.boundary]))
    return penalty


def cheapest_thinkable(problem: Problem) -> float:
    """Return a crude but proven lower bound of the cost: every step at its cheapest possible net power.

    A step's energy cost is piecewise linear in the net power, so its least lies at an end or at zero; wear and
    demand charges are never negative, and events and reserve earn at most what their power allows.
    """
    case, devices = problem.case, problem.devices
    site, prices = case.site, case.prices
    most = site.building_load_kw + devices.charge_limit_kw.sum(axis=0)
    least = site.building_load_kw - devices.discharge_limit_kw.sum(axis=0) - site.solar_kw
    if not site.solar_curtailable:
        most = most - site.solar_kw
    ends = np.stack([least, most, np.clip(0.0, least, most)])
    cost = np.maximum(ends, 0.0) * prices.import_per_kwh - np.maximum(-ends, 0.0) * prices.export_per_kwh
    return case.hours * float(cost.min(axis=0).sum()) - most_earned(case, devices)
