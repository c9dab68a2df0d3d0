"""What must hold for the blocks of a file, whatever format they came in."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from depot.imports import CellError, RowError
from depot.words import tr
from fleet.demand.energy import Consumption, energy_needed
from fleet.formats.blocks import BlockRow, Fleet, KnownType


@dataclass(frozen=True, slots=True)
class Checked:
    """Rows with the depot's own names of vehicles and types, and what is wrong with the others."""

    rows: tuple[BlockRow, ...]
    errors: tuple[RowError, ...] = ()
    warnings: tuple[RowError, ...] = ()


class Names:
    """The names of a depot's vehicles and types, however a file spells them."""

    def __init__(self, fleet: Fleet) -> None:
        self._vehicles = {
            name.casefold(): vehicle for vehicle in fleet.vehicles for name in vehicle.other_names if name
        } | {vehicle.name.casefold(): vehicle for vehicle in fleet.vehicles}
        self._types = {kind.name.casefold(): kind.name for kind in fleet.types}
        self._in_service = [vehicle.name for vehicle in fleet.vehicles if vehicle.active]

    def vehicle(self, text: str) -> str:
        """Return a vehicle's own name; raise CellError when there is none or it is out of service."""
        if not text:
            return ""
        vehicle = self._vehicles.get(text.casefold())
        if vehicle is None:
            raise CellError(
                tr(
                    "This depot has no vehicle “{text}”. {text2}",
                    text=text,
                    text2=_suggestion(text, self._in_service),
                )
            )
        if not vehicle.active:
            raise CellError(
                tr(
                    "{name} is out of service. Choose another vehicle or put it back into service first.",
                    name=vehicle.name,
                )
            )
        return vehicle.name

    def vehicle_type(self, text: str) -> str:
        """Return a vehicle type's own name; raise CellError when there is none."""
        if not text:
            return ""
        if text.casefold() not in self._types:
            known = list(self._types.values())
            raise CellError(
                tr(
                    "This depot has no vehicle type “{text}”. {text2}",
                    text=text,
                    text2=_suggestion(text, known),
                )
            )
        return self._types[text.casefold()]

    def type_of(self, vehicle: str) -> str:
        """Return the type of a vehicle by its own name."""
        return self._vehicles[vehicle.casefold()].vehicle_type


def with_known_names(rows: Sequence[BlockRow], fleet: Fleet) -> Checked:
    """Replace vehicle and type names by the depot's own; unknown ones, and types that do not fit, are errors."""
    names = Names(fleet)
    known: list[BlockRow] = []
    errors: list[RowError] = []
    for row in rows:
        try:
            vehicle = names.vehicle(row.vehicle)
        except CellError as problem:
            errors.append(row.place.error("vehicle", row.vehicle, str(problem)))
            continue
        try:
            kind = names.vehicle_type(row.vehicle_type)
        except CellError as problem:
            errors.append(row.place.error("vehicle_type", row.vehicle_type, str(problem)))
            continue
        if vehicle and kind and names.type_of(vehicle) != kind:
            message = tr(
                "{vehicle} is a {vehicle2}, not a {kind}. Choose another vehicle or type, or leave the "
                "type empty.",
                vehicle=vehicle,
                vehicle2=names.type_of(vehicle),
                kind=kind,
            )
            errors.append(row.place.error("vehicle_type", row.vehicle_type, message))
            continue
        known.append(replace(row, vehicle=vehicle, vehicle_type=kind))
    return Checked(tuple(known), tuple(errors))


def without_doubles(rows: Sequence[BlockRow]) -> Checked:
    """Keep the first row of each key; every further one is an error."""
    first: dict[str, BlockRow] = {}
    errors: list[RowError] = []
    for row in rows:
        twin = first.setdefault(row.key, row)
        if twin is not row:
            place = (
                tr("row {row}", row=twin.place.row)
                if twin.place.sheet == row.place.sheet
                else twin.place.sheet
            )
            errors.append(
                row.place.error(
                    "block_id",
                    row.block_id,
                    tr(
                        "Block “{block_id}” with the same days stands in {place} already. Delete one of the two "
                        "rows or give it another block_id.",
                        block_id=row.block_id,
                        place=place,
                    ),
                )
            )
    return Checked(tuple(first.values()), tuple(errors))


def within_battery(rows: Sequence[BlockRow], fleet: Fleet) -> Checked:
    """Find blocks that need more than the vehicle's battery gives: an error; into the reserve: a warning.

    Energy at 20 °C from `fleet.demand`, against a new battery; cold days and age are the planner's matter.
    """
    types = {kind.name: kind for kind in fleet.types}
    type_of = {vehicle.name: types.get(vehicle.vehicle_type) for vehicle in fleet.vehicles}
    errors: list[RowError] = []
    warnings: list[RowError] = []
    for row in rows:
        kind = type_of.get(row.vehicle) if row.vehicle else types.get(row.vehicle_type)
        if kind is None:
            continue
        need_kwh = _need_kwh(row, kind)
        holds_kwh = kind.usable_kwh * (kind.max_soc - kind.min_soc)
        spare_kwh = holds_kwh - kind.usable_kwh * kind.reserve_soc
        if need_kwh > holds_kwh:
            errors.append(_too_far(row, kind, need_kwh, tr("gives {holds_kwh:.0f} kWh", holds_kwh=holds_kwh)))
        elif need_kwh > spare_kwh:
            warnings.append(
                _too_far(
                    row,
                    kind,
                    need_kwh,
                    tr("gives {spare_kwh:.0f} kWh above its reserve", spare_kwh=spare_kwh),
                )
            )
    return Checked(tuple(rows), tuple(errors), tuple(warnings))


def _suggestion(name: str, known: Sequence[str]) -> str:
    if not known:
        return tr("Add it in the set-up first.")
    spelled = {_spelling(candidate): candidate for candidate in known}
    close = difflib.get_close_matches(_spelling(name), spelled, n=1, cutoff=0.6)
    if close:
        return tr("Do you mean {spelled}?", spelled=spelled[close[0]])
    names = ", ".join(known[:3])
    if len(known) > 3:
        return tr("It has {names} and others.", names=names)
    return tr("It has {names}.", names=names)


def _spelling(name: str) -> str:
    """Return a name as it is compared: spreadsheets drop the zeros before numbers, and the blanks."""
    return re.sub(r"\W|(?<!\d)0+(?=\d)", "", name.casefold())


def _need_kwh(row: BlockRow, kind: KnownType) -> float:
    consumption = Consumption(kind.consumption_kwh_per_km, kind.auxiliary_kw)
    hours = (row.return_minute - row.depart_minute) / 60
    need = energy_needed(row.distance_km or 0.0, consumption, hours=hours, given_kwh=row.energy_kwh)
    return need.total_kwh


def _too_far(row: BlockRow, kind: KnownType, need_kwh: float, gives: str) -> RowError:
    from_distance = row.energy_kwh is None
    name, value = ("distance_km", row.distance_km) if from_distance else ("energy_kwh", row.energy_kwh)
    return row.place.error(
        name,
        f"{value:g}",
        tr(
            "Block {block_id} needs {need_kwh:.0f} kWh, but {vehicle} {gives}. Shorten the block or "
            "assign a bigger vehicle.",
            block_id=row.block_id,
            need_kwh=need_kwh,
            vehicle=row.vehicle or kind.name,
            gives=gives,
        ),
    )
