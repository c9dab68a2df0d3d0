"""What a simulated station does wrong, on demand."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any


@dataclass(slots=True)
class Faults:
    """Faults of one station; as made, it has none.

    `refuse`: actions it answers with a CALLERROR; `ignore`: says Accepted to profiles and keeps none;
    `delay_s`: before each answer; `duplicate`: says everything twice; `clock_s`: its clock is ahead by this;
    `soc_offset`: added to what it says of the vehicle's SoC; `drop_every_s`, `reboot_every_s`: mean wall time
    between lost links and restarts, 0 = never.
    """

    refuse: frozenset[str] = frozenset()
    ignore: bool = False
    delay_s: float = 0.0
    duplicate: bool = False
    clock_s: float = 0.0
    soc_offset: float = 0.0
    drop_every_s: float = 0.0
    reboot_every_s: float = 0.0


KINDS: dict[str, dict[str, Any]] = {
    "refuse": {"refuse": frozenset({"SetChargingProfile"})},
    "ignore": {"ignore": True},
    "delay": {"delay_s": 5.0},
    "duplicate": {"duplicate": True},
    "clock": {"clock_s": 300.0},
    "lie": {"soc_offset": 0.3},
    "drop": {"drop_every_s": 30.0},
    "reboot": {"reboot_every_s": 60.0},
}


def faults_of(kinds: Iterable[str]) -> Faults:
    """Return the faults that are named; ValueError for one that is not known."""
    found = Faults()
    for kind in kinds:
        if kind not in KINDS:
            raise ValueError(f"There is no fault {kind!r}; known: {', '.join(KINDS)}.")
        for name, value in KINDS[kind].items():
            setattr(found, name, value)
    return found
