"""Whether billing cycles agree with what was billed already."""

from __future__ import annotations

from datetime import datetime

from billing.models import Bill, UtilityBill
from depot.cycles import Cycles
from depot.models import Depot
from depot.words import month_year


def billed_otherwise(depot: Depot, cycles: Cycles) -> str:
    """Return the newest month whose final or utility's bill has other bounds than its cycle; "" for none."""
    final = Bill.objects.filter(depot=depot, state=Bill.State.FINAL).values_list("start_at", "end_at")
    entered = UtilityBill.objects.filter(depot=depot).values_list("start_at", "end_at")
    others = [span for span in {*final, *entered} if not is_cycle(span, cycles)]
    return month_year(depot.local(max(others)[0])) if others else ""


def is_cycle(span: tuple[datetime, datetime], cycles: Cycles) -> bool:
    """Tell whether start and end of a bill are those of a cycle."""
    return cycles.bounds(cycles.month_of(span[0])) == span
