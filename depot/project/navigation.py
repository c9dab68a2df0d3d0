"""What stands around every page: the depots a person may switch to, and where to go."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest

from depot import clock
from depot.models import Depot
from depot.words import mark


@dataclass(frozen=True, slots=True)
class Place:
    """An entry of the navigation."""

    label: str
    view: str
    icon: str


PLACES = (
    Place(mark("Home"), "home", "home"),
    Place(mark("Board"), "charging:board", "board"),
    Place(mark("Plan"), "charging:plan", "plan"),
    Place(mark("Schedules"), "fleet:schedules", "schedule"),
    Place(mark("Vehicles"), "charging:vehicles", "vehicle"),
    Place(mark("Battery"), "fleet:battery", "battery"),
    Place(mark("Savings"), "billing:savings", "savings"),
    Place(mark("Bills"), "billing:bills", "bill"),
    Place(mark("Reports"), "charging:reports", "report"),
    Place(mark("Tariffs"), "billing:tariffs", "bill"),
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
