"""Name why a target is missed."""

from dataclasses import dataclass, replace

import numpy as np

from charging.planner.case import BoolArray, FloatArray
from charging.planner.devices import Problem, node_members, problem_of
from charging.planner.duties import Target
from charging.planner.phases import PhaseLimits, phase_limits
from depot.words import mark

TIGHT_KW = 1e-3
TIGHT_KWH = 1e-3

AWAY = mark("away")
BELOW_MINIMUM = mark("below minimum")
CHARGER_POWER = mark("charger power")
MAXIMUM_SOC = mark("maximum SoC")
ORDER = mark("a person's order")
PLUGGED_IN_TOO_LATE = mark("plugged in too late")
PRICE = mark("price")
SITE_LIMIT = mark("site limit")
WINDOW = mark("window too short for its power")


@dataclass(frozen=True, slots=True, eq=False)
class Circumstances:
    """What a plan does, as far as the cause of a missed target needs it; powers are (D, T), energies (D, T + 1).

    `members` (nodes, D) tells which devices hang below which node, `node_kw` (nodes, T) what they draw together, and
    `site_kw` (T,) what is drawn before the sun; `phase_kw` (P, T) is what stands on the `phases`.
    """

    problem: Problem
    charge_kw: FloatArray
    energy_kwh: FloatArray
    members: BoolArray
    node_kw: FloatArray
    site_kw: FloatArray
    phases: PhaseLimits
    phase_kw: FloatArray

    @classmethod
    def of(
        cls, problem: Problem, charge_kw: FloatArray, net_kw: FloatArray, energy_kwh: FloatArray
    ) -> "Circumstances":
        """Return the circumstances of a plan's powers and energies."""
        members = node_members(problem.case, problem.devices)
        site_kw = problem.case.site.building_load_kw + net_kw.sum(axis=0)
        phases = phase_limits(problem.case, problem.devices)
        phase_kw = phases.load_kw(net_kw)
        return cls(problem, charge_kw, energy_kwh, members, members @ net_kw, site_kw, phases, phase_kw)


def cause_of_shortfall(now: Circumstances, device: int, target: Target) -> str:
    """Return the binding cause: what the device alone cannot do, else the limit it shares, else the price."""
    wanted = target.soc * now.problem.devices.capacity_kwh[device]
    slowed = _slowed_by_order(now, device, target)
    if now.problem.envelope.fullest_kwh[device, target.boundary] < wanted - TIGHT_KWH:
        if slowed and _fullest_without_orders(now, device, target) >= wanted - TIGHT_KWH:
            return ORDER
        return _cause_alone(now, device, target)
    cause = _cause_shared(now, device, target)
    return f"{cause} and {ORDER}" if slowed else cause


def _slowed_by_order(now: Circumstances, device: int, target: Target) -> bool:
    """Tell whether a person ordered the device to hold or limited its power before a target."""
    if device >= now.problem.devices.vehicle_count:
        return False
    orders = now.problem.case.vehicles[device].overrides
    return any(item.kind in ("hold", "limit") and item.rules(0, target.boundary) for item in orders)


def _fullest_without_orders(now: Circumstances, device: int, target: Target) -> float:
    case = now.problem.case
    free = replace(case.vehicles[device], overrides=())
    alone = problem_of(replace(case, vehicles=(free,), storage=()))
    return float(alone.envelope.fullest_kwh[0, target.boundary])


def _cause_alone(now: Circumstances, device: int, target: Target) -> str:
    devices, boundary = now.problem.devices, target.boundary
    wanted = target.soc * devices.capacity_kwh[device]
    if wanted > devices.ceiling_kwh[device] + TIGHT_KWH:
        return MAXIMUM_SOC
    if device >= devices.vehicle_count + devices.battery_count:
        return WINDOW
    if boundary == 0:
        return PLUGGED_IN_TOO_LATE
    plugged = devices.plugged[device, :boundary]
    if not plugged.any() or not plugged[-1]:
        return AWAY
    if devices.charge_limit_kw[device].max() <= 0.0:
        return CHARGER_POWER
    if not plugged.all():
        return PLUGGED_IN_TOO_LATE
    if devices.initial_kwh[device] < devices.floor_kwh[device]:
        return BELOW_MINIMUM
    return CHARGER_POWER


def _cause_shared(now: Circumstances, device: int, target: Target) -> str:
    """Find a limit that is reached while the device could still have charged more before its target."""
    case, devices = now.problem.case, now.problem.devices
    room = now.energy_kwh[device, 1:] < devices.ceiling_kwh[device] - TIGHT_KWH
    taken = devices.tapers.most_kw(now.energy_kwh[:, :-1])[device]
    slower = now.charge_kw[device] < np.minimum(devices.charge_limit_kw[device], taken) - TIGHT_KW
    open_steps = np.flatnonzero((slower & room)[: target.boundary])
    charger = devices.charger_index[device]
    if charger >= 0:
        shared = now.charge_kw[devices.charger_index == charger].sum(axis=0)
        if (shared[open_steps] > case.chargers[charger].max_charge_kw - TIGHT_KW).any():
            return CHARGER_POWER
    for row, node in enumerate(case.site.nodes):
        if (
            now.members[row, device]
            and (now.node_kw[row] >= node.import_limit_kw - TIGHT_KW)[open_steps].any()
        ):
            return f"feeder {node.id}"
    phases = now.phases
    for row, name in enumerate(phases.names):
        at_limit = now.phase_kw[row] >= phases.limits_kw[row] - TIGHT_KW
        if phases.shares[row, device] > 0.0 and at_limit[open_steps].any():
            return f"feeder {name}"
    if (now.site_kw - case.site.solar_kw >= case.site.import_limit_kw - TIGHT_KW)[open_steps].any():
        return SITE_LIMIT
    return PRICE if target.tier == "should" else SITE_LIMIT
