"""Which schedule formats there are, and which one a file is in. One module a format."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import PurePath

from depot.imports import FileError, RowError
from fleet.formats import canonical
from fleet.formats.blocks import Fleet, Reading

Reader = Callable[[bytes, str, Fleet], Reading]

READERS: dict[str, Reader] = {canonical.FORMAT: canonical.read}
PLANNED = {"xlsx": "Excel workbooks", "gtfs": "GTFS feeds", "vdv452": "VDV 452 files"}
CHOICES = ("auto", *READERS, *PLANNED)
OTHER_ENDINGS = {".xlsx": "xlsx", ".xls": "xlsx", ".ods": "xlsx", ".zip": "gtfs", ".x10": "vdv452"}
TEXT_ENDINGS = frozenset({".x10"})
CONTAINERS = (b"PK", b"\xd0\xcf\x11\xe0")


def read_schedule(content: bytes, name: str, fleet: Fleet, file_format: str = "auto") -> Reading:
    """Read a schedule file; a file that cannot be read at all is a Reading with one error and no rows."""
    chosen = detect(content, name) if file_format == "auto" else file_format
    try:
        if chosen not in READERS:
            what = PLANNED.get(chosen, f"Files of format “{chosen}”")
            raise FileError(
                f"{what} are not supported; {name} was not read. Save the schedule as CSV with the columns of "
                "the template."
            )
        return READERS[chosen](content, name, fleet)
    except FileError as problem:
        return Reading(chosen, (), (RowError(name, None, "", "", str(problem)),))


def detect(content: bytes, name: str) -> str:
    """Return the format of a file: a container's by its name, anything that begins like text is CSV."""
    ending = PurePath(name).suffix.lower()
    if content.startswith(CONTAINERS) or ending in TEXT_ENDINGS:
        return OTHER_ENDINGS.get(ending, canonical.FORMAT)
    return canonical.FORMAT
