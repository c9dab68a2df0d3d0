"""What is still missing before a depot can be planned, charged and billed, and where to mend it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Q, QuerySet
from django.urls import reverse

from billing.models import Tariff
from charging.models import Charger
from depot.models import Depot, ElectricalNode, InterconnectionAgreement, Meter, Role
from depot.words import listed, tr, trn
from fleet.models import Block, Vehicle


@dataclass(frozen=True, slots=True)
class Gap:
    """Something that is missing: a sentence, and the address where it is mended."""

    sentence: str
    address: str


def missing(depot: Depot, now: datetime) -> list[Gap]:
    """Return what is still missing in the set-up of a depot, the most basic first."""
    return [*_site(depot), *_vehicles(depot), *_chargers(depot), *_work(depot, now), *_people(depot)]


def _here(depot: Depot, part: str) -> str:
    return reverse("admin:depot_depot_change", args=[depot.pk]) + f"#{part}-group"


def _add(kind: str, depot: Depot) -> str:
    return reverse(f"admin:{kind}_add") + f"?depot={depot.pk}"


def _list(kind: str, depot: Depot) -> str:
    return reverse(f"admin:{kind}_changelist") + f"?depot__id__exact={depot.pk}"


def _site(depot: Depot) -> list[Gap]:
    gaps: list[Gap] = []
    grid = ElectricalNode.objects.filter(depot=depot, kind=ElectricalNode.Kind.GRID).first()
    if grid is None:
        gaps.append(
            Gap(tr("The grid connection is not entered: nothing can be charged."), _here(depot, "nodes"))
        )
    elif not grid.import_limit_kw:
        gaps.append(Gap(tr("The grid connection's import limit is 0 kW."), _here(depot, "nodes")))
    gaps += _agreement(depot, grid)
    meters = set(Meter.objects.filter(depot=depot).values_list("kind", flat=True))
    if Meter.Kind.GRID not in meters:
        gaps.append(
            Gap(tr("No meter at the grid connection: bills cannot be checked."), _here(depot, "meters"))
        )
    solar = depot.solar_arrays.exists()
    if solar and Meter.Kind.SOLAR not in meters:
        gaps.append(
            Gap(tr("Solar panels, but no solar meter: forecasts cannot learn."), _here(depot, "meters"))
        )
    if Meter.Kind.SOLAR in meters and not solar:
        gaps.append(
            Gap(tr("A solar meter, but no panels: they are not planned."), _here(depot, "solar_arrays"))
        )
    return gaps


def _agreement(depot: Depot, grid: ElectricalNode | None) -> list[Gap]:
    agreement = InterconnectionAgreement.objects.filter(depot=depot).first()
    if agreement is not None and agreement.allowed_export_kw > 0:
        return []
    wants_export = grid is not None and grid.export_limit_kw > 0
    two_way = Charger.objects.filter(depot=depot, max_discharge_kw__gt=0).exists()
    if not (wants_export or two_way):
        return []
    if agreement is None or agreement.state != InterconnectionAgreement.State.APPROVED:
        sentence = tr(
            "The interconnection agreement is not approved: vehicles supply the building only, not the grid."
        )
    elif not agreement.bidirectional_meter:
        sentence = tr("No bidirectional meter is commissioned: nothing may flow to the grid.")
    else:
        sentence = tr("The agreement's export limit is 0 kW: nothing may flow to the grid.")
    return [Gap(sentence, _here(depot, "agreement"))]


def _vehicles(depot: Depot) -> list[Gap]:
    vehicles = Vehicle.objects.filter(depot=depot, active=True)
    gaps: list[Gap] = []
    if not depot.vehicle_types.exists():
        gaps.append(Gap(tr("No vehicle type is entered."), _add("fleet_vehicletype", depot)))
    if not vehicles.exists():
        return [*gaps, Gap(tr("No vehicle is entered."), _add("fleet_vehicle", depot))]
    homeless = list(vehicles.filter(connectors__isnull=True).values_list("name", flat=True))
    if homeless:
        sentence = trn(
            "{names} has no connector to park at: enter it at the charger.",
            "{names} have no connector to park at: enter it at the charger.",
            len(homeless),
            names=_names(homeless),
        )
        gaps.append(Gap(sentence, _list("charging_charger", depot)))
    silent = list(vehicles.filter(state__isnull=True).values_list("name", flat=True))
    if silent:
        sentence = trn(
            "{names} has never told a state of charge.",
            "{names} have never told a state of charge.",
            len(silent),
            names=_names(silent),
        )
        gaps.append(Gap(sentence, _list("fleet_vehicle", depot)))
    return gaps


def _chargers(depot: Depot) -> list[Gap]:
    chargers = Charger.objects.filter(depot=depot)
    if not chargers.exists():
        return [Gap(tr("No charger is entered."), _add("charging_charger", depot))]
    gaps: list[Gap] = _fallback(depot)
    if names := _where(chargers, connectors__isnull=True):
        sentence = trn(
            "{names} has no connector.", "{names} have no connector.", len(names), names=_names(names)
        )
        gaps.append(Gap(sentence, _list("charging_charger", depot)))
    if names := _where(chargers, password_hash=""):
        sentence = trn(
            "{names} has no password: it cannot log in.",
            "{names} have no password: they cannot log in.",
            len(names),
            names=_names(names),
        )
        gaps.append(Gap(sentence, _list("charging_charger", depot)))
    if names := _where(chargers, last_seen_at__isnull=True):
        sentence = trn(
            "{names} has never connected.", "{names} have never connected.", len(names), names=_names(names)
        )
        gaps.append(Gap(sentence, _list("charging_charger", depot)))
    return gaps


def _where(chargers: QuerySet[Charger], **condition: Any) -> list[str]:
    return list(chargers.filter(**condition).values_list("name", flat=True))


def _fallback(depot: Depot) -> list[Gap]:
    """Without us all chargers may charge at their fallback power at once; no node may carry less than that."""
    nodes = {node.pk: node for node in depot.nodes.all()}
    together = dict.fromkeys(nodes, 0.0)
    for node_id, fallback_kw in depot.chargers.values_list("node", "fallback_kw"):
        for key in _way_to_grid(node_id, nodes):
            together[key] += fallback_kw
    return [
        Gap(
            tr(
                "Without a link the chargers below {node} may draw {power_kw:g} kW together, and "
                "it carries {limit_kw:g} kW: lower their fallback powers.",
                node=nodes[key].name,
                power_kw=power_kw,
                limit_kw=nodes[key].import_limit_kw,
            ),
            _list("charging_charger", depot),
        )
        for key, power_kw in together.items()
        if power_kw > nodes[key].import_limit_kw
    ]


def _way_to_grid(node_id: int | None, nodes: dict[int, ElectricalNode]) -> set[int]:
    way: set[int] = set()
    while node_id is not None and node_id not in way:
        way.add(node_id)
        node_id = nodes[node_id].parent_id
    return way


def _work(depot: Depot, now: datetime) -> list[Gap]:
    today = depot.local(now).date()
    gaps: list[Gap] = []
    valid = Tariff.objects.filter(depot=depot, valid_from__lte=today)
    if not valid.filter(Q(valid_to__isnull=True) | Q(valid_to__gte=today)).exists():
        gaps.append(Gap(tr("No tariff is valid today: energy has no price."), _add("billing_tariff", depot)))
    coming = Block.objects.filter(depot=depot).filter(
        Q(service_date__gte=today) | Q(weekdays__gt=0) & (Q(valid_to__isnull=True) | Q(valid_to__gte=today))
    )
    if not coming.exists():
        sentence = tr("No block runs today or later: upload a schedule.")
        gaps.append(Gap(sentence, _list("fleet_block", depot)))
    return gaps


def _people(depot: Depot) -> list[Gap]:
    roles = set(depot.memberships.filter(user__is_active=True).values_list("role", flat=True))
    wanted = (
        (Role.OWNER, tr("Nobody is owner of this depot: nobody can give roles.")),
        (Role.DISPATCHER, tr("Nobody is dispatcher of this depot: nobody watches the pull-outs.")),
    )
    return [Gap(sentence, _here(depot, "memberships")) for role, sentence in wanted if role not in roles]


def _names(names: list[str]) -> str:
    """Name three at most, and how many more there are."""
    if len(names) <= 3:
        return listed([part for part in (", ".join(names[:-1]), names[-1]) if part])
    return listed([", ".join(names[:3]), tr("{count} more", count=len(names) - 3)])
