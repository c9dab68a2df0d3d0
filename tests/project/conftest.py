"""The demonstration depot with two days of history, made once for all tests of this folder."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
import time_machine
from django.core.management import call_command

from depot.models import Depot
from depot.project.demo import site

NOW = datetime(2026, 10, 7, 15, 20, tzinfo=UTC)  # a Wednesday, 11:20 in Greensboro
DAYS = 2


@pytest.fixture(scope="package")
def demo(django_db_setup, django_db_blocker, tmp_path_factory) -> Iterator[Depot]:
    """The demonstration; it is taken away again at the end."""
    with django_db_blocker.unblock():
        from django.conf import settings

        before = settings.VAR_DIR
        settings.VAR_DIR = tmp_path_factory.mktemp("var")
        with time_machine.travel(NOW, tick=False):
            call_command("demo", days=DAYS, no_run=True, verbosity=0)
        yield Depot.objects.get(slug=site.SLUG)
        call_command("flush", interactive=False, verbosity=0)
        settings.VAR_DIR = before


@pytest.fixture(autouse=True)
def database(db: None) -> None:
    """Every test here reads the demonstration."""
