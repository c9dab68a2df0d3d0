"""`Idempotency-Key`: a write that is sent again is answered again, and done once."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from django.db import transaction
from rest_framework.exceptions import APIException, ParseError
from rest_framework.request import Request

from depot import clock
from depot.models import Depot, IdempotencyKey

KEEP = timedelta(days=7)
LONGEST = 200


class KeyReused(APIException):
    """The same key came with another request."""

    status_code = 422
    default_code = "idempotency_key_reused"
    default_detail = "This Idempotency-Key was used for another request. Use a new key for new content."


def answered(request: Request) -> dict[str, Any] | None:
    """Return the stored answer of a request that was done already; None for a new one.

    What is slow can so be prepared before `once` opens its transaction, and not at all for a repeated request.
    """
    name = request.headers.get("Idempotency-Key", "")
    if not name:
        return None
    kept = {"created_at__gte": clock.wall_now() - KEEP, "digest": _digest(request)}
    row = IdempotencyKey.objects.filter(api_key=request.auth, key=name, **kept).first()
    return None if row is None else row.answer


def once(request: Request, write: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Run `write` in one transaction and return its answer; with the same key again, return the stored one.

    The key's row and what was written are committed together, so a crash leaves both or none; a second
    request with the key waits at the row of the first one. Keys count per API key, and for 7 days.
    """
    name = request.headers.get("Idempotency-Key", "")
    if not name:
        with transaction.atomic():
            return write()
    if len(name) > LONGEST or not name.isprintable():
        raise ParseError(f"Idempotency-Key must be at most {LONGEST} printable characters.")
    digest = _digest(request)
    now = clock.wall_now()
    with transaction.atomic():
        row = IdempotencyKey(api_key=request.auth, key=name, digest=digest, created_at=now)
        # Waits for another request with this key; an answer is there only when that one was committed.
        IdempotencyKey.objects.bulk_create([row], ignore_conflicts=True)
        row = IdempotencyKey.objects.select_for_update().get(api_key=request.auth, key=name)
        if row.created_at < now - KEEP:
            row.digest, row.answer, row.created_at = digest, {}, now
        if row.digest != digest:
            raise KeyReused
        if not row.answer:
            row.answer = write()
            row.save(update_fields=["digest", "answer", "created_at"])
        return row.answer


def forget(depot: Depot) -> int:
    """Delete the answers of a depot's keys that no longer count; return how many."""
    old = IdempotencyKey.objects.of_depot(depot).filter(created_at__lt=clock.wall_now() - KEEP)
    return old.delete()[0]


def _digest(request: Request) -> str:
    content = f"{request.method} {request.get_full_path()}\n".encode() + request.body
    return hashlib.sha256(content).hexdigest()
