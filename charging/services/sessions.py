"""Charging sessions: plug in, meter, unplug. Each can come twice, late, or out of order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db import transaction
from django.db.models import Max, Min

from charging.models import ChargingSession, Connector, MeterSample
from depot import clock
from fleet.models import Vehicle
from fleet.services.telemetry import CHARGER, Observation, observe

SAME_KWH = 0.01
"""Registers that differ by less than this have not been reset."""


@dataclass(frozen=True, slots=True)
class Sample:
    """What a charger measured in a session; None = not said. Registers count up from any start."""

    session_id: int
    at: datetime
    power_kw: float | None = None
    import_kwh_total: float | None = None
    export_kwh_total: float | None = None
    soc: float | None = None
    sequence: int | None = None


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
    with transaction.atomic():
        Connector.objects.select_for_update(no_key=True).get(
            pk=connector.pk
        )  # one writer at a time for a plug
        known = ChargingSession.objects.filter(connector=connector, transaction_id=transaction_id).first()
        if known is not None:
            return known
        next_at = _make_room(connector, vehicle, at)
        session = ChargingSession.objects.create(
            connector=connector,
            vehicle=vehicle or (None if stranger else _home_vehicle(connector)),
            transaction_id=transaction_id,
            plugged_in_at=at,
            unplugged_at=next_at,
            soc_in=soc,
        )
        _observe(session, at, "plug-in", plugged_in=True, soc=soc)
        return session


def _make_room(connector: Connector, vehicle: Vehicle | None, at: datetime) -> datetime | None:
    """End what is open here; return when this session itself ended if what is open here began later."""
    next_at = None
    for open_here in ChargingSession.objects.filter(connector=connector, unplugged_at__isnull=True):
        if open_here.plugged_in_at > at:
            next_at = open_here.plugged_in_at
        else:
            unplug(open_here, at)
    if vehicle is not None and next_at is None:
        elsewhere = ChargingSession.objects.filter(
            vehicle=vehicle, unplugged_at__isnull=True, plugged_in_at__lte=at
        )
        for session in elsewhere.exclude(connector=connector):
            unplug(session, at)
    return next_at


def _home_vehicle(connector: Connector) -> Vehicle | None:
    elsewhere = ChargingSession.objects.filter(vehicle=connector.vehicle_id, unplugged_at__isnull=True)
    return None if elsewhere.exists() else connector.vehicle


def record_sample(
    session: ChargingSession,
    sampled_at: datetime,
    power_kw: float,
    import_kwh_total: float,
    export_kwh_total: float,
    soc: float | None = None,
    sequence: int | None = None,
) -> None:
    """Keep one meter sample of a session and follow it in the session's totals and the vehicle's state."""
    record_samples(
        [Sample(session.pk, sampled_at, power_kw, import_kwh_total, export_kwh_total, soc, sequence)]
    )
    session.refresh_from_db()


def record_samples(samples: Sequence[Sample]) -> None:
    """Keep meter samples of any sessions, in a fixed number of queries.

    A moment that is known already changes nothing. A sample older than the newest one is kept and counted, but
    moves neither the vehicle's state nor the session's last moment.
    """
    if not samples:
        return
    with transaction.atomic():
        rows = ChargingSession.objects.select_for_update(no_key=True).order_by("pk")
        sessions = rows.in_bulk({sample.session_id for sample in samples})
        new = _new(samples)
        received_at = clock.now()
        _begin_registers(sessions, new)
        MeterSample.objects.bulk_create(
            [_follow(sessions[sample.session_id], sample, received_at) for sample in new],
            ignore_conflicts=True,
        )
        ChargingSession.objects.bulk_update(
            sessions.values(), ["last_sequence", "last_sample_at", "soc_in", *COUNTED]
        )
        observe(_observations(sessions, new), received_at)


COUNTED = ("import_kwh", "export_kwh", "import_start_kwh", "export_start_kwh")


def _new(samples: Sequence[Sample]) -> list[Sample]:
    """Return the samples whose moments are not stored yet, each moment once, in time order."""
    stored = set(
        MeterSample.objects.filter(
            session__in={sample.session_id for sample in samples},
            sampled_at__in={sample.at for sample in samples},
        ).values_list("session_id", "sampled_at")
    )
    fresh = {
        (sample.session_id, sample.at): sample
        for sample in reversed(samples)
        if (sample.session_id, sample.at) not in stored
    }
    return sorted(fresh.values(), key=lambda sample: (sample.at, sample.session_id))


def _begin_registers(sessions: dict[int, ChargingSession], new: Sequence[Sample]) -> None:
    """Let the count start at the first reading of a register; until then it stood there, it was just not said."""
    for sample in new:
        session = sessions[sample.session_id]
        for way in ("import", "export"):
            said = getattr(sample, f"{way}_kwh_total")
            if said is not None and getattr(session, f"{way}_start_kwh") is None:
                setattr(session, f"{way}_start_kwh", _start(session, f"{way}_kwh_total", said))


def _start(session: ChargingSession, register: str, said: float) -> float:
    """Return where a register stood when the session began, and write that into what was stored without it."""
    stored = session.samples.aggregate(low=Min(register), high=Max(register))
    if stored["high"]:
        return float(stored["low"])
    session.samples.update(**{register: said})
    return said


def _follow(session: ChargingSession, sample: Sample, received_at: datetime) -> MeterSample:
    """Move the session on by a sample, and return the sample as a row, with what it left unsaid."""
    late = session.last_sample_at is not None and sample.at < session.last_sample_at
    before_at, before_kwh = session.last_sample_at, session.import_kwh - session.export_kwh
    totals = {f"{way}_kwh_total": _count(session, sample, way, late) for way in ("import", "export")}
    power_kw = sample.power_kw
    if power_kw is None:
        gained_kwh = session.import_kwh - session.export_kwh - before_kwh
        power_kw = 0.0 if late else _mean_power(gained_kwh, before_at, sample.at)
    if sample.sequence is not None:
        session.last_sequence = max(session.last_sequence, sample.sequence)
    if not late:
        session.last_sample_at = sample.at
    if session.soc_in is None:
        session.soc_in = sample.soc
    return MeterSample(
        session=session,
        sampled_at=sample.at,
        received_at=received_at,
        power_kw=power_kw,
        soc=sample.soc,
        **totals,
    )


def _count(session: ChargingSession, sample: Sample, way: str, late: bool) -> float:
    """Count a reading of one register and return it; a register that is not said stands where it stood.

    A register that has fallen was reset, and began again from nought.
    """
    start, counted = getattr(session, f"{way}_start_kwh"), getattr(session, f"{way}_kwh")
    said = getattr(sample, f"{way}_kwh_total")
    if said is None:
        return (start or 0.0) + counted
    if late:
        start, counted = min(start, said), counted + max(start - said, 0.0)
    elif said - start < counted - SAME_KWH:
        start, counted = -counted, counted + said
    else:
        counted = max(said - start, counted)
    setattr(session, f"{way}_start_kwh", start)
    setattr(session, f"{way}_kwh", counted)
    return said


def _mean_power(gained_kwh: float, before_at: datetime | None, at: datetime) -> float:
    if before_at is None or at <= before_at:
        return 0.0
    return gained_kwh * 3600 / (at - before_at).total_seconds()


def _observations(sessions: dict[int, ChargingSession], samples: Sequence[Sample]) -> list[Observation]:
    return [
        Observation(
            vehicle_id=vehicle_id,
            observed_at=sample.at,
            source=CHARGER,
            source_event_id=f"{sample.session_id}",
            soc=sample.soc,
            plugged_in=True,
            charging_power_kw=sample.power_kw,
        )
        for sample in samples
        if (vehicle_id := sessions[sample.session_id].vehicle_id) is not None
    ]


def unplug(session: ChargingSession, at: datetime, soc: float | None = None) -> None:
    """Close a session. Of several words for its end the earliest counts; the SoC is the last one known."""
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
