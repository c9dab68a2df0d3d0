"""One page of a feed, in the terms of the ingest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

Cursors = Mapping[str, str]
"""Where each stream of a feed was left: stream -> what its maker calls cursor, token or version."""


@dataclass(frozen=True, slots=True)
class Account:
    """Whose feed it is. `secret` is a token or password: in no text, log or message."""

    base: str
    secret: str = field(repr=False)
    user_name: str = ""
    database: str = ""


@dataclass(frozen=True, slots=True)
class Said:
    """One value of one vehicle: the names it goes by (VIN, then the maker's id), and an item of the telemetry API."""

    vin: str
    own_id: str
    item: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Page:
    """What came, where to go on, and whether more waits.

    `memory` is what saves questions next time: a session, and which vehicle has which VIN.
    """

    said: tuple[Said, ...]
    cursors: Cursors
    more: bool
    memory: Mapping[str, Any]
