"""API keys: made once, shown once, kept as a digest."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from depot import audit, clock
from depot.models import ApiKey, Depot, Scope, User

LIFETIME = timedelta(days=365)
LONGEST_LIFETIME = timedelta(days=3650)


def digest(raw: str) -> str:
    return hashlib.sha256(raw.encode()).hexdigest()


def expiry_problem(expires_at: datetime) -> str | None:
    """Say what is wrong with the end of a new key, or None: it lies ahead, by ten years at most."""
    now = clock.wall_now()
    if expires_at <= now:
        return "This moment is over already. Enter one that lies ahead."
    if expires_at > now + LONGEST_LIFETIME:
        return f"A key lives {LONGEST_LIFETIME.days:,} days at most. Enter an earlier moment."
    return None


def make_key(
    depot: Depot,
    name: str,
    scopes: Sequence[str],
    created_by: User | None = None,
    expires_at: datetime | None = None,
) -> tuple[ApiKey, str]:
    """Make a key and return it with its only readable copy.

    Unknown or no scopes, and an end that is over or more than ten years ahead, raise ValueError.
    """
    if not scopes:
        raise ValueError(f"A key needs a scope. Known: {', '.join(Scope.values)}.")
    unknown = set(scopes) - set(Scope.values)
    if unknown:
        raise ValueError(f"Unknown scopes: {', '.join(sorted(unknown))}. Known: {', '.join(Scope.values)}.")
    problem = expiry_problem(expires_at) if expires_at is not None else None
    if problem:
        raise ValueError(problem)
    prefix = f"dk{secrets.token_hex(4)}"
    raw = f"{prefix}.{secrets.token_urlsafe(32)}"
    now = clock.wall_now()
    key = ApiKey.objects.create(
        depot=depot,
        name=name,
        prefix=prefix,
        digest=digest(raw),
        scopes=sorted(set(scopes)),
        created_at=now,
        created_by=created_by,
        expires_at=expires_at or now + LIFETIME,
    )
    sentence = f"{created_by or 'The program'} made the API key {key} for {', '.join(key.scopes)}."
    audit.record(depot, created_by, "key.made", sentence, key=key.pk, scopes=key.scopes)
    return key, raw


def revoke(key: ApiKey, by: User) -> None:
    """End a key at once."""
    ended = ApiKey.objects.filter(pk=key.pk, revoked_at__isnull=True).update(revoked_at=clock.wall_now())
    if ended:
        audit.record(key.depot, by, "key.revoked", f"{by} revoked the API key {key}.", key=key.pk)


@dataclass(frozen=True, slots=True)
class KeyUser:
    """Stands for the program that holds an API key, where Django expects a user."""

    key: ApiKey
    is_authenticated: bool = True
    is_active: bool = True
    is_superuser: bool = False
    is_anonymous: bool = False

    @property
    def pk(self) -> str:
        return f"key-{self.key.pk}"

    def depot_ids(self) -> list[int]:
        return [self.key.depot_id]

    def __str__(self) -> str:
        return f"API key {self.key.name}"


def find_key(raw: str) -> ApiKey | None:
    """Return the live key that `raw` is, or None when it is unknown, revoked or expired."""
    prefix, dot, _ = raw.partition(".")
    if not dot:
        return None
    key = ApiKey.objects.select_related("depot").filter(prefix=prefix).first()
    if key is None or not secrets.compare_digest(key.digest, digest(raw)):
        return None
    now = clock.wall_now()
    if key.revoked_at is not None or key.expires_at <= now:
        return None
    if key.last_used_at is None or now - key.last_used_at > timedelta(minutes=1):
        ApiKey.objects.filter(pk=key.pk).update(last_used_at=now)
    return key
