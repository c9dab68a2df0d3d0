"""The set-up: a whole depot in the admin alone, by role, and nothing of other depots."""

from __future__ import annotations

import pytest
from django.contrib import admin
from django.core.checks import run_checks
from django.urls import reverse

from depot.models import User


@pytest.fixture
def root(db) -> User:
    return User.objects.create_superuser("root", password="correct horse battery")


def address(model, what, *args) -> str:
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_{what}", args=args)


def test_the_admin_is_sound():
    assert [problem for problem in run_checks() if problem.is_serious()] == []


@pytest.mark.parametrize("model", sorted(admin.site._registry, key=str), ids=str)
def test_every_list_opens(login, root, depot, model):
    answer = login(root).get(address(model, "changelist"))
    assert answer.status_code == 200
