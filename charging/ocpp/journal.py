"""A file that keeps chargers' words while the database is away: one JSON line each, on disk before the answer."""

from __future__ import annotations

import json
import logging
import os
import threading
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from charging.ocpp import v16, v21, v201
from charging.ocpp.events import (
    Booted,
    Event,
    Handler,
    Outcome,
    SigningAsked,
    TokenAsked,
    TransactionEvent,
    UpdatePulled,
)
from charging.ocpp.frames import Fault
from charging.ocpp.keeping import Word, transaction_number

log = logging.getLogger(__name__)

MOST_BYTES = 1_000_000_000
"""About two million words: 500 chargers that speak every 10 s, for 11 hours."""
BLOCK_BYTES = 65_536

HANDLERS: dict[str, dict[str, Handler]] = {
    "2.1": v21.HANDLERS,
    "2.0.1": v201.HANDLERS,
    "1.6": v16.HANDLERS,
}


@dataclass(frozen=True, slots=True)
class Entry:
    """A call as it came."""

    charger_id: int
    version: str
    action: str
    payload: dict[str, Any]

    def word(self) -> Word | None:
        """Return what the call says; None when it says nothing that is kept."""
        handler = HANDLERS.get(self.version, {}).get(self.action)
        understand = handler.event if handler is not None else v21.SENDS.get(self.action)
        try:
            event = understand(self.payload) if understand is not None else None
        except (Fault, KeyError, TypeError, ValueError) as error:
            log.error("a word in the journal cannot be understood and is left out: %s", error)
            return None
        return None if event is None else (self.charger_id, event)


@dataclass(frozen=True, slots=True)
class Piece:
    """Some words of a journal in their order: so many lines, ending at a byte of the file.

    `entries` may be fewer than `lines`: a line that cannot be read is left out.
    """

    entries: list[Entry]
    lines: int
    end: int


class JournalFullError(OSError):
    """The journal has grown to its limit: chargers must keep their words themselves and send them again."""


class Journal:
    """The file, and how far it has been brought into the database. One gateway writes it; use from several threads.

    Only that place is held in memory, and it is kept beside the file, so that an outage of days costs disk alone
    (at most `most_bytes`), and is caught up in one reading. After a crash the last words may be brought in again.
    """

    def __init__(self, path: Path, most_bytes: int = MOST_BYTES) -> None:
        self._path, self._place, self._most_bytes = path, path.with_suffix(".done"), most_bytes
        self._lock = threading.Lock()
        self._size = _cut_to_whole_lines(path)
        self._done = _read_place(self._place, self._size)
        self._waiting = _lines_after(path, self._done)
        if self._waiting:
            log.warning("%d words of chargers wait in %s", self._waiting, path.name)

    @property
    def waiting(self) -> int:
        """Return how many words wait."""
        return self._waiting

    def oldest(self, most: int) -> Piece:
        """Return the words that must go first."""
        with self._lock:
            if not self._waiting:
                return Piece([], 0, self._done)
            with self._path.open("rb") as file:
                file.seek(self._done)
                lines = list(islice(file, most))
            end = self._done + sum(map(len, lines))
        return Piece([entry for line in lines if (entry := _entry(line, self._path.name))], len(lines), end)

    def add(self, entries: Sequence[Entry]) -> None:
        """Write words; they are on disk when this returns. Raises OSError when they are not, and keeps none."""
        if not entries:
            return
        text = b"".join(
            json.dumps(asdict(entry), separators=(",", ":")).encode() + b"\n" for entry in entries
        )
        with self._lock:
            if self._size + len(text) > self._most_bytes:
                raise JournalFullError(f"{self._path.name} has reached its {self._most_bytes:,} bytes")
            self._path.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            try:
                _write_all(descriptor, text)
                os.fsync(descriptor)
            except OSError:
                os.ftruncate(descriptor, self._size)
                raise
            finally:
                os.close(descriptor)
            self._size += len(text)
            self._waiting += len(entries)

    def forget(self, piece: Piece) -> None:
        """Drop the oldest words: they are in the database. The file is emptied at the end."""
        with self._lock:
            self._done, self._waiting = piece.end, self._waiting - piece.lines
            if self._done < self._size:
                _write_place(self._place, self._done)
                return
            # The place goes first: should the power fail in between, words come twice rather than not at all.
            self._place.unlink(missing_ok=True)
            os.truncate(self._path, 0)
            self._size = self._done = 0


def _write_all(descriptor: int, text: bytes) -> None:
    left = memoryview(text)
    while left:
        left = left[os.write(descriptor, left) :]


def _cut_to_whole_lines(path: Path) -> int:
    """Return the bytes of a file without a last line that a power cut left half written: it was never answered."""
    if not path.exists():
        return 0
    size = end = path.stat().st_size
    with path.open("rb+") as file:
        while end:
            begin = max(0, end - BLOCK_BYTES)
            file.seek(begin)
            newline = file.read(end - begin).rfind(b"\n")
            end = begin if newline < 0 else begin + newline + 1
            if newline >= 0:
                break
        if end < size:
            log.warning("%s ended within a line; that line is left out", path.name)
            file.truncate(end)
    return end


def _lines_after(path: Path, place: int) -> int:
    if not path.exists():
        return 0
    with path.open("rb") as file:
        file.seek(place)
        return sum(1 for _ in file)


def _read_place(path: Path, size: int) -> int:
    """Return how far the file was brought in; 0 where that is not known, so that words come twice, not never."""
    try:
        place = int(path.read_text())
    except FileNotFoundError:
        return 0
    except ValueError:
        log.warning("%s cannot be read: the whole journal is brought in again", path.name)
        return 0
    return place if 0 <= place <= size else 0


def _write_place(path: Path, place: int) -> None:
    fresh = path.with_suffix(".new")
    with fresh.open("w") as file:
        file.write(str(place))
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)


def _entry(line: bytes, name: str) -> Entry | None:
    try:
        return Entry(**json.loads(line))
    except (ValueError, TypeError):
        log.warning("%s has a broken line; it is left out", name)
        return None


def outcome_unseen(charger_id: int, event: Event, admission: str) -> Outcome | None:
    """Return the outcome of an event the database has not seen; None when only the database can tell.

    Vehicles must charge while the database is away, so tokens count as known; nothing discharges by it.
    """
    match event:
        case Booted():
            return Outcome(admission=admission)
        case UpdatePulled() | SigningAsked():
            return None
        case TokenAsked():
            return Outcome()
        case TransactionEvent(kind="started", transaction_id=""):
            return Outcome(transaction_id=transaction_number(charger_id, event))
        case TransactionEvent(transaction_id=number):
            return Outcome(transaction_id=number)
    return Outcome()
