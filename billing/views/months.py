"""Months in addresses: 2026-10."""

from __future__ import annotations

from datetime import UTC, date, datetime

from django.http import Http404


def month_of(text: str) -> date:
    """Return the first day of a month written YYYY-MM; 404 for anything else."""
    try:
        month = datetime.strptime(text, "%Y-%m").replace(tzinfo=UTC).date()
        if not date.min.year < month.year < date.max.year:
            raise ValueError("the months beside it are outside the calendar")
    except ValueError as error:
        raise Http404(f"“{text}” is not a month. Write it like 2026-10.") from error
    return month
