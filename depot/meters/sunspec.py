"""Read a SunSpec meter: find its model in the register map, and decode it. PURE; `read` does the asking.

Source: SunSpec Alliance, Device Information Model Reference, meter models 201 to 204 (integers with scale factors)
and 211 to 214 (floats). A model is its number, its length, and as many registers; 0xFFFF ends the map.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from depot.meters.measured import KILO, Measured, UnreadableError, finite
from depot.words import tr

Read = Callable[[int, int], Sequence[int]]
"""Returns `count` holding registers from `address` on: read(address, count)."""

BASES = (40000, 0, 50000)
MARK = (0x5375, 0x6E53)  # "SunS"
END, MOST_MODELS = 0xFFFF, 60
INTEGERS, FLOATS = range(201, 205), range(211, 215)
NOT_INT16 = -0x8000

# Offsets behind the model's number and length.
W, W_PHASES, W_SF = 16, (17, 18, 19), 20
TOT_WH_EXP, TOT_WH_IMP, TOT_WH_SF = 36, 44, 52
W_FLOAT, TOT_WH_EXP_FLOAT, TOT_WH_IMP_FLOAT = 26, 58, 66
USED_INTEGERS, USED_FLOATS = TOT_WH_SF + 1, TOT_WH_IMP_FLOAT + 2


@dataclass(frozen=True, slots=True)
class Place:
    """Where a meter's model stands: its first register behind number and length."""

    model: int
    address: int

    @property
    def count(self) -> int:
        """Return how many registers are needed of it."""
        return USED_INTEGERS if self.model in INTEGERS else USED_FLOATS


def find_meter(read: Read) -> Place:
    """Walk the device's map to its first meter; raises UnreadableError when it has none.

    A device answers an error for a base it has nothing at: `read` raises UnreadableError for that.
    """
    for base in BASES:
        try:
            marked = tuple(read(base, 2)) == MARK
        except UnreadableError:
            continue
        if marked:
            return _walk(read, base + 2)
    raise UnreadableError(tr("This device has no SunSpec map. Enter its registers instead."))


def _walk(read: Read, address: int) -> Place:
    for _ in range(MOST_MODELS):
        model, length = read(address, 2)
        if model == END:
            break
        if model in INTEGERS or model in FLOATS:
            place = Place(model, address + 2)
            if length < place.count:
                raise UnreadableError(
                    tr("Its meter model {model} is only {length} registers long.", model=model, length=length)
                )
            return place
        address += 2 + length
    raise UnreadableError(tr("The SunSpec map of this device has no meter (models 201 to 204, 211 to 214)."))


def decode(model: int, registers: Sequence[int], *, reversed_power: bool = False) -> Measured:
    """Return the reading in a meter model's registers; raises UnreadableError for what it does not measure.

    Power above zero is import; with `reversed_power` the maker counts it the other way. The registers of energy
    are named by direction and need no sign.
    """
    if model in FLOATS:
        watts = _float(registers, W_FLOAT, "W")
        exported, imported = (
            _float(registers, place, name)
            for place, name in ((TOT_WH_EXP_FLOAT, "TotWhExp"), (TOT_WH_IMP_FLOAT, "TotWhImp"))
        )
    else:
        watts = _watts(registers)
        energy = _scale(registers, TOT_WH_SF, "TotWh_SF")
        exported = _counter(registers, TOT_WH_EXP, "TotWhExp") * energy
        imported = _counter(registers, TOT_WH_IMP, "TotWhImp") * energy
    sign = -1.0 if reversed_power else 1.0
    return Measured(sign * watts * KILO["W"], imported * KILO["Wh"], exported * KILO["Wh"])


def _watts(registers: Sequence[int]) -> float:
    """Return the total power in W: as measured, else as the sum of the phases that are."""
    scale = _scale(registers, W_SF, "W_SF")
    total = _int16(registers[W])
    if total != NOT_INT16:
        return total * scale
    phases = [value for value in (_int16(registers[place]) for place in W_PHASES) if value != NOT_INT16]
    if not phases:
        raise UnreadableError(tr("This meter does not measure power (W is not implemented)."))
    return sum(phases) * scale


def _int16(register: int) -> int:
    return register - 0x1_0000 if register & 0x8000 else register


def _scale(registers: Sequence[int], place: int, name: str) -> float:
    """Return the power of ten in a scale factor, -10 to 10."""
    exponent = _int16(registers[place])
    if exponent == NOT_INT16:
        raise UnreadableError(
            tr("{name} is not implemented: the scale of this meter is not known.", name=name)
        )
    if not -10 <= exponent <= 10:
        raise UnreadableError(
            tr("{name} is {exponent}; SunSpec allows -10 to 10.", name=name, exponent=exponent)
        )
    return float(10.0**exponent)


def _counter(registers: Sequence[int], place: int, name: str) -> int:
    """Return a counter of 32 bits. 0 is what a new meter and one that does not count that way both say."""
    value = registers[place] << 16 | registers[place + 1]
    if value == 0xFFFF_FFFF:
        raise UnreadableError(tr("{name} is not implemented.", name=name))
    return value


def _float(registers: Sequence[int], place: int, name: str) -> float:
    (value,) = struct.unpack(">f", struct.pack(">HH", *registers[place : place + 2]))
    return finite(value, tr("{name} is not implemented, or it", name=name))
