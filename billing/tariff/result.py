"""A bill as data, and as the JSON document that people and other programs read."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from billing.tariff.carried import NOTHING, Carried


@dataclass(frozen=True, slots=True)
class BillLine:
    """One line: quantity x rate = amount (credit: negative rate), rounded half up as the tariff states."""

    id: str
    label: str
    quantity: Decimal
    unit: str
    rate: Decimal
    amount: Decimal
    explanation: str


@dataclass(frozen=True, slots=True)
class Peak:
    """The billed demand of one line: kW and the local moment its metering interval began (first of ties)."""

    kw: Decimal
    at: datetime


@dataclass(frozen=True, slots=True)
class BillPeriod:
    """One billing period: local start and end (half-open), lines, and peaks by line id."""

    start_at: datetime
    end_at: datetime
    lines: tuple[BillLine, ...]
    peaks_kw: dict[str, Peak]

    @property
    def total(self) -> Decimal:
        """Return the sum of the lines."""
        return sum((line.amount for line in self.lines), Decimal(0))


@dataclass(frozen=True, slots=True)
class BillResult:
    """All periods of a load; `total` is None while `unsupported` names anything.

    `carried` is what the last period hands on to the one after it.
    """

    currency: str
    time_zone: str
    periods: tuple[BillPeriod, ...]
    total: Decimal | None
    warnings: tuple[str, ...] = ()
    unsupported: tuple[str, ...] = ()
    carried: Carried = NOTHING

    def as_json(self) -> dict[str, Any]:
        """Return the answer of `manage.py bill --json`; without `total` when something is unsupported.

        `carried` is there when something rolls on to the next billing period.
        """
        document: dict[str, Any] = {
            "currency": self.currency,
            "time_zone": self.time_zone,
            "periods": [_period(period) for period in self.periods],
            "warnings": list(self.warnings),
            "unsupported": list(self.unsupported),
        }
        if self.total is not None:
            document["total"] = float(self.total)
        if carried := self.carried.as_json():
            document["carried"] = carried
        return document


def _period(period: BillPeriod) -> dict[str, Any]:
    return {
        "start": period.start_at.isoformat(),
        "end": period.end_at.isoformat(),
        "lines": [
            {
                "id": line.id,
                "label": line.label,
                "quantity": float(line.quantity),
                "unit": line.unit,
                "rate": float(line.rate),
                "amount": float(line.amount),
                "explanation": line.explanation,
            }
            for line in period.lines
        ],
        "peaks_kw": {
            id: {"kw": float(peak.kw), "when": peak.at.isoformat()} for id, peak in period.peaks_kw.items()
        },
        "total": float(period.total),
    }
