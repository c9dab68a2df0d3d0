"""What a clerk can be asked (see `clerk`): the yard that the tests share, and looks into its tables."""

from __future__ import annotations

from datetime import datetime as _datetime
from datetime import timedelta as _timedelta
from typing import Any as _Any

from django.apps import apps as _apps
from django.db import transaction as _transaction
from django.test import Client as _Client

from billing.models import Interval as _Interval
from charging.models import Charger as _Charger
from charging.models import Connector as _Connector
from charging.selectors.readiness import readiness as _readiness
from charging.services.commands import send as _send
from depot.access.keys import make_key as _make_key
from depot.jobs import enqueue as _enqueue
from depot.jobs.registry import KINDS as _KINDS
from depot.models import Depot as _Depot
from depot.models import Job as _Job
from depot.services.meters import record as _record_meter
from fleet.models import Vehicle as _Vehicle
from fleet.models import VehicleState as _VehicleState
from fleet.services import schedules as _schedules
from tests import factories as _factories
from tests.billing.money import make_tariff as _make_tariff
from tests.charging.meters import STEP as _STEP
from tests.charging.meters import read_all as _read_all
from tests.charging.meters import stay as _stay
from tests.processes.chargers import PASSWORD as _PASSWORD


def rows(model: str, fields: list[str], filters: dict[str, _Any]) -> list[_Any]:
    """Return fields of a model's rows, in the order of their ids."""
    return list(_apps.get_model(model).objects.filter(**filters).order_by("pk").values_list(*fields))


def yard(**values: _Any) -> list[str]:
    """Make a depot with a tariff, two buses and a van, each at a charger; return the chargers' identities."""
    depot = _factories.make_depot(**values)
    _make_tariff(depot)
    bus = _factories.make_type(depot, name="Bus")
    van = _factories.make_type(
        depot, name="Van", kind="van", usable_kwh=70, max_discharge_dc_kw=0, consumption_kwh_per_km=0.3
    )
    chargers = []
    for name, kind in (("Bus 01", bus), ("Bus 02", bus), ("Van 01", van)):
        vehicle = _factories.make_vehicle(depot, name, soc=None, type=kind, id_token=f"token of {name}")
        two_ways = kind is bus
        charger = _factories.make_charger(
            depot, vehicle, max_discharge_kw=60 if two_ways else 0, iso15118_20=two_ways
        )
        charger.set_password(_PASSWORD)
        charger.save()
        chargers.append(charger.identity)
    return chargers


def send_schedule(identity: str, start_at: str, power_kw: list[float]) -> str:
    """Queue a schedule for a charger and return the command's id."""
    charger = _Charger.objects.get(identity=identity)
    connector = _Connector.objects.get(charger=charger)
    payload = {
        "evse_id": connector.evse_id,
        "start_at": start_at,
        "step_seconds": 900,
        "power_kw": power_kw,
        "vehicle_id": connector.vehicle_id,
        "max_offline_s": 1800,
    }
    command = _send(
        charger, "set_schedule", payload, connector=connector, coalesce=f"schedule:{connector.pk}"
    )
    return str(command.pk)


def big_schedule(blocks: int) -> int:
    """Keep and check a schedule file of so many blocks, ask for its saving, and return the batch's id."""
    depot = _Depot.objects.get()
    lines = ["block_id,service_days,depart_at,return_at,energy_kwh"]
    lines += [f"{number},Mon-Fri,{number % 20:02}:00,{number % 20 + 3:02}:30,40" for number in range(blocks)]
    batch = _schedules.upload(depot, None, "\n".join(lines).encode(), "big.csv")
    job = _schedules.ask_to_save(batch, None, shown=batch.report["change"])
    assert job is not None, "the file is saved at once"
    return batch.pk


def program() -> str:
    """Let a program read the depot and send telemetry to it; return its key."""
    _, raw = _make_key(_Depot.objects.get(), "Telematics", ["read", "telemetry"])
    return raw


def dispatcher() -> str:
    """Log a dispatcher of the depot in; return the session cookie's value."""
    browser = _Client()
    browser.force_login(
        _factories.make_person(_Depot.objects.get(), "dispatcher"),
        backend="django.contrib.auth.backends.ModelBackend",
    )
    return str(browser.cookies["sessionid"].value)


def history(days: int) -> None:
    """Let the yard's meters and chargers have counted `days` days before `NOW`, and age its batteries."""
    depot = _Depot.objects.get()
    start_at = _factories.NOW - _timedelta(days=days)
    vehicles_kw = [0.0] * (96 * days)
    for number, connector in enumerate(_Connector.objects.order_by("pk")):
        for day in range(days):
            first = 96 * day + 40 + number
            power_kw = [12.0 + number] * 16 + ([-6.0] * 4 if connector.charger.bidirectional else [])
            _stay(connector, start_at + _STEP * first, power_kw, 0.4, 0.6)
            for index, power in enumerate(power_kw, first):
                vehicles_kw[index] += power
    _read_all(depot, start_at, [30.0 + step % 96 / 4 for step in range(96 * days)], vehicles_kw)
    _do("health", depot)


def _do(kind: str, depot: _Depot) -> None:
    """Do the work of a job, here and now."""
    _KINDS[kind].run(_Job(kind=kind, depot=depot), lambda fraction, step: None)


def undisturbed() -> dict[str, _Any]:
    """Return the ledger and the bills as they are after one roll-up and one bill, and undo both."""
    depot = _Depot.objects.get()
    with _transaction.atomic():
        for kind in ("rollup", "bill"):
            _do(kind, depot)
        found = money()
        _transaction.set_rollback(True)
    return found


def money() -> dict[str, _Any]:
    """Return the ledger, the bills with their lines and the savings, without ids and without when they were made."""
    made = ("id", "closed_at", "baseline_frozen_at")
    interval = [field.name for field in _Interval._meta.fields if field.name not in made]
    return {
        "ledger": rows("billing.Interval", interval, {}),
        "bills": rows(
            "billing.Bill", ["scenario", "start_at", "covered_to", "state", "total", "peaks_kw"], {}
        ),
        "lines": rows("billing.BillLine", ["bill__scenario", "position", "quantity", "rate", "amount"], {}),
        "savings": rows("billing.SavingsStatement", ["start_at", "wear_added", "net_saving", "steps"], {}),
    }


def bill_again() -> None:
    """Ask for one more bill."""
    _enqueue("bill", _Depot.objects.get(), "once more")


def afternoon(at: str, soc: dict[str, float]) -> None:
    """Let the yard's vehicles stand there with this charge; Van 01 leaves at 17:30, the buses tomorrow at 06:30."""
    depot, now = _Depot.objects.get(), _datetime.fromisoformat(at)
    for vehicle in _Vehicle.objects.order_by("pk"):
        _VehicleState.objects.create(
            vehicle=vehicle,
            observed_at=now,
            soc=soc[vehicle.name],
            soc_source="telematics",
            soc_observed_at=now,
        )
        soon = {"depart_minute": 17 * 60 + 30, "return_minute": 22 * 60, "distance_km": 100}
        later = {"depart_minute": 6 * 60 + 30, "return_minute": 9 * 60, "distance_km": 60}
        _factories.make_block(depot, vehicle, vehicle.name, **(soon if vehicle.name == "Van 01" else later))
    for meter in depot.meters.all():
        _record_meter(meter, now, 0.0, 0.0)


def coming(at: str) -> list[tuple[str, str]]:
    """Return who leaves next and whether it will be ready."""
    found = _readiness(_Depot.objects.get(), _datetime.fromisoformat(at))
    return [(str(one.vehicle), one.state) for one in found]
