"""Take prices in: from an uploaded file, or from a source that is asked every hour. All of a file or nothing."""

from __future__ import annotations

import bisect
import re
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db import transaction

from billing.models import PricePoint, PriceSeries
from billing.selectors.market import known_series
from billing.services.price_sources import ask_entsoe, ask_nordpool
from billing.services.tariffs import plan_anew
from billing.sources import Point, entsoe, nordpool
from billing.sources.entsoe import SourceError
from billing.sources.table import Reading, read_prices
from depot import alerts, audit
from depot.alerts.services import Cause
from depot.imports import RowError
from depot.models import Depot
from depot.timegrid import days, local_to_utc
from depot.words import later, tr

EIGHT = Decimal("0.00000001")
BACKFILL = timedelta(days=28)
BACKFILL_BY_DAY = timedelta(days=7)
ALERTS = "prices:"
CURRENCY_SIGNS = {"€": "EUR", "£": "GBP", "zł": "PLN"}
CODE = re.compile(r"(?<![A-Za-z])([A-Z]{3})\s*/\s*(?:MWh|kWh)")


class PriceFileError(Exception):
    """A file that was not saved, with every problem at its place."""

    def __init__(self, problems: Sequence[RowError]) -> None:
        super().__init__("\n".join(problem.sentence for problem in problems))
        self.problems = tuple(problems)


@dataclass(frozen=True, slots=True)
class Stored:
    """What storing points did: counts of intervals."""

    new: int
    changed: int
    unchanged: int


def check_file(
    depot: Depot, kind: str, content: bytes, name: str, column: str = "", unit: str = ""
) -> Reading:
    """Read a price file for a depot; a title in another currency is an error. Writes nothing."""
    reading = read_prices(content, name, depot.tz, column, unit)
    named = currency_of(reading.column)
    if kind in (PriceSeries.Kind.MARKET, PriceSeries.Kind.EXPORT) and named not in ("", depot.currency):
        message = tr(
            "“{column}” is in {named}, the depot in {currency}. Choose another column or file.",
            column=reading.column,
            named=named,
            currency=depot.currency,
        )
        error = RowError(name, None, reading.column, named, message)
        return Reading((), reading.columns, reading.column, reading.unit, (error, *reading.errors))
    return reading


def currency_of(title: str) -> str:
    """Return the currency that a price column's title names; empty when it names none."""
    code = CODE.search(title)
    if code:
        return code[1]
    return next((code for sign, code in CURRENCY_SIGNS.items() if sign in title), "")


def import_file(
    depot: Depot,
    user: Any,
    kind: str,
    content: bytes,
    name: str,
    now: datetime,
    column: str = "",
    unit: str = "",
) -> tuple[Reading, Stored]:
    """Store the prices of a file in one transaction; raise PriceFileError, with nothing written, for any fault."""
    reading = check_file(depot, kind, content, name, column, unit)
    if not reading.points and not reading.errors:
        reading = Reading(errors=(RowError(name, None, "", "", tr("The file has no price at all.")),))
    if reading.errors:
        raise PriceFileError(reading.errors)
    with transaction.atomic():
        series, _ = PriceSeries.objects.get_or_create(depot=depot, kind=kind)
        stored = store(series, reading.points, now)
        sentence = later(
            "Saved {name}, {column}: {new:,} new, {changed:,} changed intervals of {series}.",
            name=name,
            column=reading.column,
            new=stored.new,
            changed=stored.changed,
            series=series.get_kind_display().lower(),
        )
        event = audit.record(depot, user, "prices.imported", sentence, kind=kind, **asdict(stored))
        if series.is_money and (stored.new or stored.changed):
            plan_anew(depot, f"prices {event.pk}", tr("New prices: {name}", name=name), user)
    sync_alerts(depot, now)
    return reading, stored


def store(series: PriceSeries, points: Sequence[Point], now: datetime) -> Stored:
    """Write points in one transaction: a later value replaces the one of the same moment.

    Stored points inside a new, longer interval go, so that no interval has two values.
    """
    if not points:
        return Stored(0, 0, 0)
    ordered = sorted(points, key=lambda point: point.start_at)
    with transaction.atomic():
        held = PricePoint.objects.filter(
            series=series, start_at__gte=ordered[0].start_at, start_at__lt=ordered[-1].end_at
        )
        known = {
            at: (minutes, value) for at, minutes, value in held.values_list("start_at", "minutes", "per_kwh")
        }
        rows = {
            point.start_at: PricePoint(
                series=series,
                start_at=point.start_at,
                minutes=point.minutes,
                per_kwh=point.per_kwh.quantize(EIGHT),
                read_at=now,
            )
            for point in ordered
        }
        wanted = [row for at, row in rows.items() if known.get(at) != (row.minutes, row.per_kwh)]
        starts = sorted(known)
        covered = [
            at
            for point in ordered
            for at in starts[
                bisect.bisect_right(starts, point.start_at) : bisect.bisect_left(starts, point.end_at)
            ]
            if at not in rows
        ]
        for first in range(0, len(covered), 500):
            PricePoint.objects.filter(series=series, start_at__in=covered[first : first + 500]).delete()
        PricePoint.objects.bulk_create(
            wanted,
            batch_size=1000,
            update_conflicts=True,
            unique_fields=["series", "start_at"],
            update_fields=["minutes", "per_kwh", "read_at"],
        )
    changed = sum(row.start_at in known for row in wanted)
    return Stored(len(wanted) - changed, changed, len(rows) - len(wanted))


def fetch_all(depot: Depot, now: datetime) -> dict[str, int]:
    """Ask the source of each series for what is missing, and tell where prices run out; return new intervals.

    What is new is planned with at once.
    A source that fails is noted at the series; the others and the alerts go on.
    """
    found = {}
    for known in known_series(depot, now):
        if known.series.source != PriceSeries.Source.FILE:
            found[known.series.kind] = fetch(known.series, known.known_to, now)
    if any(found.values()):
        plan_anew(depot, f"prices {now.isoformat()}", tr("New prices came"))
    sync_alerts(depot, now)
    return found


def fetch(series: PriceSeries, known_to: datetime | None, now: datetime) -> int:
    """Ask a source for the prices from where they are known (at first the last weeks) to the end of tomorrow.

    Each answer is stored before the next question: what came before one fails is kept. Return new or changed intervals.
    """
    series.checked_at, series.problem = now, ""
    count = 0
    try:
        for points in _answers(series, known_to, now):
            stored = store(series, points, now)
            count += stored.new + stored.changed
    except SourceError as error:
        series.problem = str(error)[:300]
    series.save(update_fields=["checked_at", "problem"])
    return count


def _answers(series: PriceSeries, known_to: datetime | None, now: datetime) -> Iterator[list[Point]]:
    """Yield what a source answers to each question, in time order."""
    if series.source == PriceSeries.Source.NORDPOOL:
        yield from _asked_by_day(series, known_to, now)
    else:
        yield _asked_at_once(series, known_to, now)


def _asked_at_once(series: PriceSeries, known_to: datetime | None, now: datetime) -> list[Point]:
    depot = series.depot
    first = max(known_to, now - BACKFILL) if known_to else now - BACKFILL
    last = local_to_utc(depot.local(now).date() + timedelta(days=2), 0, depot.tz)
    if first >= last:
        return []
    return entsoe.read(ask_entsoe(series.area, first, last, settings.ENTSOE_TOKEN), depot.currency)


def _asked_by_day(series: PriceSeries, known_to: datetime | None, now: datetime) -> Iterator[list[Point]]:
    """Ask Nord Pool once for each delivery day that is not known to its end."""
    zone = ZoneInfo(nordpool.ZONE)
    tomorrow = now.astimezone(zone).date() + timedelta(days=1)
    first = max(known_to, now - BACKFILL_BY_DAY) if known_to else now - BACKFILL_BY_DAY
    currency = series.depot.currency
    for day in days(first.astimezone(zone).date(), tomorrow):
        yield nordpool.read(ask_nordpool(series.area, day, currency), series.area, currency)


def sync_alerts(depot: Depot, now: datetime) -> None:
    """Keep an alert open for each series of prices that runs out."""
    causes = [
        Cause(
            f"{ALERTS}{known.series.kind}",
            "warning",
            f"{known.series.get_kind_display()}: {known.problem}"[:200],
            tr("Until new prices come, plans take those of the same weekday and hour. See the Tariffs page."),
        )
        for known in known_series(depot, now)
        if known.problem
    ]
    alerts.sync(depot, ALERTS, causes)


def set_source(series: PriceSeries, user: Any) -> None:
    """Save where new prices of a series come from."""
    series.problem = ""
    source = f"{series.get_source_display()} {series.area}".strip()
    sentence = later("New prices come from {source}.", source=source)
    with transaction.atomic():
        series.save()
        audit.record(series.depot, user, "prices.source", sentence, source=series.source, area=series.area)
