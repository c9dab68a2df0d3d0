"""Who may do what: one table, asked by pages, API and admin alike."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet

from depot.models import Depot, Membership, Role

MEMBERS = frozenset(Role)
DISPATCH = frozenset({Role.DISPATCHER, Role.MANAGER, Role.OWNER})
SITE = frozenset({Role.TECHNICIAN, Role.MANAGER, Role.OWNER})

ABILITIES: dict[str, frozenset[str]] = {
    "view": MEMBERS,
    "write_schedules": DISPATCH,
    "replan": DISPATCH,
    "override": DISPATCH,
    "set_up_site": SITE,
    "command_chargers": SITE,
    "write_tariffs": SITE,
    "manage_people": frozenset({Role.OWNER}),
}


def abilities(user: Any, depot: Depot) -> frozenset[str]:
    """Return all that `user` may do in `depot`."""
    if user.is_superuser:
        return frozenset(ABILITIES)
    role = Membership.objects.filter(user=user, depot=depot).values_list("role", flat=True).first()
    return frozenset(ability for ability, roles in ABILITIES.items() if role in roles)


def may(user: Any, depot: Depot, ability: str) -> bool:
    """Tell whether `user` may do `ability` (a key of `ABILITIES`) in `depot`."""
    if ability not in ABILITIES:
        raise KeyError(ability)
    return ability in abilities(user, depot)


def depots_where(user: Any, ability: str) -> QuerySet[Any, int]:
    """Return the ids of the depots in which `user` may do `ability`."""
    if user.is_superuser:
        return Depot.objects.values_list("pk", flat=True)
    return Membership.objects.filter(user=user, role__in=ABILITIES[ability]).values_list(
        "depot_id", flat=True
    )
