"""What chargers may do by themselves when nobody steers them: the plan's charging, cut so that it needs no discharge.

A plan may let one vehicle charge with what another gives, or with the sun. Chargers that have lost the server go on
charging by what they hold, but nothing discharges then. So what they hold for that time is made for a depot in which

* nothing discharges, neither vehicles nor batteries, and the sun gives nothing (a cloud is enough for that);
* the building draws its forecast, batteries and flexible loads take what the plan gives them, and plugs without a
  vehicle of the plan take their charger's safe level.

Every node, phase and the grid connection hold their import limits in that depot. Where they could not, vehicles with
the most time left are cut first, and get back what was cut where there is room: later, or earlier if they leave.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np

from charging.planner.case import BoolArray, DepotCase, FloatArray, IntArray
from charging.planner.conversion import Conversion
from charging.planner.devices import Problem, node_members, problem_of
from charging.planner.fallback import latest_needs
from charging.planner.phases import phase_limits
from charging.planner.plan import DepotPlan

NEAR_STEPS = 2
"""For so many steps chargers are told the plan itself; a plan comes every step, so these are always fresh."""
TOLERANCE_KW = 1e-6


@dataclass(frozen=True, slots=True, eq=False)
class Offline:
    """Charging powers (steps,) in kW by vehicle id for chargers on their own.

    `relies`: in the near steps a charger that cannot drop to these powers by itself charges with what others give, or
    discharges. Then nobody may drop to them before the near steps are over.
    """

    charge_kw: dict[str, FloatArray]
    relies: bool


@dataclass(frozen=True, slots=True, eq=False)
class _Limits:
    """L limits on import: the share of each vehicle (L, V), and the room (L, T) left for vehicles."""

    shares: FloatArray
    room_kw: FloatArray

    def hold(self, charge_kw: FloatArray, step: int) -> bool:
        """Tell whether charging powers (D,) fit in a step; a limit that is exceeded without them is none of theirs."""
        load = self.shares @ charge_kw
        return bool(np.all((load <= self.room_kw[:, step] + TOLERANCE_KW) | (load <= TOLERANCE_KW)))


def offline_powers(
    case: DepotCase,
    plan: DepotPlan,
    *,
    first: int = 0,
    slow: Collection[str] = (),
    reserved_kw: Mapping[str | None, float] | None = None,
) -> Offline:
    """Return what each vehicle of `plan` may be charged with from step `first` on by a charger on its own.

    `slow` are vehicles at chargers that cannot tell by themselves that the link is dead (before OCPP 2.1): they do the
    plan itself in the near steps, and others make room for them. `reserved_kw` is kept free at a node (None = the grid
    connection). Powers before `first` are 0. Every vehicle must have a charger of its own.
    """
    problem = problem_of(case)
    count = len(case.vehicles)
    rows = {vehicle.id: row for row, vehicle in enumerate(case.vehicles)}
    planned = np.stack([plan.vehicles[vehicle.id].charge_kw for vehicle in case.vehicles] or [np.zeros(0)])
    limits = _limits(problem, plan, reserved_kw or {})
    late = np.isin(np.arange(count), [rows[name] for name in slow])
    charge, relies = np.zeros((count, case.steps)), False
    if count:
        charge, relies = _walk(problem, planned, limits, late, first)
    near = slice(first, first + NEAR_STEPS)
    relies |= any(bool(np.any(plan.vehicles[name].discharge_kw[near] > TOLERANCE_KW)) for name in slow)
    return Offline({name: charge[row] for name, row in rows.items()}, relies)


def _limits(problem: Problem, plan: DepotPlan, reserved_kw: Mapping[str | None, float]) -> _Limits:
    """Return the limits of grid connection, nodes, phases and chargers, less what others than vehicles draw."""
    case, devices = problem.case, problem.devices
    members, phases = node_members(case, devices), phase_limits(case, devices)
    count = devices.vehicle_count
    drawn = [plan.storage[item.id].charge_kw for item in case.storage]
    drawn += [plan.flexible_loads[item.id].power_kw for item in case.flexible_loads]
    others = np.array(drawn).reshape(-1, case.steps)
    idle = _reserved(case, reserved_kw)
    site = case.site.import_limit_kw - case.site.building_load_kw - others.sum(axis=0)
    nodes = np.array([node.import_limit_kw for node in case.site.nodes]).reshape(-1, case.steps)
    phased = [row for row, node in enumerate(case.site.nodes) if node.phase_limit_kw is not None]
    stations = np.array([charger.max_charge_kw for charger in case.chargers])
    plugged = devices.charger_index[None, :count] == np.arange(len(stations))[:, None]
    shares = [np.ones((1, count)), members[:, :count], phases.shares[:, :count], plugged]
    room = [
        (site - sum(reserved_kw.values()))[None, :],
        nodes - members[:, count:] @ others - idle[:, None],
        phases.limits_kw - phases.shares[:, count:] @ others - idle[phased].repeat(3)[:, None] / 3,
        stations[:, None].repeat(case.steps, axis=1),
    ]
    return _Limits(np.concatenate(shares).astype(float), np.concatenate(room))


def _reserved(case: DepotCase, reserved_kw: Mapping[str | None, float]) -> FloatArray:
    """Return what is reserved at each node and below it, in kW."""
    rows = {node.id: row for row, node in enumerate(case.site.nodes)}
    total = np.zeros(len(rows))
    for place, power_kw in reserved_kw.items():
        name = place
        while name is not None:
            total[rows[name]] += power_kw
            name = case.site.nodes[rows[name]].parent
    return total


def _walk(
    problem: Problem, planned: FloatArray, limits: _Limits, late: BoolArray, first: int
) -> tuple[FloatArray, bool]:
    """Go through the steps; return the powers, and whether a late charger's near steps break a limit."""
    case, devices = problem.case, problem.devices
    count = len(planned)
    conversion = devices.conversion(case.hours).of(slice(count))
    least, most = latest_needs(problem)[:count], devices.charge_limit_kw[:count]
    ceiling, use = devices.ceiling_kwh[:count], devices.use_kwh[:count]
    plugged = np.pad(devices.plugged[:count], ((0, 0), (0, 1)), mode="edge")
    energy = devices.initial_kwh[:count].copy()
    charge, owed, relies = np.zeros_like(planned), np.zeros(count), False
    for step in range(first, case.steps):
        near = step < first + NEAR_STEPS
        fixed = np.where(late & near, planned[:, step], 0.0)
        relies |= not limits.hold(fixed, step)
        meant = conversion.stored_kwh(planned[:, step])
        wanted = np.maximum(planned[:, step], conversion.charge_for(meant + owed))
        wanted = np.minimum(wanted, np.maximum(most[:, step], planned[:, step]))
        wanted = np.where(late & near, 0.0, wanted)
        if limits.hold(fixed + wanted, step):
            given = wanted
        else:
            full = conversion.stored_kwh(np.maximum(most[:, step], 1e-9)).clip(1e-9)
            slack = (energy - least[:, step]) / full
            order = np.argsort(slack, kind="stable").astype(np.int64)
            given = _share(limits, step, order, fixed, (wanted, devices.least_charge_kw[:count]))
        charge[:, step] = fixed + given
        stored = conversion.stored_kwh(charge[:, step])
        owed = np.maximum(owed + meant - stored, 0.0)
        energy = np.minimum(energy + stored, np.maximum(ceiling, energy)) - use[:, step]
        for row in np.flatnonzero(plugged[:, step] & ~plugged[:, step + 1] & (owed > TOLERANCE_KW)):
            begin = first + NEAR_STEPS * int(late[row])
            earlier = _bring_forward(
                charge, limits, int(row), range(step, begin - 1, -1), (conversion, most[row]), owed[row]
            )
            owed[row] -= earlier
            energy[row] += earlier
    return charge, relies


def _bring_forward(
    charge: FloatArray,
    limits: _Limits,
    row: int,
    back: range,
    able: tuple[Conversion, FloatArray],
    missing_kwh: float,
) -> float:
    """Charge a vehicle that is about to leave more in the steps before, where there is room; return the kWh stored.

    `able` says what powers store, and the most power by step. `back` are the steps to look at, the latest first; they
    end where the vehicle came (the most is 0 before). Powers are changed in place.
    """
    conversion, most_kw = able
    loaded = limits.shares[:, row] > 0.0
    missing = missing_kwh
    for step in back:
        if most_kw[step] <= 0.0 or missing <= TOLERANCE_KW:
            break
        room = (limits.room_kw[:, step] - limits.shares @ charge[:, step])[loaded] / limits.shares[
            loaded, row
        ]
        stored, powers = conversion.stored_kwh(charge[:, step]), charge[:, step].copy()
        stored[row] += missing
        more = float(conversion.charge_for(stored)[row] - powers[row])
        powers[row] += min(more, float(most_kw[step] - powers[row]), float(room.min()))
        gained = float((conversion.stored_kwh(powers) - conversion.stored_kwh(charge[:, step]))[row])
        if gained > TOLERANCE_KW:
            charge[row, step] = powers[row]
            missing -= gained
    return missing_kwh - missing


def _share(
    limits: _Limits, step: int, order: IntArray, fixed: FloatArray, wishes: tuple[FloatArray, FloatArray]
) -> FloatArray:
    """Give each vehicle in order what it wants of what is left, nothing where that is less than its least power."""
    wanted, least = wishes
    room = limits.room_kw[:, step] - limits.shares @ fixed
    given = np.zeros_like(wanted)
    for row in order:
        if wanted[row] <= 0.0:
            continue
        loaded = limits.shares[:, row] > 0.0
        power = min(wanted[row], float((room[loaded] / limits.shares[loaded, row]).min()))
        if power >= max(least[row], TOLERANCE_KW):
            given[row] = power
            room -= limits.shares[:, row] * power
    return given
