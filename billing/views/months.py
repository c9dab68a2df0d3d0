"""Months in addresses: 2026-10."""

from __future__ import annotations

from datetime import UTC, date, datetime

from django.http import Http404

from depot.words import tr


def month_of(text: str) -> date:
    """Return the first day of a month written YYYY-MM; 404 for anything else."""
    try:
        month = datetime.strptime(text, "%Y-%m").replace(tzinfo=UTC).date()
        if not date.min.year < month.year < date.max.year:
            raise ValueError(tr("the months beside it are outside the calendar"))
    except ValueError as error:
        raise Http404(tr("“{text}” is not a month. Write it like 2026-10.", text=text)) from error
    return month
