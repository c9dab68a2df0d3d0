"""The live board: all tiles, what has changed since a page looked, and the details of one connector."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_GET

from charging.models import Connector, UnknownStation
from charging.selectors.board import Board, Sort, board, facts_of
from charging.selectors.board_stations import Station, stations, stations_sentence
from charging.selectors.board_tile import Tile, tile_of
from charging.selectors.board_yard import placed, yard_rows
from charging.selectors.links import is_linked
from charging.selectors.plan_view import vehicle_lane
from charging.selectors.plans import latest_plan
from charging.views.board_versions import changed, digest, write_versions
from charging.views.vehicle_chart import vehicle_chart
from depot import clock
from depot.access.pages import depot_page
from depot.models import Depot
from depot.words import tr

TECHNICIAN = "technician"


@dataclass(frozen=True, slots=True)
class Tiles:
    """The board of connectors as one page shows it."""

    board: Board
    sort: Sort
    name = "tiles"

    @property
    def pieces(self) -> list[Tile]:
        return self.board.sorted(self.sort)

    @property
    def versions(self) -> dict[str, str]:
        """Return the version of each part: the order of the tiles, the words above them, every tile."""
        order = [(tile.pk, tile.row, tile.bay) if self.sort == "yard" else tile.pk for tile in self.pieces]
        loose = [(row.duty.block.pk, row.duty.service_date, row.reason) for row in self.board.loose]
        words = {"order": digest(order), "answer": digest(self.board.sentence), "loose": digest(loose)}
        return words | {str(tile.pk): digest(tile) for tile in self.board.tiles}

    def context(self) -> dict[str, Any]:
        rows = yard_rows(self.board.tiles) if self.sort == "yard" else []
        return {"answer": self.board.sentence, "loose": self.board.loose, "rows": rows, "chosen": self.sort}


@dataclass(frozen=True, slots=True)
class Stations:
    """The board of stations, for those who look after them."""

    pieces: list[Station]
    strangers: int = 0
    """How many stations have knocked that nobody has set up; told to who may adopt them."""
    name = "stations"

    @property
    def versions(self) -> dict[str, str]:
        order = {"order": digest([row.pk for row in self.pieces]), "answer": digest(self.answer)}
        return order | {str(row.pk): digest(row) for row in self.pieces}

    @property
    def answer(self) -> str:
        return stations_sentence(self.pieces)

    def context(self) -> dict[str, Any]:
        return {"answer": self.answer, "strangers": self.strangers, "chosen": TECHNICIAN}


def _shown(request: HttpRequest, depot: Depot) -> Tiles | Stations:
    """Return what the address asks for; PermissionDenied for stations, to those who do not command them."""
    now = clock.now()
    if request.GET.get("view") == TECHNICIAN:
        if "command_chargers" not in request.abilities:  # type: ignore[attr-defined]
            raise PermissionDenied(
                tr("Your role in {depot} does not allow this. Ask an owner of the depot.", depot=depot)
            )
        strangers = UnknownStation.objects.count() if request.user.is_staff else 0
        return Stations(stations(depot, now), strangers)
    found = board(depot, now)
    if request.GET.get("sort") == "yard":
        return Tiles(replace(found, tiles=placed(found.tiles)), "yard")
    return Tiles(found, "urgency")


def _context(shown: Tiles | Stations) -> dict[str, Any]:
    query = f"view={TECHNICIAN}" if isinstance(shown, Stations) else f"sort={shown.sort}"
    have = write_versions(shown.versions)
    whole, one = f"charging/board_{shown.name}.html", f"charging/board_{shown.name[:-1]}.html"
    return shown.context() | {
        "pieces": shown.pieces,
        "have": have,
        "query": query,
        "whole": whole,
        "one": one,
    }


@require_GET
@depot_page()
def page(request: HttpRequest, depot: Depot) -> HttpResponse:
    """Show every connector: what it does, with which vehicle, whether it will be ready, and why."""
    return render(request, "charging/board.html", _context(_shown(request, depot)))


@require_GET
@depot_page()
def changes(request: HttpRequest, depot: Depot) -> HttpResponse:
    """Answer what has changed since the page got what it names in `have`; 204 when nothing has."""
    shown = _shown(request, depot)
    names = changed(request, shown.versions)
    if not names:
        return HttpResponse(status=204)
    apart = [] if "order" in names else [piece for piece in shown.pieces if str(piece.pk) in names]
    context = _context(shown) | {"changed": names, "apart": apart, "oob": True}
    return render(request, "charging/board_changes.html", context)


@require_GET
@depot_page()
def connector(request: HttpRequest, depot: Depot, connector_id: int) -> HttpResponse:
    """Show one connector: its charger, its vehicle's last hours and coming ones, and every reason."""
    one = get_object_or_404(Connector.objects.of_depot(depot).select_related("charger"), pk=connector_id)
    now = clock.now()
    plan = latest_plan(depot, now)
    facts = next(facts for facts in facts_of(depot, now, plan)[0] if facts.connector.pk == one.pk)
    vehicle = facts.vehicle
    context: dict[str, Any] = {"connector": one, "charger": one.charger, "tile": tile_of(facts, now)}
    context |= {"linked": is_linked(one.charger, now), "stay": facts.stay, "vehicle": vehicle, "lane": None}
    found = vehicle_lane(depot, now, vehicle, plan) if vehicle is not None else None
    if found is not None:
        line, lane = found
        context |= {"lane": lane, "chart": vehicle_chart(line, lane, depot, now)}
    name = "board_connector.html" if request.htmx else "board_connector_page.html"  # type: ignore[attr-defined]
    return render(request, f"charging/{name}", context)
