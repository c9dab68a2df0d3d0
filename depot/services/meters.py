"""Keep what the site's meters read, once for each meter and moment."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from depot import clock
from depot.models import Meter, MeterReading


def record(
    meter: Meter,
    observed_at: datetime,
    power_kw: float,
    import_kwh_total: float,
    export_kwh_total: float = 0.0,
) -> None:
    """Keep one reading; one that is there for this meter and moment stays as it is.

    Power above zero is import; a solar meter counts its production as import. Registers count up from any start.
    """
    record_all(
        [
            MeterReading(
                meter=meter,
                observed_at=observed_at,
                power_kw=power_kw,
                import_kwh_total=import_kwh_total,
                export_kwh_total=export_kwh_total,
            )
        ]
    )


def record_all(readings: Iterable[MeterReading]) -> None:
    """Keep several readings in one write; `received_at` is set here."""
    received_at = clock.now()
    rows = list(readings)
    for reading in rows:
        reading.received_at = received_at
    MeterReading.objects.bulk_create(rows, ignore_conflicts=True)
