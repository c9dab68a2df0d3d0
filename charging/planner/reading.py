"""Read one JSON object field by field, noting every problem with its place and its cure, and going on.

The reader never raises: a field that is wrong gets a harmless value and a sentence, so that a person sees all
the problems of a file at once. An optional field that is null counts as absent.
"""

import math
import sys
from collections.abc import Iterable
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

type_names = {dict: "an object", list: "a list", str: "a text", bool: "true or false", type(None): "null"}


def kind_of(value: object) -> str:
    """Return the JSON kind of a value in words."""
    return type_names.get(type(value), "a number")


def is_number(value: object) -> bool:
    """Tell whether a JSON value is a number that a float can hold (true and false are none)."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        return False
    return abs(value) <= sys.float_info.max


def range_words(low: float, high: float) -> str:
    """Say an allowed range in words."""
    if math.isinf(high):
        return "use any finite number" if math.isinf(low) else f"use a number from {low:g} upwards"
    return f"use a number from {low:g} to {high:g}"


class Fields:
    """One JSON object under reading, with the place it stands at and the list that gathers all problems."""

    def __init__(self, value: object, place: str, problems: list[str], allowed: Iterable[str]) -> None:
        self.place = place
        self.problems = problems
        self.data: dict[str, Any] = value if isinstance(value, dict) else {}
        self.ok = isinstance(value, dict)
        if not self.ok:
            self.note("", f"{kind_of(value)} stands where an object should; write {{...}}")
        known = tuple(allowed)
        for key in self.data:
            if key not in known:
                self.note(key, f"is not a known field; remove it or use one of {', '.join(known)}")

    def at(self, key: str) -> str:
        """Return the full place of a field."""
        return ".".join(part for part in (self.place, key) if part)

    def note(self, key: str, sentence: str) -> None:
        """Note a problem of a field (or of the object itself when the key is empty)."""
        self.problems.append(f"{self.at(key) or 'the case'}: {sentence}")

    def missing(self, key: str) -> bool:
        """Note that a required field is absent; an object that is none at all was noted already."""
        if key in self.data:
            return False
        if self.ok:
            self.note(key, "is missing; add it")
        return True

    def number(
        self, key: str, default: float | None = None, low: float = -math.inf, high: float = math.inf
    ) -> float:
        """Return a number within low..high; `default` None means that the field is required."""
        if default is not None and self.data.get(key) is None:
            return default
        if self.missing(key):
            return low if math.isfinite(low) else 0.0
        value = self.data[key]
        if not is_number(value):
            self.note(key, f"{value!r} is not a number; {range_words(low, high)}")
        elif not low <= value <= high:
            self.note(key, f"{value:g} is outside {low:g}..{high:g}; {range_words(low, high)}")
        else:
            return float(value)
        return low if math.isfinite(low) else 0.0

    def positive(self, key: str, high: float = math.inf) -> float:
        """Return a required number above zero."""
        before = len(self.problems)
        value = self.number(key, None, 0.0, high)
        if key in self.data and len(self.problems) == before and value == 0.0:
            self.note(key, "is 0; use a number above 0")
        return value or 1.0

    def optional_number(self, key: str, low: float, high: float = math.inf) -> float | None:
        """Return a number, or None where the field is absent or null."""
        return None if self.data.get(key) is None else self.number(key, None, low, high)

    def whole(self, key: str, low: int, high: int | None = None, default: int | None = None) -> int:
        """Return a whole number within low..high."""
        if default is not None and self.data.get(key) is None:
            return default
        if self.missing(key):
            return low
        value = self.data[key]
        if not is_number(value) or int(value) != value:
            self.note(key, f"{value!r} is not a whole number; use one from {low} upwards")
        elif value < low or (high is not None and value > high):
            span = f"{low}..{high}" if high is not None else f"{low} and more"
            self.note(key, f"{value:g} is outside {span}; use a whole number inside it")
        else:
            return int(value)
        return low

    def text(self, key: str, default: str | None = None) -> str:
        """Return a text that is not empty (unless the default is)."""
        if default is not None and self.data.get(key) is None:
            return default
        if self.missing(key):
            return ""
        value = self.data[key]
        if isinstance(value, str) and (value or default == ""):
            return value
        self.note(key, f"{value!r} is not a name; write a text that is not empty")
        return ""

    def optional_text(self, key: str) -> str | None:
        """Return a text, or None where the field is absent or null."""
        return None if self.data.get(key) is None else self.text(key)

    def flag(self, key: str, default: bool) -> bool:
        """Return true or false."""
        value = self.data.get(key)
        if value is None:
            return default
        if not isinstance(value, bool):
            self.note(key, f"{value!r} is neither true nor false; write one of the two")
            return default
        return value

    def choice(self, key: str, options: tuple[str, ...]) -> str:
        """Return one of the given words."""
        if self.missing(key):
            return options[0]
        value = self.data[key]
        if value not in options:
            self.note(key, f"{value!r} is not known; use one of {', '.join(options)}")
            return options[0]
        return str(value)

    def moment(self, key: str) -> datetime:
        """Return an aware moment written in ISO 8601 with its offset."""
        fallback = datetime.fromisoformat("2000-01-01T00:00:00+00:00")
        if self.missing(key):
            return fallback
        try:
            value = datetime.fromisoformat(self.data[key])
        except (TypeError, ValueError):
            value = None
        if value is None or value.tzinfo is None:
            self.note(
                key,
                f"{self.data[key]!r} is not a moment with an offset; write ISO 8601 such as "
                "2026-03-10T00:00:00-05:00",
            )
            return fallback
        return value

    def series(
        self, key: str, steps: int, default: float | None = None, low: float = -math.inf
    ) -> NDArray[np.float64]:
        """Return `steps` numbers; a single number stands for a constant series."""
        value = self.data.get(key)
        if not isinstance(value, list):
            return np.full(steps, self.number(key, default, low))
        if len(value) != steps:
            self.note(key, f"has {len(value)} values; give {steps} (one a step) or one number")
            return np.full(steps, max(low, 0.0))
        for index, item in enumerate(value):
            if not is_number(item) or item < low:
                self.note(f"{key}[{index}]", f"{item!r} is not allowed; {range_words(low, math.inf)}")
                return np.full(steps, max(low, 0.0))
        return np.array(value, dtype=np.float64)

    def limit_series(self, key: str, steps: int) -> NDArray[np.float64]:
        """Return `steps` limits from 0 upwards; absent or null, as of one step, means no limit."""
        value = self.data.get(key)
        if value is None:
            return np.full(steps, np.inf)
        if not isinstance(value, list):
            return self.series(key, steps, low=0.0)
        open_steps = np.array([item is None for item in value])
        closed = Fields(
            {key: [0.0 if item is None else item for item in value]}, self.place, self.problems, (key,)
        )
        limits = closed.series(key, steps, low=0.0)
        return np.where(open_steps, np.inf, limits) if len(value) == steps else limits

    def child(self, key: str, allowed: Iterable[str]) -> "Fields":
        """Return the object below a required field."""
        if self.missing(key):
            child = Fields({}, self.at(key), self.problems, allowed)
            child.ok = False
            return child
        return Fields(self.data[key], self.at(key), self.problems, allowed)

    def children(self, key: str, allowed: Iterable[str], required: bool = False) -> list["Fields"]:
        """Return the objects of a list; absent or null is an empty list unless it is required."""
        if required and self.missing(key):
            return []
        value = self.data.get(key)
        if value is None:
            return []
        if not isinstance(value, list):
            self.note(key, f"{kind_of(value)} stands where a list should; write [...]")
            return []
        known = tuple(allowed)
        return [Fields(v, f"{self.at(key)}[{i}]", self.problems, known) for i, v in enumerate(value)]

    def refuse(self, key: str, sentence: str) -> None:
        """Refuse by name a field that holds something the planner does not do."""
        if self.data.get(key):
            self.note(key, sentence)
