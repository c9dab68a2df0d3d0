"""Take in a batch of meter readings from a program."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db import transaction

from depot.intake import IntakeError, Limits, moment, number, record, text
from depot.models import Meter, MeterReading, Quality

POWER = Limits(-100_000, 100_000, "kW")
REGISTER = Limits(0, 1e12, "kWh")
FIELDS = ("observed_at", "power_kw", "import_kwh_total", "export_kwh_total", "quality")


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one reading: accepted, duplicate or rejected; a stable code; a sentence."""

    status: str
    code: str
    message: str


def take_in(meter: Meter, raw_items: Sequence[object], now: datetime) -> list[Result]:
    """Keep the readings of a batch and return one result a reading, in order. All or nothing is committed."""
    results: list[Result] = []
    new: list[MeterReading] = []
    with transaction.atomic():
        Meter.objects.select_for_update(no_key=True).get(pk=meter.pk)  # one writer at a time for each meter
        read = [_read(meter, raw, now) for raw in raw_items]
        moments = [reading.observed_at for reading in read if isinstance(reading, MeterReading)]
        stored = MeterReading.objects.filter(meter=meter, observed_at__in=moments)
        seen = set(stored.values_list("observed_at", flat=True))
        for reading in read:
            if isinstance(reading, Result):
                results.append(reading)
            elif reading.observed_at in seen:
                results.append(Result("duplicate", "duplicate", "This reading was there already."))
            else:
                seen.add(reading.observed_at)
                new.append(reading)
                results.append(Result("accepted", "accepted", ""))
        MeterReading.objects.bulk_create(new)
    return results


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
            observed_at=moment(item, "observed_at", now),
            received_at=now,
            power_kw=power_kw,
            import_kwh_total=import_kwh_total,
            export_kwh_total=number(item, "export_kwh_total", REGISTER) or 0.0,
            quality=quality,
        )
    except IntakeError as refusal:
        return Result("rejected", refusal.code, refusal.message)
