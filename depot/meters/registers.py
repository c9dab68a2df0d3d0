"""A meter's own Modbus registers: where each value stands and how it is written. PURE."""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from depot.meters.measured import Measured, UnreadableError, finite
from depot.words import listed, tr

TYPES = {
    "int16": ("h", 1),
    "uint16": ("H", 1),
    "int32": ("i", 2),
    "uint32": ("I", 2),
    "int64": ("q", 4),
    "uint64": ("Q", 4),
    "float32": ("f", 2),
    "float64": ("d", 4),
}
"""Format of `struct` and number of registers of each type."""
TABLES = ("holding", "input")
WORDS = ("big", "little")
VALUES = ("power", "import", "export")
FIELDS = ("address", "type", "table", "words", "factor")


@dataclass(frozen=True, slots=True)
class Register:
    """One value: first register (counted from 0), type, order of its registers, and what it is multiplied with."""

    address: int
    type: str
    table: str = "holding"
    words: str = "big"
    factor: float = 1.0

    @property
    def count(self) -> int:
        return TYPES[self.type][1]

    def value(self, raw: Sequence[int]) -> float:
        """Return the number in its registers, times the factor."""
        words = list(raw) if self.words == "big" else list(reversed(raw))
        (number,) = struct.unpack(f">{TYPES[self.type][0]}", struct.pack(f">{len(words)}H", *words))
        return finite(number * self.factor, f"Register {self.address}")


def read_map(raw: object) -> dict[str, Register]:
    """Return the registers by value (power in kW, import and export in kWh); raises UnreadableError in words."""
    if not isinstance(raw, Mapping):
        raise UnreadableError(
            tr('Write one object, like {"power": {"address": 0, "type": "int32"}, "import": …}.')
        )
    strange = sorted(set(raw) - set(VALUES))
    if strange:
        raise UnreadableError(
            tr(
                "Unknown values: {names}. Known: {known}.",
                names=", ".join(map(str, strange)),
                known=", ".join(VALUES),
            )
        )
    missing = [name for name in ("power", "import") if name not in raw]
    if missing:
        raise UnreadableError(tr("A meter needs power and import; missing: {names}.", names=listed(missing)))
    return {name: _register(name, value) for name, value in raw.items()}


def _register(name: str, raw: Any) -> Register:
    if not isinstance(raw, Mapping) or set(raw) - set(FIELDS) or not {"address", "type"} <= set(raw):
        raise UnreadableError(
            tr("{name} needs address and type, and may have table, words and factor.", name=name)
        )
    address, factor = raw["address"], raw.get("factor", 1.0)
    if isinstance(address, bool) or not isinstance(address, int) or not 0 <= address <= 65_535:
        raise UnreadableError(tr("{name}: address must be a whole number from 0 to 65535.", name=name))
    numeric = isinstance(factor, int | float) and not isinstance(factor, bool)
    if not numeric or not math.isfinite(factor) or factor == 0:
        raise UnreadableError(tr("{name}: factor must be a number other than 0.", name=name))
    for field, known in (("type", tuple(TYPES)), ("table", TABLES), ("words", WORDS)):
        if raw.get(field, known[0]) not in known:
            raise UnreadableError(
                tr("{name}: {field} must be one of {names}.", name=name, field=field, names=", ".join(known))
            )
    return Register(address, raw["type"], raw.get("table", "holding"), raw.get("words", "big"), float(factor))


def measured(values: Mapping[str, float], *, reversed_power: bool = False) -> Measured:
    """Return the reading that the decoded values make."""
    sign = -1.0 if reversed_power else 1.0
    return Measured(sign * values["power"], values["import"], values.get("export", 0.0))
