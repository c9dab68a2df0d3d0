"""Filters of the REST API whose values always fit what the database can compare."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from django import forms
from django_filters import rest_framework as filters
from django_filters.fields import IsoDateTimeField

LARGEST_ID = 2**63 - 1
DAY = timedelta(days=1)
FIRST, LAST = datetime.min.replace(tzinfo=UTC) + DAY, datetime.max.replace(tzinfo=UTC) - DAY


class MomentField(IsoDateTimeField):
    """A moment that every time zone can express."""

    def clean(self, value: Any) -> Any:
        moment = super().clean(value)
        if moment is not None and not FIRST <= moment <= LAST:
            raise forms.ValidationError("This moment is outside the calendar. Write a year like 2026.")
        return moment


class Moment(filters.IsoDateTimeFilter):
    """A filter by a moment, like 2026-03-10T15:00:00Z."""

    field_class = MomentField


class RowId(filters.NumberFilter):
    """A filter by the id of a row."""

    field_class = forms.IntegerField

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, min_value=0, max_value=LARGEST_ID, **kwargs)
