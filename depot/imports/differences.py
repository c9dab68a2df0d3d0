"""What a file would change: the same comparison for the preview and for the commit."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass
from typing import Generic, TypeVar

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class Difference(Generic[Item]):
    """Items that are new, changed (before, after), unchanged, and those only the old side has."""

    new: tuple[Item, ...]
    changed: tuple[tuple[Item, Item], ...]
    unchanged: tuple[Item, ...]
    missing: tuple[Item, ...]


def difference(
    existing: Iterable[Item], new: Iterable[Item], key: Callable[[Item], Hashable]
) -> Difference[Item]:
    """Compare two collections by key, then by equality; of a key that comes twice, the last counts."""
    before = {key(item): item for item in existing}
    after = {key(item): item for item in new}
    pairs = [(before[name], item) for name, item in after.items() if name in before]
    return Difference(
        new=tuple(item for name, item in after.items() if name not in before),
        changed=tuple((old, item) for old, item in pairs if old != item),
        unchanged=tuple(item for old, item in pairs if old == item),
        missing=tuple(item for name, item in before.items() if name not in after),
    )
