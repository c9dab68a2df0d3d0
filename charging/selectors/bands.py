"""How late a depot's trips come back and how much more they use than expected, from its charging sessions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import pairwise

from charging.bands import FEWEST_SAMPLES, late_quantile, share_quantile
from charging.models import ChargingSession
from depot.models import Depot
from fleet.selectors.duties import duties
from fleet.selectors.needs import Need, needs_of

LOOK_BACK = timedelta(days=28)
OTHER_REASON = timedelta(hours=6)
"""A vehicle that is plugged in so long after its pull-in was not late: it stood without a plug."""


@dataclass(slots=True)
class Samples:
    """What happened on past trips: steps late, and the share used beyond what was expected."""

    late_steps: list[float] = field(default_factory=list)
    extra_shares: list[float] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class TripBands:
    """How bad a trip may be: by block where it has enough samples, else as all trips of the depot together."""

    blocks: dict[int, Samples]
    all: Samples

    def late_steps(self, block_id: int) -> int:
        """Return by how many steps a trip of the block may come back late."""
        own = self.blocks.get(block_id, self.all).late_steps
        return late_quantile(own if len(own) >= FEWEST_SAMPLES else self.all.late_steps)

    def extra_share(self, block_id: int) -> float:
        """Return which share of its expected energy a trip of the block may use more."""
        own = self.blocks.get(block_id, self.all).extra_shares
        return share_quantile(own if len(own) >= FEWEST_SAMPLES else self.all.extra_shares)


@dataclass(frozen=True, slots=True)
class _Gap:
    """Between two sessions of a vehicle: when it left and came back, and the SoC of both if they are known."""

    vehicle_id: int
    left_at: datetime
    back_at: datetime
    soc_used: float | None


def trip_bands(depot: Depot, now: datetime, step_minutes: int) -> TripBands:
    """Return the bands of a depot's trips, from the sessions of the last four weeks."""
    bands = TripBands({}, Samples())
    gaps = list(_gaps(depot, now))
    if not gaps:
        return bands
    needs = needs_of(duties(depot, now - LOOK_BACK, now))
    for gap in gaps:
        need = _trip_of(gap, needs.get(gap.vehicle_id, ()))
        if need is None:
            continue
        late = gap.back_at - need.duty.pull_in_at
        for samples in (bands.all, bands.blocks.setdefault(need.duty.block.pk, Samples())):
            if late < OTHER_REASON:
                samples.late_steps.append(late / timedelta(minutes=step_minutes))
            if gap.soc_used is not None and need.energy_kwh > 0.0 and need.duty.vehicle is not None:
                used_kwh = gap.soc_used * need.duty.vehicle.capacity_kwh
                samples.extra_shares.append(used_kwh / need.energy_kwh - 1.0)
    return bands


def _gaps(depot: Depot, now: datetime) -> Iterator[_Gap]:
    rows = (
        ChargingSession.objects.filter(
            connector__charger__depot=depot,
            vehicle__isnull=False,
            plugged_in_at__range=(now - LOOK_BACK, now),
        )
        .order_by("vehicle_id", "plugged_in_at")
        .values_list("vehicle_id", "plugged_in_at", "unplugged_at", "soc_in", "soc_out")
    )
    for (vehicle_id, _, left_at, _, soc_left), (other_id, back_at, _, soc_back, _) in pairwise(rows):
        if vehicle_id == other_id and left_at is not None and left_at < back_at:
            used = None if soc_left is None or soc_back is None else soc_left - soc_back
            yield _Gap(vehicle_id, left_at, back_at, used)


def _trip_of(gap: _Gap, needs: Iterable[Need]) -> Need | None:
    """Return the one trip that a vehicle made between two sessions; None where it made several, or none."""
    made = [
        need for need in needs if need.duty.pull_out_at < gap.back_at and need.duty.pull_in_at > gap.left_at
    ]
    return made[0] if len(made) == 1 else None
