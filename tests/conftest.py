"""Fixtures that every room shares: a depot, its people, and a stranger."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.test import Client
from django.utils import translation

from charging.selectors.plans import plan_documents
from depot.models import Depot, User
from tests import factories

STORES = {"db", "transactional_db", "live_server", "django_db_setup"}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what a database or a broker can change; the other tests give the same on all of them.

    Tests of processes on files bring their own database, whatever the run's is. On a busy machine they take long.
    """
    for item in items:
        marks = {mark.name for mark in item.iter_markers()}
        if marks & {"processes", "services"}:
            item.add_marker(pytest.mark.timeout(900))
        if "any_database" in marks or item.name.endswith("[files]"):
            continue
        if marks & {"django_db", "services", "processes"} or STORES & set(getattr(item, "fixturenames", ())):
            item.add_marker("stored")


@pytest.fixture
def depot(db: None) -> Depot:
    return factories.make_depot()


@pytest.fixture
def other_depot(db: None) -> Depot:
    return factories.make_depot("Harbor")


@pytest.fixture
def manager(depot: Depot) -> User:
    return factories.make_person(depot, "manager", "manager")


@pytest.fixture
def dispatcher(depot: Depot) -> User:
    return factories.make_person(depot, "dispatcher", "dispatcher")


@pytest.fixture
def technician(depot: Depot) -> User:
    return factories.make_person(depot, "technician", "technician")


@pytest.fixture
def viewer(depot: Depot) -> User:
    return factories.make_person(depot, "viewer", "viewer")


@pytest.fixture
def outsider(other_depot: Depot) -> User:
    return factories.make_person(other_depot, "owner", "outsider")


@pytest.fixture
def login(client: Client) -> Iterator:
    """Return a function that gives a browser logged in as somebody."""

    def as_user(user: User) -> Client:
        client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
        return client

    return as_user


@pytest.fixture(autouse=True)
def plain_files(settings) -> None:
    """Serve static files by name, and keep what a test writes out of the installation's folder."""
    settings.CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}


@pytest.fixture(autouse=True)
def plans_read_again() -> Iterator[None]:
    """Forget the plans of a test: their numbers come again when its transaction is taken back."""
    yield
    plan_documents.cache_clear()


@pytest.fixture(autouse=True)
def english_again() -> Iterator[None]:
    """End a test in English: what answers requests keeps the language of the last one until the next comes."""
    yield
    translation.deactivate()
