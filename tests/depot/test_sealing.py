"""Secrets that are used again lie sealed in the database."""

from __future__ import annotations

from importlib import import_module

import pytest
from django.apps import apps

from depot.access.sealing import SealError, seal, unseal
from depot.models import MeterSource
from tests.factories import NOW

pytestmark = pytest.mark.any_database
LONG = "pässwörd-" * 30


@pytest.mark.parametrize("plain", ["", "@", "hunter2", LONG])
def test_what_is_sealed_opens_again_and_shows_nothing(plain: str) -> None:
    sealed = seal(plain, "test")
    assert unseal(sealed, "test") == plain
    assert not plain or (plain not in sealed and seal(plain, "test") != sealed), "no two look alike"


def test_nothing_else_opens(settings) -> None:
    sealed = seal("hunter2", "test")
    turned = sealed[:-6] + ("A" if sealed[-6] != "A" else "B") + sealed[-5:]
    for strange in (turned, sealed[:20], "hunter2", "sealed1:hunter2!", sealed.removeprefix("sealed1:")):
        with pytest.raises(SealError):
            unseal(strange, "test")
    with pytest.raises(SealError):
        unseal(sealed, "another purpose")
    settings.SECRET_KEY = "another key"
    with pytest.raises(SealError):
        unseal(sealed, "test")


def test_passwords_that_lay_readable_are_sealed_and_can_be_opened_again(depot) -> None:
    migration = import_module("depot.migrations.0008_sealed_meter_passwords")
    meter = depot.meters.get(kind="grid")
    source = MeterSource.objects.create(meter=meter, kind="mqtt", changed_at=NOW)
    MeterSource.objects.update(sealed_password="hunter2")
    migration.seal_all(apps, None)
    source.refresh_from_db()
    assert source.password == "hunter2" and "hunter2" not in source.sealed_password
    migration.open_all(apps, None)
    source.refresh_from_db()
    assert source.sealed_password == "hunter2"
