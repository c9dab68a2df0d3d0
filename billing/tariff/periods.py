"""Cut local days into billing periods: calendar months, or cycles that begin on given dates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from fractions import Fraction
from itertools import pairwise

import numpy as np

from billing.tariff.calendar import Ints, date_of, day_number
from billing.tariff.model import Proration
from billing.tariff.problems import LoadError, Problem
from depot.words import tr


@dataclass(frozen=True, slots=True)
class Span:
    """One billing period as local dates, half-open."""

    first: date
    end: date

    @property
    def days(self) -> int:
        """Return its number of local days."""
        return (self.end - self.first).days


def month_share(proration: Proration | None, span: Span) -> Fraction:
    """Return how much of a month a billing period counts as: 1, or its days / standard days."""
    if proration is None or proration.whole_from_days <= span.days <= proration.whole_to_days:
        return Fraction(1)
    return Fraction(span.days, proration.standard_days)


def billing_spans(first: date, last: date, cycle_starts: Sequence[date] | None = None) -> list[Span]:
    """Return the billing periods that hold the days from `first` to `last` (both included), in order.

    Without `cycle_starts` they are calendar months. With them, a period runs from one start to the next, so
    the starts must reach from the first day or before to after the last day; LoadError otherwise.
    """
    if cycle_starts is None:
        starts = [first.replace(day=1)]
        while starts[-1] <= last:
            starts.append((starts[-1] + timedelta(days=31)).replace(day=1))
    else:
        starts = sorted(set(cycle_starts))
        if not starts or starts[0] > first or starts[-1] <= last:
            message = tr("they do not enclose {first} to {last}", first=first, last=last)
            cure = tr("Give one on or before the first day and one after the last")
            raise LoadError([Problem(tr("cycle starts"), message, cure)])
    spans = [Span(start, end) for start, end in pairwise(starts)]
    return [span for span in spans if span.end > first and span.first <= last]


def period_of(days: Ints, spans: Sequence[Span]) -> Ints:
    """Return for each local day (since 1970) the index of its billing period."""
    starts = [day_number(span.first) for span in spans]
    return np.asarray(np.searchsorted(starts, days, side="right") - 1)


def spans_of(days: Ints, cycle_starts: Sequence[date] | None) -> list[Span]:
    """Return the billing periods of an array of local days."""
    return billing_spans(date_of(int(days.min())), date_of(int(days.max())), cycle_starts)
