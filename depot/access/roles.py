"""Who may do what: one table, asked by pages, API and admin alike."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet

from depot.models import Depot, Membership, Role

MEMBERS = frozenset(Role)
DISPATCH = frozenset({Role.DISPATCHER, Role.MANAGER, Role.OWNER})
MONEY = frozenset({Role.MANAGER, Role.OWNER})
SITE = frozenset({Role.TECHNICIAN, Role.MANAGER, Role.OWNER})

ABILITIES: dict[str, frozenset[str]] = {
    "view": MEMBERS,
    "write_schedules": DISPATCH,
    "replan": DISPATCH,
    "override": DISPATCH,
    "handle_alerts": MEMBERS - {Role.VIEWER},
    "set_up_site": SITE,
    "command_chargers": SITE,
    "write_tariffs": SITE,
    "settle_bills": MONEY,
    "write_programmes": MONEY,
    "manage_people": frozenset({Role.OWNER}),
}


def role_of(user: Any, depot: Depot) -> str | None:
    """Return the role of `user` in `depot`; None for a stranger and for a superuser, who needs none."""
    if user.is_superuser:
        return None
    return Membership.objects.filter(user=user, depot=depot).values_list("role", flat=True).first()


def abilities_in(role: str | None, *, superuser: bool = False) -> frozenset[str]:
    """Return all that a role may do, or a superuser."""
    return frozenset(ability for ability, roles in ABILITIES.items() if superuser or role in roles)


def abilities(user: Any, depot: Depot) -> frozenset[str]:
    """Return all that `user` may do in `depot`."""
    return abilities_in(role_of(user, depot), superuser=user.is_superuser)


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
