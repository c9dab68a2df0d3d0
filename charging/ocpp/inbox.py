"""Carry what chargers say into the database, several chargers' words in one transaction.

While one transaction commits the next words gather, so that many chargers cost few commits. An event's outcome
is known, and its charger answered, only after the commit. When the database does not answer in time, words go
into a journal on disk instead: the charger gets its answer, and the words reach the database later, in order.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass

from charging.ocpp.database import Database
from charging.ocpp.events import Event, Outcome
from charging.ocpp.frames import Fault
from charging.ocpp.journal import Entry, Journal, outcome_unseen
from charging.ocpp.keeping import AWAY, Verdict, Word, apply_all

log = logging.getLogger(__name__)

AT_ONCE = 64
PATIENCE_S = 5.0
"""So long the database may take until the journal stands in; chargers wait for 10 s and more."""
PAUSE_S = 1.0
LATER = Fault("InternalError", "The message could not be stored. Send it again.")


@dataclass(frozen=True, slots=True)
class Said:
    """An event, and the frame it came in, by which it can be understood again after a restart.

    `admission` is how the station's last boot was answered: while the database is away it stays so.
    """

    charger_id: int
    event: Event
    entry: Entry
    admission: str = "accepted"

    @property
    def word(self) -> Word:
        return self.charger_id, self.event


class Inbox:
    """The queue before the database."""

    def __init__(self, database: Database, journal: Journal) -> None:
        self._database, self._journal = database, journal
        self._queue: asyncio.Queue[tuple[Said, asyncio.Future[Outcome]]] = asyncio.Queue()

    async def put(self, said: Said) -> Outcome:
        """Return what came of an event once it is kept; raises Fault when it cannot be kept."""
        verdict: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self._queue.put_nowait((said, verdict))
        return await verdict

    async def run(self) -> None:
        """Commit what comes, until cancelled. What waits in the journal goes first, so that order is kept."""
        while True:
            waiting = [await self._queue.get()]
            while not self._queue.empty() and len(waiting) < AT_ONCE:
                waiting.append(self._queue.get_nowait())
            said = [one for one, _ in waiting]
            if self._journal.waiting:
                verdicts: Sequence[Verdict] = await asyncio.to_thread(self._journal_all, said)
            else:
                verdicts = await self._keep(said)
            for (_, future), verdict in zip(waiting, verdicts, strict=True):
                _tell(future, verdict)

    async def catch_up(self) -> None:
        """Bring what waits in the journal into the database, until cancelled."""
        while True:
            while self._journal.waiting and await self._catch_up_some():
                pass
            await asyncio.sleep(PAUSE_S)

    async def _catch_up_some(self) -> bool:
        """Bring the journal's oldest words into the database; tell whether that could be done."""
        try:
            piece = await asyncio.to_thread(self._journal.oldest, AT_ONCE)
            words = [word for entry in piece.entries if (word := entry.word()) is not None]
            await self._database.run(apply_all, words)
            await asyncio.to_thread(self._journal.forget, piece)
        except AWAY as error:
            log.warning("the database still does not take what waits in the journal (%s)", error)
            return False
        except OSError as error:
            log.error("the journal cannot be read, or its place not be kept: %s", error)
            return False
        log.info("%d words came from the journal into the database", piece.lines)
        return True

    async def _keep(self, said: Sequence[Said]) -> Sequence[Verdict]:
        """Return the verdicts; the journal stands in for a database that is away, busy or slow.

        A slow database may still finish its work later. The words are then kept twice, with one effect.
        """
        words = [one.word for one in said]
        try:
            async with asyncio.timeout(PATIENCE_S):
                return await self._database.run(apply_all, words)
        except TimeoutError:
            log.warning("the database took more than %g s for %d words", PATIENCE_S, len(said))
        except AWAY as error:
            log.warning("the database did not take %d words of chargers (%s)", len(said), error)
        return await asyncio.to_thread(self._journal_all, said)

    def _journal_all(self, said: Sequence[Said]) -> list[Verdict]:
        """Write words into the journal; what must be answered from the database cannot wait there."""
        outcomes = [outcome_unseen(one.charger_id, one.event, one.admission) for one in said]
        kept = [one.entry for one, outcome in zip(said, outcomes, strict=True) if outcome is not None]
        try:
            self._journal.add(kept)
        except OSError as error:
            log.error("the journal cannot be written: %s", error)
            return [LATER] * len(said)
        return [LATER if outcome is None else outcome for outcome in outcomes]


def _tell(future: asyncio.Future[Outcome], verdict: Verdict) -> None:
    if future.done():  # its link is gone
        return
    if isinstance(verdict, Exception):
        future.set_exception(verdict)
    else:
        future.set_result(verdict)
