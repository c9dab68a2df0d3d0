"""What chargers measure in sessions. Each sample can come twice, late, or out of order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import F, Max, Min

from charging.models import ChargingSession, MeterSample
from charging.selectors.energy import greatest_kw, group
from charging.services.doubts import charger_cause
from charging.services.stations import believed, note_clock
from depot import clock
from depot.alerts.services import raise_alert
from depot.forecasting.registers import SAME_KWH, SLACK_S
from depot.intake import FUTURE_LIMIT
from depot.many_rows import update_rows
from depot.models import Quality
from depot.words import speaking
from fleet.services.telemetry import CHARGER, Observation, observe

JUST_BEFORE = timedelta(seconds=1)
SLACK = timedelta(seconds=SLACK_S)
GREATEST_KWH = 1e9
"""No register of a charger shows more."""
COUNTED = ("import_kwh", "export_kwh", "import_start_kwh", "export_start_kwh")


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
    quality: str = Quality.GOOD.value


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
    moves neither the vehicle's state nor the session's last moment. One that claims to come from the future
    counts from now and is suspect; of several such ones of a session, the last.
    """
    if not samples:
        return
    received_at = clock.now()
    with transaction.atomic(savepoint=False):
        rows = ChargingSession.objects.select_for_update(no_key=True, of=("self",)).order_by("pk")
        sessions = rows.select_related("connector__charger__depot").in_bulk(
            {sample.session_id for sample in samples}
        )
        _thaw(sessions, samples, received_at)
        new = [
            _measured(sessions[one.session_id], one) for one in _new(_dated(sessions, samples, received_at))
        ]
        _begin_registers(sessions, new)
        kept, odd = [], set()
        for sample in new:
            session = sessions[sample.session_id]
            goes_on = _goes_on(session, sample)
            if not goes_on:
                odd.add(session.pk)
            kept.append(_follow(session, sample, received_at, counts=goes_on))
        MeterSample.objects.bulk_create(kept, ignore_conflicts=True)
        for session_id in sorted(odd):
            _count_anew(sessions[session_id])
        update_rows(
            ChargingSession, list(sessions.values()), ("last_sequence", "last_sample_at", "soc_in", *COUNTED)
        )
        observe(_observations(sessions, new), received_at)


def _dated(sessions: dict[int, ChargingSession], samples: Sequence[Sample], now: datetime) -> list[Sample]:
    """Return the samples with moments that can be; note whose clock is ahead. Its newest sample comes first."""
    ahead = sorted(
        (sample for sample in samples if believed(sample.at, now) != sample.at),
        key=lambda sample: sample.at,
        reverse=True,
    )
    if not ahead:
        return list(samples)
    said_at = {sample.session_id: sample.at for sample in reversed(ahead)}
    for session_id, at in said_at.items():
        note_clock(sessions[session_id].connector.charger, at, now)
    doubted = [replace(sample, at=now, quality=Quality.SUSPECT.value) for sample in ahead]
    return doubted + [sample for sample in samples if believed(sample.at, now) == sample.at]


def _thaw(sessions: dict[int, ChargingSession], samples: Sequence[Sample], now: datetime) -> None:
    """Bring back sessions whose newest sample is in the future (ours was the wrong clock): all would come late.

    Such samples move to just before those that come now: their registers are true, only their moments are not.
    """
    for session in sessions.values():
        newest_at = session.last_sample_at
        if newest_at is None or believed(newest_at, now) == newest_at:
            continue
        next_at = min(now, *(sample.at for sample in samples if sample.session_id == session.pk))
        session.last_sample_at = next_at - JUST_BEFORE
        session.samples.filter(sampled_at__gt=now + FUTURE_LIMIT).update(
            sampled_at=F("sampled_at") - (newest_at - session.last_sample_at), quality=Quality.SUSPECT
        )


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
    if session.last_sample_at is None:
        return said
    stored = session.samples.aggregate(low=Min(register), high=Max(register))
    if stored["high"]:
        return float(stored["low"])
    session.samples.update(**{register: said})
    return said


def _measured(session: ChargingSession, sample: Sample) -> Sample:
    """Return a sample without what its charger cannot have measured; such a charger is an alert."""
    charger = session.connector.charger
    limit_kw = _limit_kw(session)
    possible = replace(
        sample,
        power_kw=_within(sample.power_kw, -limit_kw, limit_kw),
        import_kwh_total=_within(sample.import_kwh_total, 0.0, GREATEST_KWH),
        export_kwh_total=_within(sample.export_kwh_total, 0.0, GREATEST_KWH),
        soc=_within(sample.soc, 0.0, 1.0),
    )
    if possible == sample:
        return sample
    with speaking(charger.depot.language):
        raise_alert(charger.depot, charger_cause(charger))
    return replace(possible, quality=Quality.SUSPECT.value)


def _within(value: float | None, low: float, high: float) -> float | None:
    """Return a value if it lies between two others; what is no number lies nowhere."""
    return value if value is not None and low <= value <= high else None


def _limit_kw(session: ChargingSession) -> float:
    charger = session.connector.charger
    return greatest_kw(charger.max_charge_kw, charger.max_discharge_kw)


def _goes_on(session: ChargingSession, sample: Sample) -> bool:
    """Tell whether a session's registers can have come, from where they began, to what a sample says."""
    hours = (sample.at - session.plugged_in_at + SLACK) / timedelta(hours=1)
    for way in ("import", "export"):
        said, counted = getattr(sample, f"{way}_kwh_total"), getattr(session, f"{way}_kwh")
        if said is None:
            continue
        gained = said - (getattr(session, f"{way}_start_kwh") or 0.0)
        low, high = (0.0, counted) if _is_late(session, sample) else (counted, _limit_kw(session) * hours)
        if not low - SAME_KWH <= gained <= max(low, high) + SAME_KWH:
            return False
    return True


def _is_late(session: ChargingSession, sample: Sample) -> bool:
    return session.last_sample_at is not None and sample.at < session.last_sample_at


def _count_anew(session: ChargingSession) -> None:
    """Count a session from all its samples, by the ledger's rule: a register fell, jumped, or began earlier."""
    for _, readings in group(session.samples.all(), {session.pk: _limit_kw(session)}):
        session.import_kwh, shown = readings.total("import")
        session.import_start_kwh = shown - session.import_kwh
        session.export_kwh, shown = readings.total("export")
        session.export_start_kwh = shown - session.export_kwh


def _follow(session: ChargingSession, sample: Sample, received_at: datetime, *, counts: bool) -> MeterSample:
    """Move the session on by a sample, and return the sample as a row, with what it left unsaid."""
    late = _is_late(session, sample)
    before_at, before_kwh = session.last_sample_at, session.import_kwh - session.export_kwh
    totals = {f"{way}_kwh_total": _count(session, sample, way, counts=counts) for way in ("import", "export")}
    power_kw = sample.power_kw
    if power_kw is None:
        gained_kwh = session.import_kwh - session.export_kwh - before_kwh
        power_kw = 0.0 if late else _mean_power(gained_kwh, before_at, sample.at)
        power_kw = min(max(power_kw, -_limit_kw(session)), _limit_kw(session))
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
        quality=sample.quality,
        **totals,
    )


def _count(session: ChargingSession, sample: Sample, way: str, *, counts: bool) -> float:
    """Count a reading of one register if it `counts`, and return it; an unsaid register stands where it stood."""
    start, counted = getattr(session, f"{way}_start_kwh"), getattr(session, f"{way}_kwh")
    said = getattr(sample, f"{way}_kwh_total")
    if said is None:
        return float((start or 0.0) + counted)
    if counts:
        setattr(session, f"{way}_kwh", max(said - start, counted))
    return float(said)


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
