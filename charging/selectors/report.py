"""What a month or a year came to: energy and cost by vehicle and by block, and what was saved."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal

import numpy as np
from django.core.cache import cache
from django.db.models import Max, Q, QuerySet, Sum

from billing.bills.sharing import LineKind, LineToShare, Share, SharedBill, Use, share_bill, split
from billing.models import Bill, BillLine, Interval, SavingsStatement
from billing.selectors.bills import KINDS, newest_bills
from billing.selectors.emissions import emissions_of
from billing.selectors.ledger import read_ledger
from billing.selectors.savings import newest_statements
from charging.models import VehicleDay
from charging.selectors.energy import energy_by_vehicle
from depot.models import Depot
from depot.timegrid import TimeGrid, floor_to_step
from depot.words import mark, tr
from fleet.models import Vehicle
from fleet.selectors.duties import duties
from fleet.selectors.needs import need_of

UNKNOWN = 0
UNKNOWN_NAME = mark("Vehicles nobody knows")
NO_BLOCK = ""
A_DAY_S, REMEMBERED_S = 86_400, 900
FLOWS = ("import_kwh", "export_kwh", "building_kwh", "solar_kwh", "charge_kwh", "discharge_kwh")


@dataclass(frozen=True, slots=True)
class VehicleLine:
    """A vehicle in a period: kWh in and out, its part of the bill, and the wear of what it gave (not in the bill)."""

    name: str
    vehicle_id: int
    charged_kwh: float
    given_kwh: float
    share: Share
    wear: Decimal

    @property
    def per_kwh(self) -> Decimal | None:
        """Return its part of the bill for each kWh that stayed in it; None where less than 1 kWh did."""
        net_kwh = self.charged_kwh - self.given_kwh
        return self.share.total / Decimal(str(net_kwh)) if net_kwh >= 1 else None


@dataclass(frozen=True, slots=True)
class BlockLine:
    """A block in a period, over all its runs; "" stands for the cost of vehicles that ran no block."""

    block_id: str
    runs: int = 0
    distance_km: float = 0.0
    energy_kwh: float = 0.0
    cost: Decimal = Decimal(0)

    def __add__(self, more: BlockLine) -> BlockLine:
        return BlockLine(
            self.block_id,
            self.runs + more.runs,
            self.distance_km + more.distance_km,
            self.energy_kwh + more.energy_kwh,
            self.cost + more.cost,
        )


@dataclass(frozen=True, slots=True)
class Co2Line:
    """kg of CO2 by one series of factors; `steps` of `recorded` intervals have a factor."""

    label: str
    unmanaged_kg: float
    actual_kg: float
    steps: float
    recorded: int

    @property
    def avoided_kg(self) -> float:
        return self.unmanaged_kg - self.actual_kg

    @property
    def known_share(self) -> float:
        return self.steps / self.recorded if self.recorded else 0.0

    def __add__(self, more: Co2Line) -> Co2Line:
        return Co2Line(
            self.label,
            self.unmanaged_kg + more.unmanaged_kg,
            self.actual_kg + more.actual_kg,
            self.steps + more.steps,
            self.recorded + more.recorded,
        )


@dataclass(frozen=True, slots=True)
class Report:
    """A period. `vehicles` and `site` are together the bill; `flows` are the ledger's kWh by name.

    `written_to` is the last day of which the vehicles' energy has been added up.
    """

    currency: str
    total: Decimal
    unmanaged_total: Decimal
    net_saving: Decimal
    wear: Decimal
    flows: dict[str, float]
    vehicles: list[VehicleLine]
    site: Share
    blocks: list[BlockLine]
    co2: list[Co2Line]
    written_to: date | None
    final: bool
    months: tuple[date, ...] = field(default=())

    @property
    def shared(self) -> Share:
        """Return the part of all vehicles."""
        return sum((row.share for row in self.vehicles), Share())


@dataclass(frozen=True, slots=True)
class BilledMonth:
    """A month that has been billed. `key` changes when its bill or its vehicles' energy is computed again."""

    first: date
    bill: Bill
    statement: SavingsStatement
    key: str

    @property
    def remembered(self) -> bool:
        """Tell whether this process has its report at hand."""
        return self.key in cache

    def remember(self, report: Report) -> None:
        """Keep its report at hand: a day, before the bill is final a quarter of an hour."""
        cache.set(self.key, report, A_DAY_S if report.final else REMEMBERED_S)


def billed_month(depot: Depot, first: date) -> BilledMonth | None:
    """Return a month, or None when it has not been billed; from three queries."""
    return next(iter(_billed(depot, [first])), None)


def billed_months(depot: Depot, year: int) -> list[BilledMonth]:
    """Return the months of a year that have been billed; from three queries."""
    return _billed(depot, [date(year, month, 1) for month in range(1, 13)])


def _billed(depot: Depot, firsts: list[date]) -> list[BilledMonth]:
    spans = {depot.cycles.bounds(first)[0]: (first, *depot.cycles.bounds(first)) for first in firsts}
    bills = newest_bills(depot, spans)
    statements = newest_statements(depot, spans)
    newest = _days(depot, min(spans), max(end_at for _, _, end_at in spans.values())).aggregate(
        **{f"at{number}": _newest(depot, *span[1:]) for number, span in enumerate(spans.values())}
    )
    found = []
    for number, (start_at, (first, *_rest)) in enumerate(spans.items()):
        bill, statement, at = bills.get(start_at), statements.get(start_at), newest[f"at{number}"]
        if bill is not None and statement is not None:
            key = f"month-report:{bill.pk}:{bill.computed_at.timestamp()}:{at.timestamp() if at else 0}"
            found.append(BilledMonth(first, bill, statement, key))
    return found


def _newest(depot: Depot, start_at: datetime, end_at: datetime) -> Max:
    """Return when what vehicles did in a cycle was computed last, as a part of a query."""
    return Max("computed_at", filter=Q(**_dates(depot, start_at, end_at)))


def month_report(depot: Depot, first: date, now: datetime) -> Report | None:
    """Return a month's report, or None when it has not been billed."""
    month = billed_month(depot, first)
    return report_of(depot, month, now) if month is not None else None


def report_of(depot: Depot, month: BilledMonth, now: datetime) -> Report:
    """Return the report of a billed month; it is worked out once, until its figures change."""
    found: Report | None = cache.get(month.key)
    if found is None:
        found = _report(depot, month.first, month.bill, month.statement, now)
        month.remember(found)
    return found


def year_report(
    depot: Depot, year: int, now: datetime, months: list[BilledMonth] | None = None
) -> Report | None:
    """Return the sum of a year's months that have been billed, or None when none has; `months` saves reading them."""
    billed = billed_months(depot, year) if months is None else months
    if not billed:
        return None
    digest = hashlib.sha256(repr([month.key for month in billed]).encode()).hexdigest()
    found: Report | None = cache.get(f"year-report:{digest}")
    if found is None:
        found = added_up([report_of(depot, month, now) for month in billed])
        cache.set(f"year-report:{digest}", found, A_DAY_S if found.final else REMEMBERED_S)
    return found


def added_up(months: list[Report]) -> Report:
    """Return months of one depot and currency as one report.

    Raises ValueError for more than one currency: amounts of two are never one sum.
    """
    if len({month.currency for month in months}) != 1:
        raise ValueError(tr("The currency of the bills changed in this year. Look at its months."))
    vehicles: dict[int, VehicleLine] = {}
    for row in (row for month in months for row in month.vehicles):
        other = vehicles.get(row.vehicle_id)
        vehicles[row.vehicle_id] = _both(other, row) if other else row
    written = [month.written_to for month in months if month.written_to is not None]
    return Report(
        currency=months[0].currency,
        total=sum((month.total for month in months), Decimal(0)),
        unmanaged_total=sum((month.unmanaged_total for month in months), Decimal(0)),
        net_saving=sum((month.net_saving for month in months), Decimal(0)),
        wear=sum((month.wear for month in months), Decimal(0)),
        flows={name: sum(month.flows[name] for month in months) for name in FLOWS},
        vehicles=sorted(vehicles.values(), key=lambda row: row.name),
        site=sum((month.site for month in months), Share()),
        blocks=_summed(row for month in months for row in month.blocks),
        co2=_summed_co2(months),
        written_to=max(written, default=None),
        final=all(month.final for month in months),
        months=tuple(first for month in months for first in month.months),
    )


def _both(one: VehicleLine, other: VehicleLine) -> VehicleLine:
    return VehicleLine(
        one.name,
        one.vehicle_id,
        one.charged_kwh + other.charged_kwh,
        one.given_kwh + other.given_kwh,
        one.share + other.share,
        one.wear + other.wear,
    )


def _summed(rows: Iterable[BlockLine]) -> list[BlockLine]:
    found: dict[str, BlockLine] = {}
    for row in rows:
        found[row.block_id] = found[row.block_id] + row if row.block_id in found else row
    return sorted(found.values(), key=lambda row: (row.block_id == NO_BLOCK, row.block_id))


def _summed_co2(months: list[Report]) -> list[Co2Line]:
    found: dict[str, Co2Line] = {}
    for row in (row for month in months for row in month.co2):
        found[row.label] = found[row.label] + row if row.label in found else row
    return list(found.values())


def _days(depot: Depot, start_at: datetime, end_at: datetime) -> QuerySet[VehicleDay]:
    """Return what vehicles did on the local days of a cycle."""
    return VehicleDay.objects.filter(depot=depot, **_dates(depot, start_at, end_at))


def _dates(depot: Depot, start_at: datetime, end_at: datetime) -> dict[str, date]:
    first, end = (depot.local(at).date() for at in (start_at, end_at))
    return {"date__gte": first, "date__lt": end}


def _report(depot: Depot, first: date, bill: Bill, statement: SavingsStatement, now: datetime) -> Report:
    start_at, end_at = depot.cycles.bounds(first)
    rows = Interval.objects.filter(depot=depot, start_at__gte=start_at, start_at__lt=end_at)
    flows = {
        name: float(total or 0.0) for name, total in rows.aggregate(**{n: Sum(n) for n in FLOWS}).items()
    }
    days = _days(depot, start_at, end_at)
    sums = {
        row["vehicle"] or UNKNOWN: row
        for row in days.order_by()
        .values("vehicle")
        .annotate(
            charged=Sum("charged_kwh"), given=Sum("given_kwh"), cost=Sum("worth"), wear=Sum("wear_cost")
        )
    }
    at_peaks, lines = _peaks(depot, bill)
    uses = {
        key: Use(row["charged"], row["given"], row["cost"], at_peaks.get(key, {}))
        for key, row in sums.items()
    }
    shared = share_bill(lines, uses, flows["building_kwh"], bill.currency)
    names = dict(Vehicle.objects.filter(pk__in=sums).values_list("pk", "name"))
    vehicles = [
        VehicleLine(
            names.get(key) or tr(UNKNOWN_NAME),
            key,
            row["charged"],
            row["given"],
            shared.vehicles[key],
            row["wear"],
        )
        for key, row in sums.items()
    ]
    return Report(
        currency=bill.currency,
        total=bill.total,
        unmanaged_total=statement.unmanaged.total,
        net_saving=statement.net_saving,
        wear=statement.wear_added,
        flows=flows,
        vehicles=sorted(vehicles, key=lambda row: (row.vehicle_id == UNKNOWN, row.name)),
        site=shared.site,
        blocks=_blocks(depot, start_at, min(end_at, now), shared, bill.currency),
        co2=_co2(depot, start_at, end_at),
        written_to=days.aggregate(last=Max("date"))["last"],
        final=bill.state == Bill.State.FINAL,
        months=(first,),
    )


def _peaks(depot: Depot, bill: Bill) -> tuple[dict[int, dict[str, float]], list[LineToShare]]:
    """Return each vehicle's net kW at the peak of each demand line, and the lines with the site's kW then."""
    at_peaks: dict[int, dict[str, float]] = defaultdict(dict)
    seen: dict[datetime, tuple[float, dict[int, float]]] = {}
    lines = []
    for line in bill.lines.all():
        kind = _kind(line)
        moment = _peak_at(bill, line) if kind == "demand" else None
        if moment is None:
            lines.append(LineToShare(line.line_id, kind, line.amount))
            continue
        at = floor_to_step(moment, depot.step_minutes)
        if at not in seen:
            seen[at] = _powers(depot, TimeGrid(at, depot.step_minutes, 1))
        site_kw, by_vehicle = seen[at]
        lines.append(LineToShare(line.line_id, "demand", line.amount, site_kw))
        for key in by_vehicle:
            at_peaks[key][line.line_id] = by_vehicle[key]
    return at_peaks, lines


def _kind(line: BillLine) -> LineKind:
    kind = next((kind for start, kind in KINDS.items() if line.line_id.startswith(start)), "other")
    if kind in ("energy", "export"):
        return "energy"
    return "demand" if kind == "demand" else "other"


def _peak_at(bill: Bill, line: BillLine) -> datetime | None:
    """Return when the peak of a line was set; a charge in tiers has one peak for all its lines."""
    for key, peak in bill.peaks_kw.items():
        if line.line_id == key or line.line_id.startswith(f"{key}."):
            return datetime.fromisoformat(peak["at"])
    return None


def _powers(depot: Depot, grid: TimeGrid) -> tuple[float, dict[int, float]]:
    """Return the site's import and each vehicle's net power in one step, in kW; a vehicle not at a plug has 0."""
    site = read_ledger(depot, grid.start_at, grid.end_at).kw("import_kwh")
    flows = energy_by_vehicle(depot, grid)
    powers = {
        key or UNKNOWN: float(flow.charge[0] - flow.discharge[0]) / grid.step_hours
        for key, flow in flows.items()
    }
    everyone = Vehicle.objects.filter(depot=depot).values_list("pk", flat=True)
    return float(np.nan_to_num(site)[0]), {key: powers.get(key, 0.0) for key in (*everyone, UNKNOWN)}


def _blocks(
    depot: Depot, start_at: datetime, end_at: datetime, shared: SharedBill, currency: str
) -> list[BlockLine]:
    """Share each vehicle's part of the bill among the blocks it left for, by the energy each needs."""
    rows: list[BlockLine] = []
    weights: dict[int, dict[str, float]] = defaultdict(lambda: defaultdict(float))
    for duty in duties(depot, start_at, end_at):
        if duty.vehicle is None or duty.outage is not None or not start_at <= duty.pull_out_at < end_at:
            continue
        energy_kwh = need_of(duty, duty.vehicle).energy_kwh
        weights[duty.vehicle.pk][duty.block.block_id] += energy_kwh
        rows.append(BlockLine(duty.block.block_id, 1, duty.block.distance_km or 0.0, energy_kwh))
    for key, share in shared.vehicles.items():
        parts = split(share.total, weights.get(key, {}), currency) or {NO_BLOCK: share.total}
        rows += [BlockLine(block_id, cost=cost) for block_id, cost in parts.items()]
    return _summed(rows)


def _co2(depot: Depot, start_at: datetime, end_at: datetime) -> list[Co2Line]:
    ledger = read_ledger(depot, start_at, end_at)
    recorded = int(np.isfinite(ledger.kwh("import_kwh")).sum())
    return [
        Co2Line(
            series.get_kind_display(),
            found.unmanaged_kg,
            found.actual_kg,
            found.known_share * recorded,
            recorded,
        )
        for series, found in emissions_of(depot, ledger)
    ]
