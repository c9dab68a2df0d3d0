"""What a plan makes of a person's orders: those that the site left no room for, and words for the others."""

from collections.abc import Callable

import numpy as np

from charging.planner.case import Vehicle
from charging.planner.causes import Circumstances, cause_of_shortfall
from charging.planner.duties import Target
from charging.planner.overrides import Override
from charging.planner.plan import ExceededLimit
from depot.words import tr

MISSING_KWH = 1e-3


def unheeded_orders(now: Circumstances) -> list[ExceededLimit]:
    """Return each span of boundaries at which a vehicle holds less than an order to charge now asks for."""
    found = []
    devices = now.problem.devices
    missing = np.maximum(0.0, devices.ordered_kwh - now.energy_kwh)
    for device in np.flatnonzero((missing > MISSING_KWH).any(axis=1)).tolist():
        marked = np.r_[False, missing[device] > MISSING_KWH, False].astype(np.int8)
        for start, end in np.flatnonzero(np.diff(marked)).reshape(-1, 2).tolist():
            soc = float(devices.ordered_kwh[device, end - 1] / devices.capacity_kwh[device])
            cause = cause_of_shortfall(now, device, Target(end - 1, soc, "must"))
            worst = float(missing[device, start:end].max())
            found.append(ExceededLimit("charge_now", devices.ids[device], start, end, worst, "kWh", cause))
    return found


def orders_told(vehicle: Vehicle, start: int, end: int, clock: Callable[[int], str]) -> str:
    """Return what a person ordered for a vehicle over the half-open steps as "; "-joined clauses, "" for nothing."""
    return "; ".join(_told(item, clock) for item in vehicle.overrides if item.rules(start, end))


def _told(item: Override, clock: Callable[[int], str]) -> str:
    until = tr("until {to_step}", to_step=clock(item.to_step))
    if item.kind == "charge_now":
        return tr("a person ordered it to charge now to {soc:.0f} %", soc=100 * (item.soc or 0.0))
    if item.kind == "hold":
        return tr("a person ordered it to hold {until}", until=until)
    if item.kind == "no_discharge":
        return tr("a person ordered that it is not discharged {until}", until=until)
    return tr("a person ordered at most {max_kw:g} kW {until}", max_kw=item.max_kw or 0.0, until=until)
