"""Celery's beat, which begins anew after a message that could not be sent: nothing of a dead connection is kept."""

from __future__ import annotations

import logging
from contextlib import suppress
from typing import Any

from celery import beat

log = logging.getLogger(__name__)


class Scheduler(beat.Scheduler):
    """Keeps nothing on disk: what is due stands in the database."""

    def apply_async(
        self, entry: beat.ScheduleEntry, producer: Any = None, advance: bool = True, **kwargs: Any
    ) -> Any:
        try:
            return super().apply_async(entry, producer=producer, advance=advance, **kwargs)
        except beat.SchedulingError:
            self.forget_broker()
            raise

    def forget_broker(self) -> None:
        """Drop connection and producer; the next tick makes new ones."""
        self.__dict__.pop("producer", None)
        connection = self.__dict__.pop("connection", None)
        if connection is not None:
            with suppress(Exception):  # it is dead, and whatever it says of that is of no use
                connection.close()
