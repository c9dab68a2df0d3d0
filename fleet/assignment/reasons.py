"""Say why a proposal gives work to another vehicle."""

from __future__ import annotations

from collections.abc import Mapping

from depot.words import listed, tr
from fleet.assignment.case import AssignmentCase, Work
from fleet.assignment.chain import absent, in_order, unreachable
from fleet.assignment.propose import Proposed

NOTICEABLE_SOH = 0.005


def reason(case: AssignmentCase, found: Proposed, work: Work, names: Mapping[str, str]) -> str:
    """Return the sentence for one change; `names` are those of vehicles and work by id."""
    vehicles = {one.id: one for one in case.vehicles}
    new_id = found.vehicle_of[work.id]
    if new_id is None:
        return tr("No vehicle can do it: all are away, out of service, or their charge does not reach.")
    if work.present is None:
        return tr("It had no vehicle.")
    old, new = vehicles.get(work.present), vehicles[new_id]
    if old is None or absent(old, work):
        return tr("{present} is out of service then.", present=names.get(work.present, "Its vehicle"))
    before = [one for one in in_order(case.work) if one.present == old.id]
    run = unreachable(case, old, before)
    if run is not None and work in run:
        return tr(
            "The charge of {names} does not reach: {run}.", names=names[old.id], run=_blocks(run, names)
        )
    energy_kwh = case.demands[work.id, new.id].energy_kwh
    if new.soh < old.soh - NOTICEABLE_SOH:
        weak = tr("{names} has the weaker battery ({soh:.0%})", names=names[new.id], soh=new.soh)
        return tr(
            "{weak} and gets the shorter block, {energy_kwh:.0f} kWh.", weak=weak, energy_kwh=energy_kwh
        )
    if new.soh > old.soh + NOTICEABLE_SOH:
        return tr(
            "It spares {names}, whose battery is weaker ({soh:.0%}; {names2} {soh2:.0%}).",
            names=names[old.id],
            soh=old.soh,
            names2=names[new.id],
            soh2=new.soh,
        )
    return tr("It makes room for another change: {names} is needed elsewhere.", names=names[old.id])


def _blocks(run: tuple[Work, ...], names: Mapping[str, str]) -> str:
    return listed(names[one.id] for one in run[-3:])
