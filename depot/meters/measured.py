"""What every kind of meter is turned into. PURE."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from depot.words import tr

KILO = {"W": 0.001, "kW": 1.0, "Wh": 0.001, "kWh": 1.0}
"""What a number in each unit is multiplied with to be in kW or kWh."""


class UnreadableError(ValueError):
    """A message or a register that gives no reading; its text says what is wrong, for the technician."""


@dataclass(frozen=True, slots=True)
class Measured:
    """One reading: power in kW (above zero is import) and both registers in kWh; `observed_at` None = just now."""

    power_kw: float
    import_kwh_total: float
    export_kwh_total: float = 0.0
    observed_at: datetime | None = None

    def item(self, now: datetime) -> dict[str, Any]:
        """Return the reading as programs send it to `meters/{id}/readings`."""
        return {
            "observed_at": (self.observed_at or now).isoformat(),
            "power_kw": self.power_kw,
            "import_kwh_total": self.import_kwh_total,
            "export_kwh_total": self.export_kwh_total,
        }


def finite(value: float, what: str) -> float:
    """Return `value`; raise UnreadableError when it is no finite number."""
    if not math.isfinite(value):
        raise UnreadableError(tr("{what} is not a finite number.", what=what))
    return value
