"""What chargers that are not heard do meanwhile: the charging they were last told to do on their own."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray

from charging.models import Charger, ChargerCommand, Connector
from charging.planner.offline import NEAR_STEPS
from charging.selectors.links import is_linked
from depot import clock
from depot.models import Depot
from depot.timegrid import TimeGrid

FloatArray = NDArray[np.float64]
State = ChargerCommand.State
LOOK_BACK = timedelta(hours=48)
TRIED = (State.ACCEPTED, State.SENT, State.FAILED)
"""What a charger may have taken: a command that failed may have reached it before the link died."""


def away_chargers(depot: Depot, now: datetime) -> set[int]:
    """Return the chargers that have spoken before and are not heard now, while others of the depot are.

    When none is heard the gateway is down: all go by the same old plan, and all get the next one when it is back.
    """
    known = list(Charger.objects.filter(depot=depot, booted_at__isnull=False))
    silent = {charger.pk for charger in known if not is_linked(charger, now)}
    return silent if len(silent) < len(known) else set()


def held_kw(connectors: Iterable[Connector], grid: TimeGrid) -> dict[int, FloatArray]:
    """Return by connector the most that a charger on its own draws there in each step of `grid`, in kW.

    That is the newest schedule it has accepted, and any newer one it may have; outside them its safe level.
    """
    places = {connector.pk: connector for connector in connectors}
    told: dict[int, list[dict[str, Any]]] = {pk: [] for pk in places}
    rows = ChargerCommand.objects.filter(
        connector__in=places,
        action="set_schedule",
        state__in=TRIED,
        created_at__gt=clock.wall_now() - LOOK_BACK,
    )
    for pk, state, payload in rows.order_by("created_at").values_list("connector", "state", "payload"):
        told[pk] = [payload] if state == State.ACCEPTED else [*told[pk], payload]
    return {pk: _most_kw(told[pk], grid, places[pk].charger.fallback_share_kw) for pk in places}


def _most_kw(told: list[dict[str, Any]], grid: TimeGrid, safe_kw: float) -> FloatArray:
    """Return the most that any of several schedules lets a charger draw in each step; without one its safe level."""
    alone = [_alone_kw(payload, grid, safe_kw) for payload in told]
    powers: FloatArray = np.max(alone, axis=0) if alone else np.full(grid.steps, safe_kw)
    return powers


def _alone_kw(payload: dict[str, Any], grid: TimeGrid, safe_kw: float) -> FloatArray:
    """Return the charging of one schedule in each step of `grid`; where two of its steps meet in one, the greater."""
    powers = np.empty(grid.steps)
    alone = [max(power, 0.0) for power in payload.get("offline_kw", payload["power_kw"])]
    for index, power in enumerate(payload["power_kw"][:NEAR_STEPS]):
        alone[index] = max(alone[index], power)
    start_at, step = datetime.fromisoformat(payload["start_at"]), timedelta(seconds=payload["step_seconds"])
    for index, at in enumerate(grid.times()):
        first, last = (at - start_at) // step, (at + grid.step - timedelta(seconds=1) - start_at) // step
        met = [alone[k] if 0 <= k < len(alone) else safe_kw for k in {first, last}]
        powers[index] = max(met)
    return powers
