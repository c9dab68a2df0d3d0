"""What every row of a depot shares: it belongs to one depot, and only that depot's people see it."""

from __future__ import annotations

from typing import Any, Self

from django.contrib.auth.base_user import AbstractBaseUser
from django.db import models


class ScopedQuerySet(models.QuerySet):
    """Rows that can be narrowed to the depots a user or an API key may see."""

    def visible_to(self, user: Any) -> Self:
        """Return only rows of depots in which `user` (or the API key it stands for) has a part."""
        if not user.is_authenticated:
            return self.none()
        return self.of_depots(user.depot_ids())

    def of_depots(self, depot_ids: Any) -> Self:
        return self.filter(**{f"{self._way()}__in": depot_ids})

    def of_depot(self, depot: Any) -> Self:
        return self.filter(**{self._way(): depot.pk})

    def _way(self) -> str:
        way: str = self.model.depot_path  # type: ignore[attr-defined]
        return way


class Scoped(models.Model):
    """A row that belongs to a depot; `depot_path` is the way from the row to it."""

    depot_path = "depot"
    objects = ScopedQuerySet.as_manager()

    class Meta:
        abstract = True


def person_of(request: Any = None, **_kwargs: Any) -> Any:
    """Return the person to name in a row's history; None for a program with an API key, which the audit names."""
    user = getattr(request, "user", None)
    return user if isinstance(user, AbstractBaseUser) else None
