"""Take in a batch of telemetry from a program: read, match, doubt, keep."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime

from django.db import transaction

from depot.intake import IntakeError
from depot.models import Depot
from depot.words import tr
from fleet.ingest import Item, Known, Limits, doubt, read_item
from fleet.models import QuarantinedReading, TelemetryReading, Vehicle, VehicleState
from fleet.services.ingest_log import log_batch
from fleet.services.telemetry import Observation, observe

QUARANTINE_LIMIT = 50_000
SOURCE = VehicleState.Source.TELEMATICS.value
ITEM_VALUES = tuple(field.name for field in fields(Item) if field.name != "vehicle")
NAMED_VALUES = (
    "pk",
    "vin",
    "external_id",
    "type__usable_kwh",
    "type__max_charge_ac_kw",
    "type__max_charge_dc_kw",
    "type__max_discharge_ac_kw",
    "type__max_discharge_dc_kw",
    "state__soc",
    "state__soc_observed_at",
)
MESSAGES = {
    "accepted": "",
    "duplicate": "This reading was there already.",
    "late": "Kept in the records; a newer state of this vehicle is known.",
    "quarantined": "No vehicle of this depot has this id, VIN or external id. Kept until it is entered.",
    "quarantine_full": "Too many readings of unknown vehicles wait. Enter the vehicles, then send again.",
}


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one item: a status of the API's contract, a stable code, a sentence."""

    status: str
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class _Named:
    """What has to be known of a vehicle to judge what it says."""

    pk: int
    vin: str
    external_id: str
    limits: Limits
    known: Known | None


@dataclass(slots=True)
class _Entry:
    """An item on its way through: its place in the batch, the vehicle it speaks of, why it is doubted."""

    index: int
    item: Item
    vehicle: _Named
    doubt: str = ""


def take_in(depot: Depot, raw_items: Sequence[object], now: datetime, sender: str = "") -> list[Result]:
    """Keep the readings of a batch and return one result an item, in order. All or nothing is committed.

    What became of a `sender`'s batch is written to the ingest log.
    """
    results: dict[int, Result] = {}
    known: list[_Entry] = []
    unknown: dict[int, Item] = {}
    with transaction.atomic(savepoint=False):
        find = _Directory(depot).find
        for index, raw in enumerate(raw_items):
            try:
                item = read_item(raw, now)
            except IntakeError as refusal:
                results[index] = Result("rejected", refusal.code, refusal.message)
                continue
            vehicle = find(item.vehicle)
            if vehicle is None:
                unknown[index] = item
            else:
                known.append(_Entry(index, item, vehicle))
        _doubt(known)
        results |= _observe(known, now)
        results |= _quarantine(depot, unknown, raw_items, now)
        in_order = [results[index] for index in range(len(raw_items))]
        if sender:
            log_batch(depot, sender, raw_items, in_order, now)
    return in_order


class _Directory:
    """The vehicles of a depot by every name a sender may use."""

    def __init__(self, depot: Depot) -> None:
        vehicles = _vehicles(depot)
        self.by_id = {vehicle.pk: vehicle for vehicle in vehicles}
        self.by_name = {vehicle.vin.upper(): vehicle for vehicle in vehicles if vehicle.vin}
        self.by_external_id = {v.external_id: v for v in vehicles if v.external_id}

    def find(self, name: str | int) -> _Named | None:
        """Find a number as an id; find a text as external id, VIN, or id, in this order."""
        if isinstance(name, int):
            return self.by_id.get(name)
        found = self.by_external_id.get(name) or self.by_name.get(name.upper())
        if found is None and name.isascii() and name.isdigit():
            found = self.by_id.get(int(name))
        return found


def _vehicles(depot: Depot) -> list[_Named]:
    """Read a depot's vehicles as plain values: as models with type and state they cost a third of a batch's time."""
    rows = Vehicle.objects.of_depot(depot).order_by().values_list(*NAMED_VALUES)
    return [
        _Named(
            pk,
            vin,
            external_id,
            Limits(usable_kwh, max(ac_in, dc_in), max(ac_out, dc_out)),
            None if soc is None else Known(soc, at),
        )
        for pk, vin, external_id, usable_kwh, ac_in, dc_in, ac_out, dc_out, soc, at in rows
    ]


def _doubt(entries: Iterable[_Entry]) -> None:
    """Note what cannot be true, in the order of time, each against the newest SoC that can."""
    newest: dict[int, Known | None] = {}
    for entry in sorted(entries, key=lambda entry: entry.item.observed_at):
        vehicle, item = entry.vehicle, entry.item
        known = newest.setdefault(vehicle.pk, vehicle.known)
        entry.doubt = doubt(item, vehicle.limits, known)
        if item.soc is not None and not entry.doubt and (known is None or item.observed_at > known.at):
            newest[vehicle.pk] = Known(item.soc, item.observed_at)


def _observe(entries: Sequence[_Entry], now: datetime) -> dict[int, Result]:
    statuses = observe([_observation(entry) for entry in entries], now)
    return {
        entry.index: _result(status, entry.doubt) for entry, status in zip(entries, statuses, strict=True)
    }


def _observation(entry: _Entry) -> Observation:
    quality = TelemetryReading.Quality.SUSPECT if entry.doubt else TelemetryReading.Quality.GOOD
    values = {name: getattr(entry.item, name) for name in ITEM_VALUES}
    return Observation(vehicle_id=entry.vehicle.pk, source=SOURCE, quality=quality.value, **values)


def _result(status: str, doubt: str) -> Result:
    if doubt and status != "duplicate":
        return Result(
            status,
            "implausible",
            tr("{doubt} Kept as suspect; the vehicle's state is unchanged.", doubt=doubt),
        )
    return Result(status, status, MESSAGES[status])


def _quarantine(
    depot: Depot, items: Mapping[int, Item], raw_items: Sequence[object], now: datetime
) -> dict[int, Result]:
    if not items:
        return {}
    if QuarantinedReading.objects.of_depot(depot).count() + len(items) > QUARANTINE_LIMIT:
        return dict.fromkeys(items, Result("rejected", "quarantine_full", MESSAGES["quarantine_full"]))
    QuarantinedReading.objects.bulk_create(
        [
            QuarantinedReading(
                depot=depot,
                vehicle_ref=str(item.vehicle),
                observed_at=item.observed_at,
                received_at=now,
                source_event_id=item.source_event_id,
                payload=raw_items[index],
            )
            for index, item in items.items()
        ],
        ignore_conflicts=True,
    )
    return dict.fromkeys(items, Result("quarantined", "unknown_vehicle", MESSAGES["quarantined"]))
