"""The sentences of the Bills page."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal

from billing.models import Bill
from billing.selectors.bills import PeakSoFar, Sources
from billing.services.bills import SETTLING
from depot.models import Depot
from depot.templatetags.depot_pages import cents, kw, local_day, local_moment, money, number

INSTANT = timedelta(microseconds=1)


def answer(depot: Depot, bill: Bill, *, running: bool) -> str:
    """Answer the page's question: what the month costs, so far and at its end."""
    month = f"{depot.local(bill.start_at):%B}{depot.cycles.words(bill.start_at, bill.end_at)}"
    cost = cents(bill.total, bill.currency)
    if running:
        so_far = f"{month} has cost {money(bill.total, bill.currency)} so far"
        if bill.projected_total is None:
            return f"{so_far}."
        return f"{so_far} and will cost about {money(bill.projected_total, bill.currency)}."
    if hasattr(bill, "correction"):
        return f"{month} was billed at {cost}; a correction has taken the place of this bill."
    return {
        "estimate": f"{month} comes to {cost}; the bill is not final yet.",
        "final": f"{month} cost {cost}.",
        "corrected": f"{month} cost {cost}, after a correction.",
    }[bill.status]


def peak_answer(depot: Depot, bill: Bill, peaks: list[PeakSoFar]) -> str:
    """Say which peak is the dearest to exceed, when it was set, and what 10 kW more would cost."""
    if not peaks:
        return ""
    top = max(peaks, key=lambda peak: (peak.next_10_kw or Decimal(0), peak.kw))
    said = f"The highest demand{' so far' if top.next_10_kw is not None else ''} is {kw(float(top.kw))}, "
    said += f"set on {local_moment(top.at, depot)}"
    if top.next_10_kw is None:
        return f"{said}."
    if not top.next_10_kw:
        return f"{said}; 10 kW more would cost nothing."
    return f"{said}; 10 kW more would cost {cents(top.next_10_kw, bill.currency)}."


def status_words(depot: Depot, bill: Bill, now: datetime) -> str:
    """Say what the bill's state means and when it changes."""
    last = local_day(bill.covered_to - INSTANT, depot)
    if bill.state == Bill.State.FINAL:
        by = (
            f"closed by {bill.closed_by}" if bill.closed_by else f"{SETTLING.days} days after the month's end"
        )
        since = f"Final since {local_day(bill.closed_at, depot)} ({by})."
        return f"{since} Later data makes a correction; this bill stays as it is."
    if now < bill.end_at:
        return f"An estimate: recorded to {last}, billed again every hour."
    if now >= bill.end_at + SETTLING:
        return (
            "An estimate: intervals are missing, or the unmanaged side of some is not final, so it does not become "
            "final by itself. A manager can close it."
        )
    final_from = local_day(bill.end_at + SETTLING, depot)
    return f"An estimate: it becomes final on {final_from} when every interval is there, or when a manager closes it."


def sources_words(sources: Sources) -> str:
    """Say what the numbers rest on."""
    parts = [f"{number(sources.recorded)} of {number(sources.expected)} intervals are in the ledger"]
    if sources.outside:
        parts.append(f"{number(sources.outside)} at the beginning or end are missing and not in the bill")
    if sources.gaps:
        parts.append(f"{number(sources.gaps)} gaps were filled for the energy, never for a peak")
    if sources.estimated:
        parts.append(f"{number(sources.estimated)} were estimated because the grid meter was silent")
    if not sources.missing and not sources.estimated:
        parts.append("all of them measured at the grid meter")
    return "; ".join(parts) + "."
