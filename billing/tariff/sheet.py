"""Lay a load on steps so fine that no price, metering block or billing period changes inside one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, tzinfo
from fractions import Fraction
from functools import cached_property
from zoneinfo import ZoneInfo

import numpy as np

from billing.tariff.calendar import (
    Bools,
    Floats,
    Ints,
    LocalSteps,
    boundaries_of,
    date_of,
    day_number,
    local_steps,
    refine,
    season_days,
)
from billing.tariff.load import LoadSeries
from billing.tariff.model import Price, Tariff
from billing.tariff.periods import Span, month_share, period_of, spans_of
from billing.tariff.problems import LoadError, Problem
from depot.words import tr


@dataclass(frozen=True, eq=False)
class Sheet:
    """One tariff version over a load: fine steps, billing periods, and the days the version covers of each.

    `period` is the billing period of each step, -1 where another version holds. `parts` are the days
    (since 1970) of each billing period on which this version holds.
    """

    tariff: Tariff
    load: LoadSeries
    zone: tzinfo
    steps: LocalSteps
    factor: int
    spans: list[Span]
    parts: list[Ints]
    period: Ints

    @property
    def hours(self) -> float:
        """Return the length of a fine step in hours."""
        return self.steps.minutes / 60

    def fine(self, values: Floats) -> Floats:
        """Repeat a series of the load's steps on the fine steps."""
        return np.repeat(values, self.factor) if self.factor > 1 else values

    def sums(self, group: Ints, groups: int, weight: Floats) -> Floats:
        """Sum a weight by billing period and group; steps of group -1 are left out."""
        key = self.period * groups + group
        held = (group >= 0) & (self.period >= 0)
        if not held.all():
            key, weight = key[held], weight[held]
        summed = np.bincount(key, weights=weight, minlength=len(self.spans) * groups)
        return np.asarray(summed, dtype=np.float64).reshape(len(self.spans), groups)

    @cached_property
    def covered_days(self) -> list[int]:
        """Return the local days that the load touches in each billing period, under this version."""
        _, index = np.unique(self.steps.day, return_index=True)
        period = self.period[index]
        counts = np.bincount(period[period >= 0], minlength=len(self.spans))
        return [int(count) for count in counts]

    def days(self, index: int) -> int:
        """Return on how many days of a billing period this version holds."""
        return int(self.parts[index].size)

    def share(self, index: int, price: Price | None = None) -> Share:
        """Return the share of a month that a price of this version is charged in a billing period.

        A row of `price` counts the days on which any of its seasons runs.
        """
        return share_of(self.tariff, price, self.parts[index], self.spans[index])


@dataclass(frozen=True, slots=True)
class Share:
    """State for how much of a month something is charged: days held of the period's days, times `month`."""

    days: int
    of_days: int
    month: Fraction

    @property
    def fraction(self) -> Fraction:
        """Return the share as a number."""
        return Fraction(self.days, self.of_days) * self.month

    def __str__(self) -> str:
        """Return the words that explain it, empty for a whole month."""
        words = (
            tr(" for {days} of {of_days} days", days=self.days, of_days=self.of_days)
            if self.days < self.of_days
            else ""
        )
        if self.month != 1:
            words += tr(", the billing period counting as {month:.4g} of a month", month=float(self.month))
        return words


def zone_of(tariff: Tariff, load: LoadSeries, time_zone: tzinfo | None) -> tzinfo:
    """Return the zone whose clock the tariff follows; raise LoadError when nothing names one."""
    if tariff.time_zone:
        return ZoneInfo(tariff.time_zone)
    zone = time_zone or load.written_in
    if zone is None:
        cure = tr("Name the depot's zone with --timezone, for example America/Los_Angeles")
        raise LoadError([Problem(tr("time zone"), tr("neither the tariff nor the load names one"), cure)])
    return zone


def make_sheets(
    tariffs: Sequence[Tariff], load: LoadSeries, zone: tzinfo, cycle_starts: Sequence[date] | None
) -> list[Sheet]:
    """Return a sheet for each tariff version, in order of validity; one version alone holds all the time.

    Raises LoadError for a day on which none of several versions is valid.
    """
    coarse = local_steps(load.start_at, load.steps, load.step_minutes, zone)
    spans = spans_of(coarse.day, cycle_starts)
    if len(tariffs) == 1:
        return [_sheet(tariffs[0], load, zone, coarse, spans)]
    first, sheets = day_number(spans[0].first), []
    for tariff, held in zip(tariffs, version_days(tariffs, coarse.day, spans), strict=True):
        if held.any():
            sheet = _sheet(tariff, load, zone, coarse, spans)
            parts = [days[held[days - first]] for days in sheet.parts]
            period = np.where(held[sheet.steps.day - first], sheet.period, -1)
            sheets.append(replace(sheet, parts=parts, period=period))
    return sheets


def _sheet(tariff: Tariff, load: LoadSeries, zone: tzinfo, coarse: LocalSteps, spans: list[Span]) -> Sheet:
    steps, factor = refine(coarse, boundaries_of(tariff), zone)
    return Sheet(
        tariff, load, zone, steps, factor, spans, list(map(days_of, spans)), period_of(steps.day, spans)
    )


def version_days(tariffs: Sequence[Tariff], needed: Ints, spans: Sequence[Span]) -> list[Bools]:
    """Return for each version on which days (from the first span's) it holds: the newest valid one does.

    Raises LoadError when none holds on a `needed` day (since 1970), or when their time zones differ.
    """
    if len({tariff.time_zone for tariff in tariffs}) > 1:
        cure = tr("Give all versions one time_zone")
        raise LoadError([Problem(tr("tariff versions"), tr("their time zones differ"), cure)])
    days = np.arange(day_number(spans[0].first), day_number(spans[-1].end))
    if len(tariffs) == 1:
        return [np.ones(days.size, dtype=np.bool_)]
    owner = np.full(days.size, -1)
    for number, tariff in enumerate(tariffs):
        since = day_number(tariff.valid_from) if tariff.valid_from else days[0]
        until = day_number(tariff.valid_to) if tariff.valid_to else days[-1]
        owner[(days >= since) & (days <= until)] = number
    without = needed[owner[needed - days[0]] < 0]
    if without.size:
        cure = tr("Give a version whose valid_from and valid_to hold it")
        message = tr("none is valid on {without}", without=date_of(int(without[0])))
        raise LoadError([Problem(tr("tariff versions"), message, cure)])
    return [owner == number for number in range(len(tariffs))]


def share_of(tariff: Tariff, price: Price | None, days: Ints, span: Span) -> Share:
    """Return the share of a month for the `days` of a billing period on which a version (and row) holds."""
    held = int(days.size)
    if price is not None and any(when.seasons for when in price.when):
        held = season_days(tariff, price, days)
    return Share(held, span.days, month_share(tariff.proration, span))


def days_of(span: Span) -> Ints:
    """Return the days (since 1970) of a billing period."""
    return np.arange(day_number(span.first), day_number(span.end))
