"""What a clerk can be asked (see `clerk`): the yard that the tests share, and looks into its tables."""

from __future__ import annotations

from typing import Any

from django.apps import apps as _apps
from django.test import Client as _Client

from charging.models import Charger as _Charger
from charging.models import Connector as _Connector
from charging.services.commands import send as _send
from depot.access.keys import make_key as _make_key
from depot.models import Depot as _Depot
from tests import factories as _factories
from tests.billing.money import make_tariff as _make_tariff
from tests.processes.chargers import PASSWORD as _PASSWORD


def rows(model: str, fields: list[str], filters: dict[str, Any]) -> list[Any]:
    """Return fields of a model's rows, in the order of their ids."""
    return list(_apps.get_model(model).objects.filter(**filters).order_by("pk").values_list(*fields))


def yard(**values: Any) -> list[str]:
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
        "max_offline_s": 1800,
    }
    command = _send(
        charger, "set_schedule", payload, connector=connector, coalesce=f"schedule:{connector.pk}"
    )
    return str(command.pk)


def program() -> str:
    """Let a program send telemetry to the depot; return its key."""
    _, raw = _make_key(_Depot.objects.get(), "Telematics", ["telemetry"])
    return raw


def dispatcher() -> str:
    """Log a dispatcher of the depot in; return the session cookie's value."""
    browser = _Client()
    browser.force_login(
        _factories.make_person(_Depot.objects.get(), "dispatcher"),
        backend="django.contrib.auth.backends.ModelBackend",
    )
    return str(browser.cookies["sessionid"].value)
