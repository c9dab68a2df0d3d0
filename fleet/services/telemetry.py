"""Take in what vehicles and chargers say: keep every reading once, move each vehicle's state forward only."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db import transaction

from depot.intake import FUTURE_LIMIT
from depot.many_rows import insert_new, insert_or_update
from fleet.models import TelemetryReading, Vehicle, VehicleState

CHARGER = VehicleState.Source.CHARGER.value
SOC_SOURCES = frozenset(VehicleState.Source.values)
STATE_FIELDS = ("soc", "plugged_in", "charging_power_kw", "odometer_km", "battery_temp_c", "soh")

COLUMNS = ("observed_at", "soc_source", "soc_observed_at", "marks", *STATE_FIELDS)
UNKNOWN_AGE = timedelta(days=1)
"""How old a value counts of which nobody can say when it was true."""


@dataclass(frozen=True, slots=True)
class Observation:
    """What one vehicle said, or a charger said of it, at one moment. None = not said.

    `soc` and `soh` are fractions 0..1; `charging_power_kw` is above zero into the vehicle. A reading of
    `quality` "suspect" is kept, but changes no state.
    """

    vehicle_id: int
    observed_at: datetime
    source: str
    source_event_id: str = ""
    soc: float | None = None
    odometer_km: float | None = None
    energy_used_kwh_total: float | None = None
    battery_temp_c: float | None = None
    outside_temp_c: float | None = None
    soh: float | None = None
    latitude: float | None = None
    longitude: float | None = None
    plugged_in: bool | None = None
    charging_power_kw: float | None = None
    quality: str = TelemetryReading.Quality.GOOD.value


READING_FIELDS = tuple(field.name for field in fields(Observation))
KEY_FIELDS = ("vehicle_id", "observed_at", "source", "source_event_id")
Key = tuple[Any, ...]


def observe(observations: Sequence[Observation], received_at: datetime) -> list[str]:
    """Keep readings and move states; say of each "accepted", "duplicate" or "late" (older than the state).

    A late reading is kept too. One that is more than `FUTURE_LIMIT` ahead of `received_at` is suspect, and a
    state that such a reading once moved (ours was the wrong clock, then) is made anew from what can be.
    The number of queries does not depend on the number of readings, and the states at the end do not depend on
    their order, on how they were split into calls, or on repetition.
    """
    if not observations:
        return []
    observations = [_doubted(one, received_at) for one in observations]
    vehicle_ids = sorted({observation.vehicle_id for observation in observations})
    # Inside of another transaction this is a part of it, not one that could fail by itself: two round trips less.
    with transaction.atomic(savepoint=False):
        vehicles = Vehicle.objects.select_for_update(no_key=True).filter(pk__in=vehicle_ids)
        list(vehicles.order_by("pk").values_list("pk"))  # one writer at a time for each vehicle
        states = {state.vehicle_id: state for state in VehicleState.objects.filter(vehicle__in=vehicle_ids)}
        _thaw(states, received_at + FUTURE_LIMIT, received_at - UNKNOWN_AGE)
        rows = [{"received_at": received_at, **_values(observation)} for observation in observations]
        statuses, new = _sort_out(observations, states, insert_new(TelemetryReading, rows, KEY_FIELDS))
        _move(states, [one for one in new if one.quality == TelemetryReading.Quality.GOOD])
    return statuses


def _doubted(one: Observation, received_at: datetime) -> Observation:
    if one.observed_at <= received_at + FUTURE_LIMIT:
        return one
    return replace(one, quality=TelemetryReading.Quality.SUSPECT.value)


def _thaw(states: dict[int, VehicleState], limit: datetime, before: datetime) -> None:
    """Make states anew that claim to be from after `limit`: nothing could ever move them again.

    What no reading tells keeps its value, as one that was known at `before`.
    """
    ahead = _mark(limit, "~", "")
    frozen = {
        vehicle_id
        for vehicle_id, state in states.items()
        if max(state.observed_at, state.soc_observed_at) > limit
        or any(mark > ahead for mark in state.marks.values())
    }
    if not frozen:
        return
    TelemetryReading.objects.filter(vehicle__in=frozen, observed_at__gt=limit).update(
        quality=TelemetryReading.Quality.SUSPECT
    )
    for vehicle_id in frozen:
        old = states[vehicle_id]
        old.observed_at = old.soc_observed_at = before
        old.marks = {}
    readings = TelemetryReading.objects.filter(vehicle__in=frozen, quality=TelemetryReading.Quality.GOOD)
    for observation in _observations(readings.filter(observed_at__gt=before)):
        _apply(states[observation.vehicle_id], observation)
    _store([states[vehicle_id] for vehicle_id in sorted(frozen)])


def _values(thing: Observation | TelemetryReading) -> dict[str, Any]:
    return {name: getattr(thing, name) for name in READING_FIELDS}


def _sort_out(
    observations: Sequence[Observation], states: dict[int, VehicleState], inserted: set[Key]
) -> tuple[list[str], list[Observation]]:
    """Return the status of each observation, and those that were not there before: of two alike, the first."""
    statuses, new = [], []
    for observation in observations:
        key = tuple(getattr(observation, name) for name in KEY_FIELDS)
        if key not in inserted:
            statuses.append("duplicate")
            continue
        inserted.remove(key)
        new.append(observation)
        state = states.get(observation.vehicle_id)
        late = state is not None and observation.observed_at < state.observed_at
        statuses.append("late" if late else "accepted")
    return statuses, new


def _move(states: dict[int, VehicleState], observations: Sequence[Observation]) -> None:
    """Write the states that these observations change."""
    touched = {
        one.vehicle_id
        for one in observations
        if one.vehicle_id in states and _apply(states[one.vehicle_id], one)
    }
    first = {one.vehicle_id for one in observations if one.vehicle_id not in states and one.soc is not None}
    changed = [states[vehicle_id] for vehicle_id in sorted(touched)]
    changed += _first_states(first) if first else []
    _store(changed)


def _store(changed: Sequence[VehicleState]) -> None:
    rows = [
        {"vehicle_id": state.vehicle_id, **{name: getattr(state, name) for name in COLUMNS}}
        for state in changed
    ]
    insert_or_update(VehicleState, rows, "vehicle", COLUMNS)


def _first_states(vehicle_ids: set[int]) -> list[VehicleState]:
    """Make the first states, from all readings so far: a state begins with the first known SoC."""
    readings = TelemetryReading.objects.filter(vehicle__in=vehicle_ids, quality=TelemetryReading.Quality.GOOD)
    states: dict[int, VehicleState] = {}
    for observation in _observations(readings):
        state = states.setdefault(
            observation.vehicle_id,
            VehicleState(
                vehicle_id=observation.vehicle_id,
                observed_at=observation.observed_at,
                soc_observed_at=observation.observed_at,
                marks=dict.fromkeys(STATE_FIELDS, ""),
            ),
        )
        _apply(state, observation)
    return [states[vehicle_id] for vehicle_id in sorted(states)]


def _observations(readings: Iterable[TelemetryReading]) -> Iterable[Observation]:
    for reading in readings:
        yield Observation(**_values(reading))


def _apply(state: VehicleState, observation: Observation) -> bool:
    """Take over what is newer than what the state knows; tell whether anything was."""
    mark = _mark(observation.observed_at, observation.source, observation.source_event_id)
    marks = state.marks = state.marks or _marks_of(state)
    values = {name: getattr(observation, name) for name in STATE_FIELDS}
    if observation.plugged_in is False:
        values["charging_power_kw"] = 0.0
    newer = {name: value for name, value in values.items() if value is not None and mark > marks[name]}
    for name, value in newer.items():
        setattr(state, name, value)
        marks[name] = mark
    if "soc" in newer:
        state.soc_source = _soc_source(observation.source)
        state.soc_observed_at = observation.observed_at
    moved = observation.observed_at > state.observed_at
    if moved:
        state.observed_at = observation.observed_at
    return moved or bool(newer)


def _mark(at: datetime, source: str, event: str) -> str:
    """Return a text that sorts by time, then the charger above others, then by name: never a tie."""
    return f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%f}|{int(source == CHARGER)}|{source}|{event}"


def _marks_of(state: VehicleState) -> dict[str, str]:
    """Return the marks of a state that was entered by hand: all its values are as old as itself."""
    return dict.fromkeys(STATE_FIELDS, _mark(state.observed_at, "", "")) | {
        "soc": _mark(state.soc_observed_at, "", "")
    }


def _soc_source(source: str) -> str:
    return source if source in SOC_SOURCES else VehicleState.Source.TELEMATICS.value
