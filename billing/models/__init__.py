"""What energy costs, what was used, and what was saved."""

from billing.models.bills import Bill, BillLine, SavingsStatement, Scenario
from billing.models.ledger import Interval
from billing.models.tariffs import Tariff

__all__ = ["Bill", "BillLine", "Interval", "SavingsStatement", "Scenario", "Tariff"]
