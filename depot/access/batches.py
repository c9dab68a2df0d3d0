"""The envelope of a batch: a JSON list of items, or an object that holds it under "items"."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import fields
from typing import Any, Protocol

from rest_framework import serializers
from rest_framework.exceptions import APIException, ParseError
from rest_framework.request import Request

LONGEST = 1_000
STATUSES = ("accepted", "duplicate", "late", "rejected", "quarantined")


class TooManyItems(APIException):
    status_code = 413
    default_code = "too_many_items"
    default_detail = f"A batch holds at most {LONGEST:,} items. Split it."


class Result(Protocol):
    """A dataclass with what became of one item."""

    status: str
    code: str
    message: str


class ItemResult(serializers.Serializer):
    """What became of one item."""

    index = serializers.IntegerField(help_text="The item's place in the batch, from 0.")
    status = serializers.ChoiceField(choices=STATUSES)
    code = serializers.CharField(help_text="Stable, for programs.")
    message = serializers.CharField(help_text="For people; empty when all is well.")


class BatchAnswer(serializers.Serializer):
    """What became of a batch; sent only after everything is stored."""

    counts = serializers.DictField(child=serializers.IntegerField(), help_text="How many of each status.")
    results = ItemResult(many=True)


def read_items(request: Request) -> list[object]:
    """Return the items of a batch; refuse an envelope that is no list and more than 1,000 items."""
    try:
        data = request.data
    except RecursionError as error:
        raise ParseError("The JSON is nested too deeply.") from error
    if isinstance(data, dict) and set(data) == {"items"}:
        data = data["items"]
    if not isinstance(data, list):
        raise ParseError('Send a JSON list of items, or an object with nothing but "items".', "envelope")
    if len(data) > LONGEST:
        raise TooManyItems
    return data


def answer(results: Sequence[Any]) -> dict[str, Any]:
    """Return the counts and the per-item results as the API answers them."""
    counts = Counter(result.status for result in results)
    names = [field.name for field in fields(results[0])] if results else []
    return {
        "counts": {status: counts[status] for status in STATUSES},
        "results": [
            {"index": index} | {name: getattr(result, name) for name in names}
            for index, result in enumerate(results)
        ],
    }
