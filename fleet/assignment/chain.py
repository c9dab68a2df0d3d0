"""Can one vehicle do this work by time and by range? Its charge is followed from block to block."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from fleet.assignment.case import AssignmentCase, Candidate, Work

TOLERANCE_SOC = 1e-6


def in_order(work: Sequence[Work]) -> list[Work]:
    """Return work as it leaves."""
    return sorted(work, key=lambda one: (one.leaves_at, one.returns_at, one.id))


def clashes(one: Work, other: Work) -> bool:
    """Tell whether both are out at the same moment."""
    return one.leaves_at < other.returns_at and other.leaves_at < one.returns_at


def absent(vehicle: Candidate, work: Work) -> bool:
    """Tell whether a vehicle is not to be had while the work is done."""
    return any(begin < work.returns_at and work.leaves_at < end for begin, end in vehicle.absences)


def could_do(case: AssignmentCase, vehicle: Candidate, work: Work) -> bool:
    """Tell whether a vehicle could do this work if it did nothing else."""
    return not absent(vehicle, work) and unreachable(case, vehicle, [work]) is None


def unreachable(case: AssignmentCase, vehicle: Candidate, work: Sequence[Work]) -> tuple[Work, ...] | None:
    """Return the shortest run of `work` (in its order) that the battery does not allow; None when all can be done.

    Between two pieces of work the vehicle charges at its full power, up to its highest SoC; it must leave with
    the SoC the work requires. The run begins where the battery was full the last time, or at the start: more
    work in between can only make it worse, so the run is impossible whatever else the vehicle does. Fixed work
    that comes before all other work of the run is let be: a person decided it. Raises KeyError for work that the
    vehicle's kind does not fit.
    """
    soc, at = vehicle.soc, case.start_at
    run: list[Work] = []
    for one in work:
        demand = case.demands[one.id, vehicle.id]
        soc += vehicle.charge_kw * _hours(at, one.leaves_at) / vehicle.capacity_kwh
        if soc >= vehicle.max_soc:
            soc, run = vehicle.max_soc, []
        run.append(one)
        if soc < demand.required_soc - TOLERANCE_SOC and not all(one.fixed for one in run):
            return tuple(run)
        soc -= demand.energy_kwh / vehicle.capacity_kwh
        at = one.returns_at
    return None


def _hours(begin: datetime, end: datetime) -> float:
    return max(0.0, (end - begin).total_seconds() / 3600)
