"""What saving a schedule would mean for other apps: they register how to tell, and previews ask them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from depot.models import Depot
from fleet.formats.preview import Preview

Effect = Callable[[Depot, Preview, bool, datetime], dict[str, Any]]
"""Takes the depot, the checked file, whether it replaces, and now; returns JSON values. Writes nothing."""

EFFECTS: dict[str, Effect] = {}


def effect(name: str) -> Callable[[Effect], Effect]:
    """Register the function that tells one effect of a schedule that is not saved yet."""

    def register(tell: Effect) -> Effect:
        EFFECTS[name] = tell
        return tell

    return register


def effects_of(depot: Depot, found: Preview, replacing: bool, now: datetime) -> dict[str, Any]:
    """Return all effects by name; none of a file that may not be saved in this way."""
    if found.problems(replacing):
        return {}
    return {name: tell(depot, found, replacing, now) for name, tell in EFFECTS.items()}
