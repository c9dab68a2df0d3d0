"""What an assignment is made of: pieces of work, vehicles that could do them, and who does them at present."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from depot.words import tr


@dataclass(frozen=True, slots=True)
class Work:
    """One run of a block: away in [leaves_at, returns_at). `fixed` = it stays with its present vehicle."""

    id: str
    leaves_at: datetime
    returns_at: datetime
    present: str | None = None
    fixed: bool = False


@dataclass(frozen=True, slots=True)
class Candidate:
    """A vehicle, with what its battery holds now (kWh), its SoC window, and the power that reaches the battery.

    `soc` (0..1) is its charge at the case's start; `soh` the share of the new capacity that is left. It is not
    to be had during `absences` (half-open).
    """

    id: str
    capacity_kwh: float
    max_soc: float
    charge_kw: float
    soc: float
    soh: float
    absences: Sequence[tuple[datetime, datetime]] = ()


@dataclass(frozen=True, slots=True)
class Demand:
    """What a piece of work takes when a certain vehicle does it: energy in kWh, and the SoC it must leave with."""

    energy_kwh: float
    required_soc: float


@dataclass(frozen=True, slots=True)
class AssignmentCase:
    """Work and vehicles from `start_at` on; `demands` has an entry (work, vehicle) where the vehicle's kind fits."""

    start_at: datetime
    work: Sequence[Work]
    vehicles: Sequence[Candidate]
    demands: Mapping[tuple[str, str], Demand] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, ids in (
            ("work", [one.id for one in self.work]),
            ("vehicles", [one.id for one in self.vehicles]),
        ):
            if len(set(ids)) < len(ids):
                raise ValueError(tr("Two {name} of the case have the same id.", name=name))
        if any(one.returns_at <= one.leaves_at for one in self.work):
            raise ValueError(tr("Work must return after it leaves."))
        if any(one.capacity_kwh <= 0 or one.charge_kw < 0 for one in self.vehicles):
            raise ValueError(tr("Capacity must be positive and charging power not negative."))

    def demand(self, work: Work, vehicle: Candidate) -> Demand | None:
        """Return what `vehicle` needs for `work`; None where its kind does not fit."""
        return self.demands.get((work.id, vehicle.id))
