"""Which schedule formats there are, and which one a file is in. One module a format."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from pathlib import PurePath
from zipfile import BadZipFile, ZipFile

from depot.imports import FileError, RowError
from depot.words import tr
from fleet.formats import canonical, gtfs, vdv452, workbook
from fleet.formats.blocks import Fleet, Reading

Reader = Callable[[bytes, str, Fleet], Reading]

READERS: dict[str, Reader] = {
    canonical.FORMAT: canonical.read,
    workbook.FORMAT: workbook.read,
    gtfs.FORMAT: gtfs.read,
    vdv452.FORMAT: vdv452.read,
}
CHOICES = ("auto", *READERS)
ZIP, OLD_WORKBOOK = b"PK", b"\xd0\xcf\x11\xe0"
WORKBOOK_PARTS = {"[Content_Types].xml", "content.xml"}


def read_schedule(content: bytes, name: str, fleet: Fleet, file_format: str = "auto") -> Reading:
    """Read a schedule file; a file that cannot be read at all is a Reading with one error and no rows."""
    chosen = detect(content, name) if file_format == "auto" else file_format
    try:
        if chosen not in READERS:
            raise FileError(
                tr(
                    "Files of format “{chosen}” are not supported; {name} was not read. Save the schedule as "
                    "CSV with the columns of the template.",
                    chosen=chosen,
                    name=name,
                )
            )
        return READERS[chosen](content, name, fleet)
    except FileError as problem:
        return Reading(chosen, (), (RowError(name, None, "", "", str(problem)),))


def detect(content: bytes, name: str) -> str:
    """Return the format of a file by what is in it: an archive by its members, text by how it begins."""
    if content.startswith(OLD_WORKBOOK):
        return workbook.FORMAT
    if content.startswith(ZIP):
        return _packed(content, name)
    begins = content[:200].lstrip(b"\xef\xbb\xbf \r\n").lower()
    return vdv452.FORMAT if begins.startswith((b"mod;", b"tbl;")) else canonical.FORMAT


def _packed(content: bytes, name: str) -> str:
    try:
        members = ZipFile(BytesIO(content)).namelist()
    except (BadZipFile, ValueError, OSError):
        return gtfs.FORMAT if PurePath(name).suffix.lower() == ".zip" else workbook.FORMAT
    if WORKBOOK_PARTS & set(members):
        return workbook.FORMAT
    return vdv452.FORMAT if any(member.lower().endswith(".x10") for member in members) else gtfs.FORMAT
