"""What stands around every page: the depots a person may switch to, and where to go."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest

from depot import clock
from depot.models import Depot


@dataclass(frozen=True, slots=True)
class Place:
    """An entry of the navigation."""

    label: str
    view: str
    icon: str


PLACES = (
    Place("Home", "home", "home"),
    Place("Board", "charging:board", "board"),
    Place("Plan", "charging:plan", "plan"),
    Place("Schedules", "fleet:schedules", "schedule"),
    Place("Vehicles", "charging:vehicles", "vehicle"),
    Place("Battery", "fleet:battery", "battery"),
    Place("Savings", "billing:savings", "savings"),
    Place("Bills", "billing:bills", "bill"),
    Place("Reports", "charging:reports", "report"),
    Place("Tariffs", "billing:tariffs", "bill"),
)


def navigation(request: HttpRequest) -> dict[str, Any]:
    """Give templates the places, the depots of the user, and the depot's own time."""
    depot: Depot | None = getattr(request, "depot", None)
    user = getattr(request, "user", None)
    depots = Depot.objects.visible_to(user).only("name", "slug") if user and user.is_authenticated else ()
    return {
        "places": PLACES,
        "depots": depots,
        "depot": depot,
        "abilities": getattr(request, "abilities", frozenset()),
        "depot_now": depot.local(clock.now()) if depot else None,
    }
