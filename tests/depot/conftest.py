"""People of the set-up: the administrator, and staff with a role."""

from __future__ import annotations

import pytest

from depot.models import User
from tests.factories import make_person


@pytest.fixture
def root(db) -> User:
    return User.objects.create_superuser("root", password="correct horse battery")


@pytest.fixture
def staff(depot):
    """Return a function that makes a person of staff with a role."""

    def person(role, of=depot):
        user = make_person(of, role)
        user.is_staff = True
        user.save()
        return user

    return person
