"""The bills of a depot, as the Bills page tells them: what was billed, from what, and what the utility says."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal

from billing.bills.changes import ChangedLine, changed_lines
from billing.bills.reconcile import Facts, Pair, Reconciled, Side, reconcile
from billing.models import Bill, BillInputs, BillLine, Interval, Scenario, UtilityBill, UtilityLine
from billing.selectors.bills_inputs import as_entered, unpack, versions_between
from billing.selectors.history import Peaks, bills_in_force, earlier_peaks
from billing.selectors.ledger import load_of
from billing.tariff import InputError
from depot.models import Depot, Quality

MONTHS_SHOWN = 36
KINDS = {
    "energy": "energy",
    "demand": "demand",
    "subscription": "demand",
    "coincident": "demand",
    "export": "export",
}
"""Beginnings of line ids, and the kind of what they charge; all others are other."""


@dataclass(frozen=True, slots=True)
class Month:
    """A row of the list: the bill in force, its highest peak, and the utility's total where it was entered."""

    first: date
    bill: Bill
    peak_kw: Decimal | None
    utility_total: Decimal | None

    @property
    def difference(self) -> Decimal | None:
        """Return the utility's total less ours."""
        return None if self.utility_total is None else self.utility_total - self.bill.total


@dataclass(frozen=True, slots=True)
class PeakSoFar:
    """A demand peak of a bill: what set it, and what 10 kW more would cost while the month runs."""

    line_id: str
    label: str
    kw: Decimal
    at: datetime
    next_10_kw: Decimal | None


@dataclass(frozen=True, slots=True)
class Sources:
    """Where a bill's numbers come from: intervals of the period, and its inputs' digest once it is final.

    `expected` are those up to now, or of the whole month when it is over. `gaps` lie between recorded ones: their
    energy is estimated. `outside` lie before the first or after the last one: they are not in the bill.
    """

    expected: int
    recorded: int
    estimated: int
    gaps: int
    sha256: str = ""
    engine: str = ""

    @property
    def outside(self) -> int:
        return max(self.expected - self.recorded - self.gaps, 0)

    @property
    def missing(self) -> int:
        return self.gaps + self.outside


def months_of(depot: Depot) -> list[Month]:
    """Return the newest months with a bill, the newest first; two queries."""
    bills = bills_in_force(depot).filter(scenario=Scenario.ACTUAL).order_by("-start_at")[:MONTHS_SHOWN]
    utility = dict(UtilityBill.objects.filter(depot=depot).values_list("start_at", "total"))
    found = []
    for bill in bills:
        peaks = [Decimal(peak["kw"]) for peak in bill.peaks_kw.values()]
        first = depot.cycles.month_of(bill.start_at)
        found.append(Month(first, bill, max(peaks, default=None), utility.get(bill.start_at)))
    return found


def kinds_of(bills: Iterable[Bill]) -> dict[int, dict[str, Decimal]]:
    """Return by bill what its energy, demand, export and other lines come to; one query."""
    found: dict[int, dict[str, Decimal]] = {}
    lines = BillLine.objects.filter(bill__in=[bill.pk for bill in bills])
    for bill_id, line_id, amount in lines.values_list("bill_id", "line_id", "amount"):
        kind = next((kind for start, kind in KINDS.items() if line_id.startswith(start)), "other")
        sums = found.setdefault(bill_id, {})
        sums[kind] = sums.get(kind, Decimal(0)) + amount
    return found


def bill_of_month(depot: Depot, start_at: datetime, revision: int | None = None) -> Bill | None:
    """Return the actual bill of the month that starts at a moment, in force or of a revision, with its lines."""
    rows = Bill.objects.filter(depot=depot, start_at=start_at, scenario=Scenario.ACTUAL)
    if revision is not None:
        rows = rows.filter(revision=revision)
    rows = rows.select_related("depot", "closed_by", "corrects", "correction")
    return rows.prefetch_related("lines", "corrects__lines").order_by("-revision").first()


def newest_bills(depot: Depot, starts: Iterable[datetime]) -> dict[datetime, Bill]:
    """Return by start the actual bills in force of the months that start then, without their lines; one query."""
    rows = Bill.objects.filter(depot=depot, start_at__in=list(starts), scenario=Scenario.ACTUAL)
    return {bill.start_at: bill for bill in rows.select_related("depot").order_by("revision")}


def peaks_of(bill: Bill) -> list[PeakSoFar]:
    """Return the demand peaks of a bill in the order of its lines."""
    labels = {line.line_id: line.label for line in bill.lines.all()}
    return [
        PeakSoFar(
            line_id=id,
            label=labels.get(id) or _label_of(id, labels),
            kw=Decimal(peak["kw"]),
            at=datetime.fromisoformat(peak["at"]),
            next_10_kw=Decimal(peak["next_10_kw"]) if "next_10_kw" in peak else None,
        )
        for id, peak in bill.peaks_kw.items()
    ]


def _label_of(id: str, labels: dict[str, str]) -> str:
    """Return the label of the first line that a charge in tiers has, else the id."""
    return next((label for line_id, label in labels.items() if line_id.startswith(f"{id}.")), id)


def correction_of(bill: Bill) -> list[ChangedLine]:
    """Return the lines in which a correction differs from the bill that it corrects."""
    if bill.corrects is None:
        return []
    lines = changed_lines(_by_id(bill.corrects), _by_id(bill))
    return [line for line in lines if line.is_changed]


def _by_id(bill: Bill) -> list[tuple[str, BillLine]]:
    return [(line.line_id, line) for line in bill.lines.all()]


def sources_of(bill: Bill, now: datetime) -> Sources:
    """Count the intervals that a bill rests on, as the ledger has them now; two queries."""
    until = bill.end_at if now >= bill.end_at else bill.covered_to
    rows = Interval.objects.filter(depot=bill.depot, start_at__gte=bill.start_at, start_at__lt=bill.end_at)
    facts = list(rows.order_by("start_at").values_list("start_at", "quality"))
    step = timedelta(minutes=bill.depot.step_minutes)
    reach = (facts[-1][0] - facts[0][0]) // step + 1 if facts else 0
    kept = BillInputs.objects.filter(bill=bill).values_list("load_sha256", "engine").first()
    return Sources(
        (until - bill.start_at) // step,
        len(facts),
        sum(quality == Quality.ESTIMATED for _, quality in facts),
        reach - len(facts),
        *(kept or ("", "")),
    )


def inputs_row(bill: Bill) -> BillInputs | None:
    """Return what a final bill was made of; None for an estimate."""
    return BillInputs.objects.filter(bill=bill).select_related("bill__depot").first()


def utility_bill_of(bill: Bill) -> UtilityBill | None:
    """Return the utility's bill of the same period, with its lines."""
    rows = UtilityBill.objects.filter(depot=bill.depot, start_at=bill.start_at)
    return rows.select_related("entered_by").prefetch_related("lines").first()


def reconciled(bill: Bill, utility: UtilityBill) -> Reconciled | None:
    """Compare a bill with the utility's; None when nothing is recorded that it could rest on."""
    kept = inputs_row(bill)
    if kept is not None:
        inputs = unpack(kept)
        load, peaks = inputs.load, inputs.peaks
    else:
        found = load_of(bill.depot, bill.start_at, bill.end_at, Scenario.ACTUAL)
        if found is None:
            return None
        load, peaks = found, _earlier_peaks(bill)
    facts = Facts(load, bill.depot.tz, bill.start_at, bill.end_at, bill.currency, peaks)
    return reconcile(pairs_of(bill, utility), utility.total, facts)


def _earlier_peaks(bill: Bill) -> Peaks:
    """Return the earlier peaks that an estimate looks back on; none where its tariff cannot be read."""
    first, last = (bill.depot.local(at).date() for at in (bill.start_at, bill.end_at - timedelta(seconds=1)))
    try:
        versions = [as_entered(row) for row in versions_between(bill.depot, first, last)]
    except InputError:
        return {}
    return earlier_peaks(bill.depot, versions, first, Scenario.ACTUAL) if versions else {}


def pairs_of(bill: Bill, utility: UtilityBill) -> list[Pair]:
    """Return the lines of both bills side by side: in the order of the depot's, then those only the utility has."""
    theirs: dict[str, list[UtilityLine]] = {}
    ours = {line.line_id: line for line in bill.lines.all()}
    for line in utility.lines.all():
        theirs.setdefault(line.line_id if line.line_id in ours else "", []).append(line)
    alone = theirs.pop("", [])
    pairs = [Pair(id, _ours(line), _theirs(theirs.get(id, []))) for id, line in ours.items()]
    return pairs + [Pair(line.line_id, None, _theirs([line])) for line in alone]


def _ours(line: BillLine) -> Side:
    return Side(line.label, line.quantity, line.unit, line.amount)


def _theirs(lines: list[UtilityLine]) -> Side | None:
    """Return the utility's lines that stand beside one of ours as one."""
    if not lines:
        return None
    quantities = [line.quantity for line in lines if line.quantity is not None]
    return Side(
        " + ".join(line.label for line in lines),
        sum(quantities, Decimal(0)) if len(quantities) == len(lines) else None,
        lines[0].unit,
        sum((line.amount for line in lines), Decimal(0)),
    )
