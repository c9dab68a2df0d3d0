"""Read the short worked examples of planning.md: a change to one small depot, and its least cost."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

DOC = Path(__file__).resolve().parents[3] / "docs" / "algorithms" / "planning.md"
BASE = re.compile(r"^### The depot of the examples\n.*?```json\n(.*?)```", re.DOTALL | re.MULTILINE)
EXAMPLE = re.compile(
    r"^\*\*Example: ([^*]+)\.\*\*.*?```json\n(.*?)```\n+Least cost: \*\*(-?[\d.]+)\*\*",
    re.DOTALL | re.MULTILINE,
)


def examples() -> Iterator[tuple[str, dict[str, Any], float]]:
    """Yield name, case and least cost of each example."""
    text = DOC.read_text(encoding="utf-8")
    base = BASE.search(text)
    assert base is not None, f"{DOC.name} has no depot of the examples"
    for name, change, cost in EXAMPLE.findall(text):
        yield name, _changed(json.loads(base.group(1)), json.loads(change)), float(cost)


def _changed(data: Any, change: dict[str, Any]) -> Any:
    """Return an object with some fields changed; a list of objects is changed item by item as far as both go."""
    for key, value in change.items():
        old = data.get(key)
        if isinstance(value, dict) and isinstance(old, dict):
            data[key] = _changed(old, value)
        elif isinstance(value, list) and isinstance(old, list) and old and isinstance(old[0], dict):
            data[key] = [_changed(a, b) for a, b in zip(old, value, strict=True)]
        else:
            data[key] = value
    return data
