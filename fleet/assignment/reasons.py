"""Say why a proposal gives work to another vehicle."""

from __future__ import annotations

from collections.abc import Mapping

from fleet.assignment.case import AssignmentCase, Work
from fleet.assignment.chain import absent, in_order, unreachable
from fleet.assignment.propose import Proposed

NOTICEABLE_SOH = 0.005


def reason(case: AssignmentCase, found: Proposed, work: Work, names: Mapping[str, str]) -> str:
    """Return the sentence for one change; `names` are those of vehicles and work by id."""
    vehicles = {one.id: one for one in case.vehicles}
    new_id = found.vehicle_of[work.id]
    if new_id is None:
        return "No vehicle can do it: all are away, out of service, or their charge does not reach."
    if work.present is None:
        return "It had no vehicle."
    old, new = vehicles.get(work.present), vehicles[new_id]
    if old is None or absent(old, work):
        return f"{names.get(work.present, 'Its vehicle')} is out of service then."
    before = [one for one in in_order(case.work) if one.present == old.id]
    run = unreachable(case, old, before)
    if run is not None and work in run:
        return f"The charge of {names[old.id]} does not reach: {_blocks(run, names)}."
    energy_kwh = case.demands[work.id, new.id].energy_kwh
    if new.soh < old.soh - NOTICEABLE_SOH:
        weak = f"{names[new.id]} has the weaker battery ({new.soh:.0%})"
        return f"{weak} and gets the shorter block, {energy_kwh:.0f} kWh."
    if new.soh > old.soh + NOTICEABLE_SOH:
        return f"It spares {names[old.id]}, whose battery is weaker ({old.soh:.0%}; {names[new.id]} {new.soh:.0%})."
    return f"It makes room for another change: {names[old.id]} is needed elsewhere."


def _blocks(run: tuple[Work, ...], names: Mapping[str, str]) -> str:
    return " and ".join(names[one.id] for one in run[-3:])
