"""Let meters and chargers count known powers."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from charging.models import ChargingSession, Connector, MeterSample
from depot.models import Depot, MeterReading
from fleet.models import Vehicle
from tests import factories

STEP = timedelta(minutes=15)
HOURS = 0.25


def read_meter(
    depot: Depot,
    kind: str,
    start_at: datetime,
    powers_kw: Sequence[float],
    *,
    from_kwh: float = 1000.0,
    skip: range = range(0),
) -> None:
    """Read a meter at every boundary; `skip` names boundaries at which it was silent. Below zero is export."""
    meter = depot.meters.get(kind=kind)
    imported, exported = from_kwh, 0.0
    rows = []
    for boundary in range(len(powers_kw) + 1):
        power = powers_kw[boundary - 1] if boundary else 0.0
        imported += max(power, 0.0) * HOURS * (boundary > 0)
        exported += max(-power, 0.0) * HOURS * (boundary > 0)
        at = start_at + boundary * STEP
        if boundary not in skip:
            rows.append(
                MeterReading(
                    meter=meter,
                    observed_at=at,
                    received_at=at,
                    power_kw=power,
                    import_kwh_total=imported,
                    export_kwh_total=exported,
                )
            )
    MeterReading.objects.bulk_create(rows)


def read_all(
    depot: Depot, start_at: datetime, building_kw: Sequence[float], vehicles_kw: Sequence[float]
) -> None:
    """Read the building's and the grid's meter; the sun does not shine."""
    read_meter(depot, "building", start_at, building_kw)
    net = [building + vehicle for building, vehicle in zip(building_kw, vehicles_kw, strict=True)]
    read_meter(depot, "grid", start_at, net)
    read_meter(depot, "solar", start_at, [0.0] * len(net))


def make_bay(depot: Depot, name: str = "Bus 01", **charger: float) -> tuple[Vehicle, Connector]:
    """Make a vehicle of 200 kWh at a 60 kW charger without losses (unless they are given)."""
    vehicle = factories.make_vehicle(depot, name)
    made = factories.make_charger(
        depot, vehicle, **({"charge_efficiency": 1.0, "discharge_efficiency": 1.0} | charger)
    )
    return vehicle, made.connectors.get()


def stay(
    connector: Connector,
    plugged_in_at: datetime,
    powers_kw: Sequence[float],
    soc_in: float | None,
    soc_out: float | None,
    *,
    still_there: bool = False,
    stranger: bool = False,
) -> ChargingSession:
    """Make a session with a sample at every boundary of its powers."""
    end_at = plugged_in_at + len(powers_kw) * STEP
    session = ChargingSession.objects.create(
        connector=connector,
        vehicle=None if stranger else connector.vehicle,
        transaction_id=plugged_in_at.isoformat(),
        plugged_in_at=plugged_in_at,
        unplugged_at=None if still_there else end_at,
        soc_in=soc_in,
        soc_out=None if still_there else soc_out,
        last_sample_at=end_at,
    )
    imported = exported = 0.0
    samples = []
    for boundary in range(len(powers_kw) + 1):
        power = powers_kw[boundary - 1] if boundary else 0.0
        imported += max(power, 0.0) * HOURS
        exported += max(-power, 0.0) * HOURS
        at = plugged_in_at + boundary * STEP
        samples.append(
            MeterSample(
                session=session,
                sampled_at=at,
                received_at=at,
                power_kw=power,
                import_kwh_total=imported,
                export_kwh_total=exported,
            )
        )
    MeterSample.objects.bulk_create(samples)
    session.import_kwh, session.export_kwh = imported, exported
    session.save()
    return session
