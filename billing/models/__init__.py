"""What energy costs, what was used, and what was saved."""

from billing.models.bills import (
    Bill,
    BillInputs,
    BillLine,
    KnownPeak,
    SavingsStatement,
    Scenario,
    UtilityBill,
    UtilityLine,
)
from billing.models.ledger import Interval
from billing.models.prices import PricePoint, PriceSeries
from billing.models.programmes import ProgrammeEvent
from billing.models.savings import SavingsBand
from billing.models.tariffs import Tariff

__all__ = [
    "Bill",
    "BillInputs",
    "BillLine",
    "Interval",
    "KnownPeak",
    "PricePoint",
    "PriceSeries",
    "ProgrammeEvent",
    "SavingsBand",
    "SavingsStatement",
    "Scenario",
    "Tariff",
    "UtilityBill",
    "UtilityLine",
]
