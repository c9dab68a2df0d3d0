"""Whose export it was: the parts of the vehicles are what the grid meter counted, no more and no less."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from billing.models import Interval
from charging.selectors.settlement import export_by_vehicle
from depot.models import Depot, User
from tests.charging.meters import make_bay, stay

START = datetime(2026, 3, 10, 22, 0, tzinfo=UTC)
pytestmark = pytest.mark.django_db


def test_export_is_shared_by_the_chargers_meters(depot: Depot, viewer: User, outsider: User, client) -> None:
    for name, powers in (("Bus 01", [-60, -60, 20]), ("Bus 02", [-20, -20, 20])):
        stay(make_bay(depot, name)[1], START, powers, 0.9, 0.7)
    # 20 kWh leave the vehicles in each of two quarters: 8 serve the building, 1 of the export is sun
    for step, (export, sun) in enumerate([(12.0, 0.0), (13.0, 9.0)]):
        Interval.objects.create(
            depot=depot, start_at=START + timedelta(minutes=15) * step, minutes=15, import_kwh=0, export_kwh=export,
            building_kwh=8, solar_kwh=sun, charge_kwh=0, discharge_kwh=20, closed_at=START,
        )  # fmt: skip
    found = export_by_vehicle(depot, START, START + timedelta(hours=2))
    assert [(row.vehicle, row.charged_kwh, row.given_kwh, row.export_kwh) for row in found] == [
        ("Bus 01", 5, 30, pytest.approx(18)),
        ("Bus 02", 5, 10, pytest.approx(6)),
    ]
    client.force_login(viewer, backend="django.contrib.auth.backends.ModelBackend")
    text = client.get(f"/{depot.slug}/savings/2026-03/vehicles.csv").content.decode("utf-8-sig")
    assert text.splitlines()[1] == "Bus 01,5.000,30.000,18.000"
    assert client.get(f"/{depot.slug}/savings/soon/vehicles.csv").status_code == 404
    client.force_login(outsider, backend="django.contrib.auth.backends.ModelBackend")
    assert client.get(f"/{depot.slug}/savings/2026-03/vehicles.csv").status_code == 404
