"""Plugging in and out: where a vehicle stands, from when to when. Each word can come twice, late, or out of order."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from django.db import transaction
from django.db.models import Q

from charging.models import ChargingSession, Connector
from charging.services.stations import believed
from depot import clock
from fleet.models import Vehicle
from fleet.services.telemetry import CHARGER, Observation, observe


def plug_in(
    connector: Connector,
    transaction_id: str,
    at: datetime,
    vehicle: Vehicle | None = None,
    soc: float | None = None,
    *,
    stranger: bool = False,
) -> ChargingSession:
    """Open the session of a transaction, or return it as it is when it is known already.

    Without a recognised `vehicle` it is the one that parks at the connector, unless that stands elsewhere or what
    came is a `stranger`: it named itself, and not by the token of the one that parks here.
    What was still open at this connector, or of a recognised vehicle elsewhere, ended when this one began; when
    this one is older (a late word), it is the one that ended.
    """
    at = believed(at, clock.now())
    with transaction.atomic(savepoint=False):
        Connector.objects.select_for_update(no_key=True).get(
            pk=connector.pk
        )  # one writer at a time for a plug
        here = ChargingSession.objects.filter(connector=connector)
        since = list(here.filter(Q(transaction_id=transaction_id) | _not_over_at(at)))
        known = next((one for one in since if one.transaction_id == transaction_id), None)
        if known is not None:
            return known
        next_at = _make_room(connector, vehicle, at, since)
        session = ChargingSession.objects.create(
            connector=connector,
            vehicle=vehicle or (None if stranger else _home_vehicle(connector)),
            recognised=vehicle is not None,
            transaction_id=transaction_id,
            plugged_in_at=at,
            unplugged_at=next_at,
            soc_in=soc,
        )
        _observe(session, at, "plug-in", plugged_in=True, soc=soc)
        return session


def recognise(session: ChargingSession, vehicle: Vehicle | None, at: datetime) -> bool:
    """Put a vehicle that has named itself only now into its running session; tell whether that changed it.

    The first name counts: a token shown later at the same plug is somebody's card.
    """
    if vehicle is None or session.recognised:
        return False
    at = believed(at, clock.now())
    with transaction.atomic():
        here = ChargingSession.objects.filter(_not_over_at(at), connector=session.connector_id)
        _make_room(session.connector, vehicle, at, list(here.exclude(pk=session.pk)))
        changed = session.vehicle_id != vehicle.pk
        session.vehicle, session.recognised = vehicle, True
        session.save(update_fields=["vehicle", "recognised"])
        if changed:
            _observe(session, at, "plug-in", plugged_in=session.unplugged_at is None, soc=None)
    return changed


def unplug(session: ChargingSession, at: datetime, soc: float | None = None) -> None:
    """Close a session. Of several words for its end the earliest counts; the SoC is the last one known."""
    at = believed(at, clock.now())
    with transaction.atomic():
        row = ChargingSession.objects.select_for_update(no_key=True).get(pk=session.pk)
        if row.unplugged_at is None or at < row.unplugged_at:
            row.unplugged_at = at
        row.soc_out = soc if soc is not None else row.soc_out
        if row.soc_out is None:
            said = row.samples.filter(soc__isnull=False).order_by("-sampled_at")
            row.soc_out = said.values_list("soc", flat=True).first()
        row.save(update_fields=["unplugged_at", "soc_out"])
        _observe(row, at, "unplug", plugged_in=False, soc=soc)
    session.refresh_from_db()


def _not_over_at(at: datetime) -> Q:
    """Return what finds the sessions that ran at a moment or began after it."""
    return Q(unplugged_at__isnull=True) | Q(unplugged_at__gt=at) | Q(plugged_in_at__gt=at)


def _make_room(
    connector: Connector, vehicle: Vehicle | None, at: datetime, others: Sequence[ChargingSession]
) -> datetime | None:
    """End what ran here then; return when this session itself ended, if another one began here later.

    `others` are the other sessions here that were not over then.
    """
    next_at = min((one.plugged_in_at for one in others if one.plugged_in_at > at), default=None)
    for running in others:
        if running.plugged_in_at <= at:
            unplug(running, at)
    if vehicle is not None and next_at is None:
        elsewhere = ChargingSession.objects.filter(
            vehicle=vehicle, unplugged_at__isnull=True, plugged_in_at__lte=at
        )
        for session in elsewhere.exclude(connector=connector):
            unplug(session, at)
    return next_at


def _home_vehicle(connector: Connector) -> Vehicle | None:
    if connector.vehicle_id is None:
        return None
    elsewhere = ChargingSession.objects.filter(vehicle=connector.vehicle_id, unplugged_at__isnull=True)
    return None if elsewhere.exists() else connector.vehicle


def _observe(
    session: ChargingSession, at: datetime, event: str, *, plugged_in: bool, soc: float | None
) -> None:
    if session.vehicle_id is None:
        return
    word = Observation(
        vehicle_id=session.vehicle_id,
        observed_at=at,
        source=CHARGER,
        source_event_id=f"{session.pk} {event}",
        soc=soc,
        plugged_in=plugged_in,
    )
    observe([word], clock.now())
