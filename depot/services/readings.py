"""Take in a batch of meter readings from a program."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import transaction

from depot.alerts import clear
from depot.alerts.services import Cause, raise_alert
from depot.intake import FUTURE_LIMIT, IntakeError, Limits, moment, number, record, text
from depot.models import Meter, MeterReading, Quality
from depot.words import tr

POWER = Limits(-100_000, 100_000, "kW")
REGISTER = Limits(0, 1e12, "kWh")
FIELDS = ("observed_at", "power_kw", "import_kwh_total", "export_kwh_total", "quality")
AHEAD = "observed_at is in the future. Kept as of now and as suspect: it counts nothing. Check the sender's clock."


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one reading: accepted, duplicate or rejected; a stable code; a sentence."""

    status: str
    code: str
    message: str


def take_in(meter: Meter, raw_items: Sequence[object], now: datetime) -> list[Result]:
    """Keep the readings of a batch and return one result a reading, in order. All or nothing is committed.

    One from more than `FUTURE_LIMIT` ahead is kept as of now and as suspect, and an alert names the meter; of
    several in a batch one is kept.
    """
    with transaction.atomic():
        Meter.objects.select_for_update(no_key=True).get(pk=meter.pk)  # one writer at a time for each meter
        read = [_read(meter, raw, now) for raw in raw_items]
        readings = [one for one in read if isinstance(one, MeterReading)]
        ahead = max((one.observed_at for one in readings), default=now) - now
        _note_clock(meter, ahead, spoke=bool(readings))
        stored = MeterReading.objects.filter(
            meter=meter, observed_at__in=[now, *(one.observed_at for one in readings)]
        )
        seen = set(stored.values_list("observed_at", flat=True))
        new: list[MeterReading] = []
        results = [one if isinstance(one, Result) else _keep(one, now, seen, new) for one in read]
        MeterReading.objects.bulk_create(new)
    return results


def _keep(reading: MeterReading, now: datetime, seen: set[datetime], new: list[MeterReading]) -> Result:
    """Put a reading among the new ones unless its moment is there already."""
    ahead = reading.observed_at > now + FUTURE_LIMIT
    if ahead:
        reading.observed_at, reading.quality = now, Quality.SUSPECT.value
    if reading.observed_at in seen:
        return Result("duplicate", "duplicate", "This reading was there already.")
    seen.add(reading.observed_at)
    new.append(reading)
    return Result("accepted", "in_future", AHEAD) if ahead else Result("accepted", "accepted", "")


def _note_clock(meter: Meter, ahead: timedelta, *, spoke: bool) -> None:
    """Open an alert on a meter whose clock is ahead; close it when the meter speaks of the past again."""
    key = f"meter-clock:{meter.pk}"
    if ahead > FUTURE_LIMIT:
        title = tr(
            "The clock of meter {meter} is {minutes:.0f} min fast",
            meter=meter.name,
            minutes=ahead.total_seconds() / 60,
        )
        detail = tr("Its readings count nothing until the clock is right. Set the time of what sends them.")
        raise_alert(meter.depot, Cause(key, "warning", title, detail))
    elif spoke:
        clear(meter.depot, key)


def _read(meter: Meter, raw: object, now: datetime) -> MeterReading | Result:
    try:
        item = record(raw, FIELDS)
        power_kw = number(item, "power_kw", POWER)
        import_kwh_total = number(item, "import_kwh_total", REGISTER)
        if power_kw is None or import_kwh_total is None:
            raise IntakeError("value_missing", "A reading needs power_kw and import_kwh_total.")
        quality = text(item, "quality", 10) or Quality.GOOD.value
        if quality not in Quality.values:
            raise IntakeError("unknown_quality", f"quality must be one of {', '.join(Quality.values)}.")
        return MeterReading(
            meter=meter,
            observed_at=moment(item, "observed_at", now, ahead=True),
            received_at=now,
            power_kw=power_kw,
            import_kwh_total=import_kwh_total,
            export_kwh_total=number(item, "export_kwh_total", REGISTER) or 0.0,
            quality=quality,
        )
    except IntakeError as refusal:
        return Result("rejected", refusal.code, refusal.message)
