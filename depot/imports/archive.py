"""ZIP archives of text tables, opened so that no archive can fill the memory or reach outside itself."""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import PurePosixPath
from typing import IO

from depot.imports.table import FileError
from depot.words import tr

MAX_UNPACKED_BYTES = 400 * 1024 * 1024
MAX_MEMBERS = 200
MAX_RATIO = 200
SMALL_BYTES = 1024 * 1024


class Archive:
    """The text files of a ZIP archive by their plain names, whatever single folder they stand in."""

    def __init__(self, content: bytes, name: str) -> None:
        """Look at the table of contents; raise FileError for what is no ZIP archive or would unpack to too much."""
        self.name = name
        try:
            self._zip = zipfile.ZipFile(io.BytesIO(content))
        except (zipfile.BadZipFile, ValueError, OSError) as error:
            raise FileError(
                tr("{name} is not a readable ZIP archive ({error}). Export it again.", name=name, error=error)
            ) from error
        members = [info for info in self._zip.infolist() if not _is_rubbish(info)]
        _refuse_bombs(name, members)
        self._members: dict[str, zipfile.ZipInfo] = {}
        for info in members:
            plain = PurePosixPath(info.filename.replace("\\", "/")).name
            if plain in self._members:
                raise FileError(
                    tr(
                        "{name} has two files called {plain}. Upload one feed at a time.",
                        name=name,
                        plain=plain,
                    )
                )
            self._members[plain] = info

    def __contains__(self, member: str) -> bool:
        return member in self._members

    @property
    def members(self) -> tuple[str, ...]:
        """Return the plain names of the files."""
        return tuple(self._members)

    @contextmanager
    def text(self, member: str) -> Iterator[io.TextIOWrapper]:
        """Open a member as UTF-8 text; raise FileError where it is damaged, locked or no UTF-8."""
        try:
            with self._open(member) as raw, io.TextIOWrapper(raw, "utf-8-sig", newline="") as text:
                yield text
        except UnicodeDecodeError as error:
            raise FileError(
                tr("{name}, {member}: is not UTF-8. Export it as UTF-8.", name=self.name, member=member)
            ) from error

    def content(self, member: str) -> bytes:
        """Return the bytes of a member; raise FileError where it is damaged or locked."""
        with self._open(member) as raw:
            return raw.read()

    @contextmanager
    def _open(self, member: str) -> Iterator[IO[bytes]]:
        try:
            with self._zip.open(self._members[member]) as raw:
                yield raw
        except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, zlib.error) as error:
            raise FileError(
                tr(
                    "{name}, {member}: cannot be unpacked ({error}). Export it again.",
                    name=self.name,
                    member=member,
                    error=error,
                )
            ) from error


def _is_rubbish(info: zipfile.ZipInfo) -> bool:
    """Tell whether an entry is a folder or what macOS adds."""
    return info.is_dir() or info.filename.startswith("__MACOSX/") or "/." in f"/{info.filename}"


def _refuse_bombs(name: str, members: list[zipfile.ZipInfo]) -> None:
    if len(members) > MAX_MEMBERS:
        raise FileError(
            tr(
                "{name} holds {count} files; at most {max_members} are read.",
                name=name,
                count=len(members),
                max_members=MAX_MEMBERS,
            )
        )
    total = sum(info.file_size for info in members)
    if total > MAX_UNPACKED_BYTES:
        raise FileError(
            tr(
                "{name} would unpack to {mb:,.0f} MB; at most {most_mb} MB are read. Export fewer "
                "routes or a shorter period.",
                name=name,
                mb=total / 2**20,
                most_mb=MAX_UNPACKED_BYTES // 2**20,
            )
        )
    for info in members:
        if info.file_size > SMALL_BYTES and info.file_size > MAX_RATIO * max(info.compress_size, 1):
            raise FileError(
                tr(
                    "{name}, {filename}: is packed too tightly to be a real table. Export it again.",
                    name=name,
                    filename=info.filename,
                )
            )
