"""How the yard is laid out: tiles in rows and places, and a layout suggested from the names of bays.

Nothing here asks the database.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace

from charging.selectors.board_tile import Tile

Place = tuple[int, int]
"""Row and place in it, both from 1."""
LONGEST_ROW = 12
_NUMBER = re.compile(r"\d+$")


def placed(tiles: Sequence[Tile]) -> list[Tile]:
    """Return tiles with a place each as suggested, when nobody has laid out the yard yet; else as they are."""
    if any(tile.row is not None for tile in tiles):
        return list(tiles)
    places = suggested([tile.place for tile in tiles])
    return [replace(tile, row=row, bay=bay) for tile, (row, bay) in zip(tiles, places, strict=True)]


def yard_rows(tiles: Iterable[Tile]) -> list[tuple[int | None, list[Tile | None]]]:
    """Lay tiles out row by row, None for each empty place between two; who has no place comes last, under None."""
    rows: dict[int | None, list[Tile | None]] = {}
    reached: dict[int | None, int] = {}
    for tile in sorted(tiles, key=lambda tile: tile.yard):
        line = rows.setdefault(tile.row, [])
        if tile.bay is not None:
            line.extend([None] * (tile.bay - reached.get(tile.row, 0) - 1))
            reached[tile.row] = tile.bay
        line.append(tile)
    return list(rows.items())


def suggested(names: Sequence[str]) -> list[Place]:
    """Return a place for each bay name: names that begin alike stand together, by number, in rows of 12 at most."""
    order = sorted(range(len(names)), key=lambda index: _key(names[index]))
    places: dict[int, Place] = {}
    row, place, before = 0, 0, None
    for index in order:
        beginning = _key(names[index])[0]
        if beginning != before or place == LONGEST_ROW:
            row, place, before = row + 1, 0, beginning
        place += 1
        places[index] = (row, place)
    return [places[index] for index in range(len(names))]


def _key(name: str) -> tuple[str, int]:
    """Return how a name begins and its number; what follows a slash is a connector of one charger."""
    bay = name.partition("/")[0]
    found = _NUMBER.search(bay)
    return (bay[: found.start()], int(found.group())) if found else (bay, 0)
