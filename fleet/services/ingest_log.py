"""Keep for two weeks what became of every batch of telemetry."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Protocol

from depot.models import Depot
from depot.words import tr
from fleet.models import IngestBatch

KEEP = timedelta(days=14)
MOST_PROBLEMS = 10
LONGEST_ITEM = 1_000
PLAIN = ("accepted", "duplicate", "late")
"""Codes that say nothing is wrong."""


class Result(Protocol):
    """What became of one item."""

    @property
    def status(self) -> str: ...
    @property
    def code(self) -> str: ...
    @property
    def message(self) -> str: ...


def log_batch(
    depot: Depot, sender: str, raw_items: Sequence[object], results: Sequence[Result], now: datetime
) -> None:
    """Write one line for a batch; an empty one leaves none."""
    if not results:
        return
    statuses = Counter(result.status for result in results)
    wrong = [index for index, result in enumerate(results) if result.code not in PLAIN]
    problems = [_problem(index, results[index], raw_items[index]) for index in wrong[:MOST_PROBLEMS]]
    IngestBatch.objects.create(
        depot=depot,
        received_at=now,
        sender=sender[:120],
        items=len(results),
        **{name: statuses[name] for name in ("accepted", "duplicate", "late", "rejected", "quarantined")},
        implausible=sum(result.code == "implausible" for result in results),
        first_problem=_sentence(problems[0])[:300] if problems else "",
        problems=problems,
    )


def forget_batches(depot: Depot, now: datetime) -> int:
    """Delete the lines older than two weeks; return how many went."""
    return IngestBatch.objects.of_depot(depot).filter(received_at__lt=now - KEEP).delete()[0]


def _problem(index: int, result: Result, raw: object) -> dict[str, Any]:
    sent = json.dumps(raw, ensure_ascii=True)[:LONGEST_ITEM]
    return {"index": index, "code": result.code, "message": result.message, "item": sent}


def _sentence(problem: Mapping[str, Any]) -> str:
    return tr("Item {index}: {message}", index=problem["index"], message=problem["message"])
