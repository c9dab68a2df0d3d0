"""The sentences of the Bills page."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal

from billing.models import Bill
from billing.selectors.bills import PeakSoFar, Sources
from billing.services.bills import SETTLING
from depot.models import Depot
from depot.templatetags.depot_pages import cents, kw, local_day, local_moment, money, number
from depot.words import month_name, tr

INSTANT = timedelta(microseconds=1)


def answer(depot: Depot, bill: Bill, *, running: bool) -> str:
    """Answer the page's question: what the month costs, so far and at its end."""
    month = f"{month_name(depot.local(bill.start_at).month)}{depot.cycles.words(bill.start_at, bill.end_at)}"
    cost = cents(bill.total, bill.currency)
    if running:
        so_far = tr("{month} has cost {total} so far", month=month, total=money(bill.total, bill.currency))
        if bill.projected_total is None:
            return f"{so_far}."
        return tr(
            "{so_far} and will cost about {projected_total}.",
            so_far=so_far,
            projected_total=money(bill.projected_total, bill.currency),
        )
    if hasattr(bill, "correction"):
        return tr(
            "{month} was billed at {cost}; a correction has taken the place of this bill.",
            month=month,
            cost=cost,
        )
    return {
        "estimate": tr("{month} comes to {cost}; the bill is not final yet.", month=month, cost=cost),
        "final": tr("{month} cost {cost}.", month=month, cost=cost),
        "corrected": tr("{month} cost {cost}, after a correction.", month=month, cost=cost),
    }[bill.status]


def peak_answer(depot: Depot, bill: Bill, peaks: list[PeakSoFar]) -> str:
    """Say which peak is the dearest to exceed, when it was set, and what 10 kW more would cost."""
    if not peaks:
        return ""
    top = max(peaks, key=lambda peak: (peak.next_10_kw or Decimal(0), peak.kw))
    at = local_moment(top.at, depot)
    said = (
        tr("The highest demand is {kw}, set on {at}", kw=kw(float(top.kw)), at=at)
        if top.next_10_kw is None
        else tr("The highest demand so far is {kw}, set on {at}", kw=kw(float(top.kw)), at=at)
    )
    if top.next_10_kw is None:
        return f"{said}."
    if not top.next_10_kw:
        return tr("{said}; 10 kW more would cost nothing.", said=said)
    return tr(
        "{said}; 10 kW more would cost {next_10_kw}.",
        said=said,
        next_10_kw=cents(top.next_10_kw, bill.currency),
    )


def status_words(depot: Depot, bill: Bill, now: datetime) -> str:
    """Say what the bill's state means and when it changes."""
    last = local_day(bill.covered_to - INSTANT, depot)
    if bill.state == Bill.State.FINAL:
        by = (
            tr("closed by {closed_by}", closed_by=bill.closed_by)
            if bill.closed_by
            else tr("{days} days after the month's end", days=SETTLING.days)
        )
        since = tr("Final since {closed_at} ({by}).", closed_at=local_day(bill.closed_at, depot), by=by)
        return tr("{since} Later data makes a correction; this bill stays as it is.", since=since)
    if now < bill.end_at:
        return tr("An estimate: recorded to {last}, billed again every hour.", last=last)
    if now >= bill.end_at + SETTLING:
        return tr(
            "An estimate: intervals are missing, or the unmanaged side of some is not final, so it "
            "does not become final by itself. A manager can close it."
        )
    final_from = local_day(bill.end_at + SETTLING, depot)
    return tr(
        "An estimate: it becomes final on {final_from} when every interval is there, or when a "
        "manager closes it.",
        final_from=final_from,
    )


def sources_words(sources: Sources) -> str:
    """Say what the numbers rest on."""
    parts = [
        tr(
            "{recorded} of {expected} intervals are in the ledger",
            recorded=number(sources.recorded),
            expected=number(sources.expected),
        )
    ]
    if sources.outside:
        parts.append(
            tr(
                "{outside} at the beginning or end are missing and not in the bill",
                outside=number(sources.outside),
            )
        )
    if sources.gaps:
        parts.append(
            tr("{gaps} gaps were filled for the energy, never for a peak", gaps=number(sources.gaps))
        )
    if sources.estimated:
        parts.append(
            tr(
                "{estimated} were estimated because the grid meter was silent",
                estimated=number(sources.estimated),
            )
        )
    if not sources.missing and not sources.estimated:
        parts.append(tr("all of them measured at the grid meter"))
    return "; ".join(parts) + "."
