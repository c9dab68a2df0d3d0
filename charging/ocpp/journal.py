"""A file that keeps chargers' words while the database is away: one JSON line each, on disk before the answer."""

from __future__ import annotations

import json
import logging
import os
import threading
from collections import deque
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from charging.ocpp import v16, v21, v201
from charging.ocpp.events import Booted, Event, Handler, Outcome, TokenAsked, TransactionEvent, UpdatePulled
from charging.ocpp.frames import Fault
from charging.ocpp.keeping import Word, transaction_number

log = logging.getLogger(__name__)

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


class Journal:
    """The file, and what of it still waits for the database. One gateway writes it; use from several threads."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._entries: deque[Entry] = deque(_read(path))
        if self._entries:
            log.warning("%d words of chargers wait in %s", len(self._entries), path.name)

    @property
    def waiting(self) -> int:
        """Return how many words wait."""
        return len(self._entries)

    def oldest(self, most: int) -> list[Entry]:
        """Return the words that must go first."""
        with self._lock:
            return [entry for entry, _ in zip(self._entries, range(most), strict=False)]

    def add(self, entries: Sequence[Entry]) -> None:
        """Write words; they are on disk when this returns. Raises OSError when they are not."""
        if not entries:
            return
        text = "".join(json.dumps(asdict(entry), separators=(",", ":")) + "\n" for entry in entries)
        with self._lock:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with os.fdopen(os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "a") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            self._entries.extend(entries)

    def forget(self, count: int) -> None:
        """Drop the oldest words: they are in the database. The file is written anew, or emptied at the end."""
        with self._lock:
            for _ in range(count):
                self._entries.popleft()
            rest = self._path.with_suffix(".new")
            with os.fdopen(os.open(rest, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
                file.writelines(
                    json.dumps(asdict(entry), separators=(",", ":")) + "\n" for entry in self._entries
                )
                file.flush()
                os.fsync(file.fileno())
            rest.replace(self._path)


def _read(path: Path) -> list[Entry]:
    """Return the words in a file; the last line may be cut off by a power cut and was then never answered."""
    if not path.exists():
        return []
    entries = []
    for line in path.read_text().splitlines():
        try:
            entries.append(Entry(**json.loads(line)))
        except (ValueError, TypeError):
            log.warning("%s has a broken line; it is left out", path.name)
    return entries


def outcome_unseen(charger_id: int, event: Event, admission: str) -> Outcome | None:
    """Return the outcome of an event the database has not seen; None when only the database can tell.

    Vehicles must charge while the database is away, so tokens count as known; nothing discharges by it.
    """
    match event:
        case Booted():
            return Outcome(admission=admission)
        case UpdatePulled():
            return None
        case TokenAsked():
            return Outcome()
        case TransactionEvent(kind="started", transaction_id=""):
            return Outcome(transaction_id=transaction_number(charger_id, event))
        case TransactionEvent(transaction_id=number):
            return Outcome(transaction_id=number)
    return Outcome()
