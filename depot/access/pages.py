"""The door of every page of a depot: only its people come in, and only to what their role allows."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404

from depot.access.roles import abilities_in, role_of
from depot.models import Depot
from depot.words import tr

View = Callable[..., HttpResponse]


def depot_page(ability: str = "view") -> Callable[[View], View]:
    """Turn `view(request, depot, ...)` into a view of `<slug>/...`: 404 for strangers, 403 without the ability.

    The view finds the user's role in `request.role` (None for a superuser), and what they may do in
    `request.abilities`.
    """

    def decorate(view: View) -> View:
        @login_required
        @wraps(view)
        def wrapped(request: HttpRequest, slug: str, *args: Any, **kwargs: Any) -> HttpResponse:
            depot = get_object_or_404(Depot.objects.visible_to(request.user), slug=slug)
            request.depot = depot  # type: ignore[attr-defined]
            user: Any = request.user
            request.role = role_of(user, depot)  # type: ignore[attr-defined]
            request.abilities = abilities_in(request.role, superuser=user.is_superuser)  # type: ignore[attr-defined]
            if ability not in request.abilities:  # type: ignore[attr-defined]
                raise PermissionDenied(
                    tr("Your role in {depot} does not allow this. Ask an owner of the depot.", depot=depot)
                )
            return view(request, depot, *args, **kwargs)

        return wrapped

    return decorate
