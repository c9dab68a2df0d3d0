"""Calls of grid programmes: what they paid in a month, and what the planner may earn from those to come."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Any

import numpy as np

from billing.models import ProgrammeEvent
from billing.savings.events import Call, Metered, Payment, baseline_of, offers, settle
from billing.savings.programmes import LOOK_BACK, CustomerBaseline, Floats, NoBaselineError
from billing.selectors.ledger import Ledger, read_ledger
from billing.selectors.tariffs import parsed, tariffs_by_day
from billing.tariff import InputError
from depot.models import Depot
from depot.templatetags.depot_pages import number
from depot.timegrid import TimeGrid, local_day_bounds, local_midnights
from depot.words import tr

MINUTES_PER_DAY = 1440
COLUMNS = ("net_kw", "export_kwh", "credit_per_kwh")
Another = Callable[[Depot, Ledger], tuple[Floats, Floats]]
"""What another depot would have imported and exported (kWh per step) in a span of this one's ledger."""


@dataclass(frozen=True, slots=True)
class Settled:
    """One event and what it paid; without a baseline there is no payment, and the reason says why."""

    event: ProgrammeEvent
    payment: Payment | None
    baseline: CustomerBaseline | None
    reason: str = ""

    @property
    def revenue(self) -> Decimal:
        return self.payment.revenue if self.payment else Decimal(0)

    @property
    def words(self) -> str:
        """Return what was delivered and against which baseline, in a sentence."""
        if self.payment is None or self.baseline is None:
            return self.reason
        days = tr("the mean of {days} days like it", days=len(self.baseline.days))
        if self.baseline.adjustment_kw:
            capped = tr(", its most") if self.baseline.capped else ""
            days += tr(
                ", adjusted by {adjustment_kw:+,.1f} kW{capped}",
                adjustment_kw=self.baseline.adjustment_kw,
                capped=capped,
            )
        missing = (
            tr(" {missing} steps were not metered and count nothing.", missing=self.payment.missing)
            if self.payment.missing
            else ""
        )
        credit = (
            tr(" Export credit of {credit} is taken off.", credit=self.payment.credit)
            if self.payment.credit
            else ""
        )
        return tr(
            "{kwh} kWh delivered, {mean_kw} kW on average, against {days}.{missing}{credit}",
            kwh=number(self.payment.kwh, 1),
            mean_kw=number(self.payment.mean_kw, 1),
            days=days,
            missing=missing,
            credit=credit,
        )

    def as_json(self) -> dict[str, Any]:
        """Return what is frozen with a month's statement."""
        return {
            "event": self.event.pk,
            "label": str(self.event),
            "kwh": round(self.payment.kwh, 3) if self.payment else 0.0,
            "pay": str(self.payment.pay if self.payment else 0),
            "credit": str(self.payment.credit if self.payment else 0),
            "revenue": str(self.revenue),
            "words": self.words,
        }


@dataclass(frozen=True, slots=True)
class _Days:
    """What baselines are made of: the metered days, which are working days, and on which days there was an event."""

    metered: dict[date, dict[str, Floats]]
    working: dict[date, bool]
    events: frozenset[date]
    step_minutes: int

    @property
    def net_kw(self) -> dict[date, Floats]:
        return {day: columns["net_kw"] for day, columns in self.metered.items()}

    def baseline(self, call: Call) -> CustomerBaseline:
        return baseline_of(call, self.net_kw, self.working, self.events, self.step_minutes)


def settled(
    depot: Depot, start_at: datetime, end_at: datetime, another: Another | None = None
) -> list[Settled]:
    """Return what the events that lie in a span paid, by time; one query when there are none.

    With `another`, what they would have paid that depot, against a baseline made of its own days.
    """
    events = list(_events(depot, start_at, end_at))
    if not events:
        return []
    days = _days(depot, events, another)
    found = []
    for event in events:
        call = call_of(event)
        metered = Metered(*(days.metered[call.day][name] for name in COLUMNS))
        try:
            baseline = days.baseline(call)
        except NoBaselineError as error:
            found.append(Settled(event, None, None, str(error)))
            continue
        hours = depot.step_minutes / 60
        found.append(Settled(event, settle(call, baseline, metered, hours, depot.currency), baseline))
    return found


def events_for(
    depot: Depot, grid: TimeGrid, export_per_kwh: Sequence[float]
) -> tuple[list[dict[str, Any]], dict[str, str]]:
    """Return the calls inside a grid as the planner's case has them, and by a key why any is left out.

    Export credit that a programme's terms exclude is taken off its pay, as in the settlement.
    """
    events = list(_events(depot, grid.start_at, grid.end_at))
    if not events:
        return [], {}
    days = _days(depot, events)
    case: list[dict[str, Any]] = []
    notes = {}
    for event in events:
        call = call_of(event)
        try:
            baseline = days.baseline(call)
        except NoBaselineError as error:
            notes[f"event {event.pk}"] = tr(
                "{event} is not planned for, because it has no baseline: {error}", event=event, error=error
            )
            continue
        step = timedelta(minutes=grid.step_minutes)
        first = (event.start_at - grid.start_at) // step
        steps = slice(max(first, 0), min(first + call.steps, grid.steps))
        for offer in offers(call, baseline):
            series = np.zeros(grid.steps)
            series[steps] = offer.baseline_kw[steps.start - first : steps.stop - first]
            lost = (
                float(np.mean(export_per_kwh[steps]))
                if call.credit_excluded and offer.kind == "export"
                else 0.0
            )
            case.append(
                {
                    "id": f"{event.pk}-{offer.kind}",
                    "kind": offer.kind,
                    "from_step": steps.start,
                    "to_step": steps.stop,
                    "baseline_kw": [round(float(kw), 3) for kw in series],
                }
                | _pay(call, steps.stop - steps.start, depot.step_minutes / 60, lost)
            )
    return case, notes


def _pay(call: Call, steps: int, hours: float, lost_per_kwh: float) -> dict[str, float]:
    """Return what one kWh, or the mean kW over those steps of a call that are still to come, earns."""
    if call.pay_per_kwh is not None:
        return {"pay_per_kwh": max(float(call.pay_per_kwh) - lost_per_kwh, 0.0)}
    earns = float(call.pay_per_kw or 0) * steps / call.steps - lost_per_kwh * steps * hours
    return {"pay_per_kw": max(earns, 0.0)}


def pay_words(event: ProgrammeEvent, currency: str) -> str:
    """Say what an event pays for what."""
    pay, unit = (event.pay_per_kwh, "kWh") if event.pay_per_kwh else (event.pay_per_kw, tr("kW on average"))
    if event.kind == ProgrammeEvent.Kind.EXPORT:
        return tr(
            "{pay:.2f} {currency} for each {unit} exported more than usual",
            pay=pay,
            currency=currency,
            unit=unit,
        )
    return tr("{pay:.2f} {currency} for each {unit} less than usual", pay=pay, currency=currency, unit=unit)


def call_of(event: ProgrammeEvent) -> Call:
    """Return an event's terms in steps of its local day."""
    depot = event.depot
    start = depot.local(event.start_at)
    first = (start.hour * 60 + start.minute) // depot.step_minutes
    steps = (event.end_at - event.start_at) // timedelta(minutes=depot.step_minutes)
    return Call(
        start.date(),
        (first, first + steps),
        "export" if event.kind == ProgrammeEvent.Kind.EXPORT else "reduce",
        event.pay_per_kwh,
        event.pay_per_kw,
        event.credit_excluded,
    )


def _events(depot: Depot, start_at: datetime, end_at: datetime) -> Iterable[ProgrammeEvent]:
    rows = ProgrammeEvent.objects.filter(depot=depot, start_at__lt=end_at, end_at__gt=start_at)
    return rows.select_related("depot").order_by("start_at")


def _days(depot: Depot, events: Sequence[ProgrammeEvent], another: Another | None = None) -> _Days:
    """Return the metered days that the baselines of events look at; three queries, and those of `another`."""
    days = [depot.local(event.start_at).date() for event in events]
    first, last = min(days) - LOOK_BACK, max(days)
    start_at, end_at = local_day_bounds(first, depot.tz)[0], local_day_bounds(last, depot.tz)[1]
    ledger = read_ledger(depot, start_at, end_at)
    if another is not None:
        import_kwh, export_kwh = another(depot, ledger)
        ledger = replace(
            ledger, columns=ledger.columns | {"import_kwh": import_kwh, "export_kwh": export_kwh}
        )
    starts = ProgrammeEvent.objects.filter(depot=depot, start_at__gte=start_at, start_at__lt=end_at)
    event_days = frozenset(depot.local(at).date() for at in starts.values_list("start_at", flat=True))
    return _Days(by_day(depot, ledger), _working(depot, first, last), event_days, depot.step_minutes)


def by_day(depot: Depot, ledger: Ledger) -> dict[date, dict[str, Floats]]:
    """Cut a ledger of whole local days into steps of the wall clock.

    On a day of 23 or 25 hours the hour that is left out, or comes twice, is unknown: nothing else shifts, and
    such a day makes no baseline.
    """
    minutes = depot.step_minutes
    columns = {
        "net_kw": ledger.kw("import_kwh") - ledger.kw("export_kwh"),
        "export_kwh": ledger.kwh("export_kwh"),
        "credit_per_kwh": ledger.kwh("export_price_per_kwh"),
    }
    days = depot.local(ledger.grid.start_at).date(), depot.local(ledger.grid.end_at).date()
    bounds = local_midnights(depot.tz, *days)
    found: dict[date, dict[str, Floats]] = {}
    for start_at, end_at in pairwise(bounds):
        steps = (end_at - start_at) // timedelta(minutes=minutes)
        offset = (start_at - ledger.grid.start_at) // timedelta(minutes=minutes)
        place = _places(depot, TimeGrid(start_at, minutes, steps))
        day = {}
        for name, series in columns.items():
            day[name] = np.full(MINUTES_PER_DAY // minutes, np.nan)
            known = place >= 0
            day[name][place[known]] = series[offset : offset + steps][known]
        found[depot.local(start_at).date()] = day
    return found


def _places(depot: Depot, grid: TimeGrid) -> np.ndarray:
    """Return the wall-clock step of each step of a day; -1 where the wall clock shows it twice."""
    minutes = grid.step_minutes
    if grid.steps * minutes == MINUTES_PER_DAY:
        return np.arange(grid.steps)
    local = [depot.local(at) for at in grid.times()]
    place = np.array([(at.hour * 60 + at.minute) // minutes for at in local])
    twice = np.bincount(place, minlength=MINUTES_PER_DAY // minutes) > 1
    return np.where(twice[place], -1, place)


def _working(depot: Depot, first: date, last: date) -> dict[date, bool]:
    """Tell for each day whether it is Monday to Friday and no holiday of its tariff.

    A tariff that cannot be read has no holidays here; prices and bills say what is wrong with it.
    """
    holidays: dict[int, tuple[frozenset[date], frozenset[int]]] = {}
    found = {}
    for day, row in tariffs_by_day(depot, first, last).items():
        if row is not None and row.pk not in holidays:
            try:
                tariff = parsed(row)
                holidays[row.pk] = (frozenset(tariff.holidays), frozenset(tariff.recurring_holidays))
            except InputError:
                holidays[row.pk] = (frozenset(), frozenset())
        single, yearly = holidays[row.pk] if row is not None else (frozenset(), frozenset())
        is_holiday = day in single or day.month * 100 + day.day in yearly
        found[day] = day.weekday() < 5 and not is_holiday
    return found


SHOWN = timedelta(days=62)
"""How far back the page settles events; older ones are in the statements of their months."""


def listed(depot: Depot, now: datetime) -> tuple[list[ProgrammeEvent], list[Settled]]:
    """Return the events that are not over, by time, and those of the last two months settled, the newest first."""
    coming = (
        ProgrammeEvent.objects.filter(depot=depot, end_at__gt=now)
        .select_related("depot")
        .order_by("start_at")
    )
    over = [one for one in settled(depot, now - SHOWN, now) if one.event.end_at <= now]
    return list(coming), over[::-1]
