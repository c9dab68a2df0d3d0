"""Tables of readings of which PostgreSQL keeps each month in a partition of its own; on SQLite they stay one table.

Django sees one table either way: names, columns and constraints are those it expects. Only the primary key is
(id, moment) on PostgreSQL, as it asks of a partitioned table; ids come from one sequence all the same.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from django.db import OperationalError, connection, transaction
from django.db.backends.base.base import BaseDatabaseWrapper

MOMENT = "observed_at"
BEHIND = 13
"""Months before this one that there always are: what is older than a year is refused at the door."""
AHEAD = 3
"""Months after this one that there always are: the nightly job may fail for long before one is missing."""
MOST_BEHIND = 120
"""Months before this one at most when a table is split, however old a row claims to be."""
PATIENCE = "500ms"
"""Less than PostgreSQL waits before it looks for deadlocks: if somebody has to give way, it is never a writer."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, order=True)
class Month:
    """A calendar month in UTC."""

    year: int
    month: int

    @property
    def begin(self) -> datetime:
        """Return its first moment."""
        return datetime(self.year, self.month, 1, tzinfo=UTC)

    @property
    def end(self) -> datetime:
        """Return the first moment after it."""
        return self.later(1).begin

    def later(self, months: int) -> Month:
        """Return the month that is so many after this one."""
        year, month = divmod(self.year * 12 + self.month - 1 + months, 12)
        return Month(year, month + 1)

    def partition(self, table: str) -> str:
        """Return the name of a table's partition; names sort as months do."""
        return f"{table}_{self.year:04d}_{self.month:02d}"


def month_of(moment: datetime) -> Month:
    """Return the month a moment lies in."""
    moment = moment.astimezone(UTC)
    return Month(moment.year, moment.month)


def months_needed(now: datetime, oldest: datetime | None = None) -> list[Month]:
    """Return the months there must be: from `BEHIND` before now, or that of `oldest`, to `AHEAD` after now."""
    this = month_of(now)
    first = this.later(-BEHIND)
    if oldest is not None:
        first = min(first, max(month_of(oldest), this.later(-MOST_BEHIND)))
    months = [first]
    while months[-1] < this.later(AHEAD):
        months.append(months[-1].later(1))
    return months


def ensure_partitions(tables: Sequence[str], now: datetime) -> None:
    """Make the months that are missing, and drop the old ones that are empty.

    What others hold locked for longer than `PATIENCE` is left for the next night.
    """
    if connection.vendor != "postgresql":
        return
    for table in tables:
        try:
            _make_missing(table, months_needed(now))
            _drop_empty(table, months_needed(now)[0])
        except OperationalError:
            logger.warning("Partitions of %s are in use; the next night tries again.", table, exc_info=True)


def _make_missing(table: str, needed: Sequence[Month]) -> None:
    with connection.cursor() as cursor:
        if not _missing(cursor, table, needed):
            return
    with transaction.atomic(), connection.cursor() as cursor:
        _lock(cursor, table, "SHARE UPDATE EXCLUSIVE")  # the jobs of other depots wait here, and find it done
        missing = _missing(cursor, table, needed)
        _lock(cursor, _rest(table), "ACCESS EXCLUSIVE")  # no row of these months gets into it any more
        for month in missing:
            _attach(cursor, table, month)
        cursor.execute(
            f"ANALYZE {_q(table)}"
        )  # PostgreSQL does so for months, never for the table above them


def _attach(cursor: Any, table: str, month: Month) -> None:
    """Make a month beside the table, take its rows out of the rest, and attach it: no reader ever misses one."""
    name, rest = _q(month.partition(table)), _q(_rest(table))
    cursor.execute(f"CREATE TABLE {name} (LIKE {_q(table)} INCLUDING DEFAULTS INCLUDING CONSTRAINTS)")
    cursor.execute(
        f"WITH moved AS (DELETE FROM {rest} WHERE {MOMENT} >= %s AND {MOMENT} < %s RETURNING *)"  # noqa: S608
        f" INSERT INTO {name} SELECT * FROM moved",
        [month.begin, month.end],
    )
    cursor.execute(f"ALTER TABLE {_q(table)} ATTACH PARTITION {name} {_bounds(month)}")


def _drop_empty(table: str, before: Month) -> None:
    with connection.cursor() as cursor:
        old = [name for name in _partitions(cursor, table) if name < before.partition(table)]
        empty = [name for name in old if _is_empty(cursor, name)]
    for name in empty:
        with transaction.atomic(), connection.cursor() as cursor:
            _lock(cursor, table, "ACCESS EXCLUSIVE")
            if name in _partitions(cursor, table) and _is_empty(cursor, name):
                cursor.execute(f"DROP TABLE {_q(name)}")


def split(database: BaseDatabaseWrapper, table: str, now: datetime) -> None:
    """Split a table into months, for a migration: every row, name, constraint and index stays."""
    with database.cursor() as cursor:
        rules = _rules(cursor, table)
        whole = _set_aside(cursor, table, f"PARTITION BY RANGE ({MOMENT})")
        cursor.execute(f"CREATE TABLE {_q(_rest(table))} PARTITION OF {_q(table)} DEFAULT")
        cursor.execute(f"SELECT min({MOMENT}) FROM {_q(whole)}")  # noqa: S608
        for month in months_needed(now, cursor.fetchone()[0]):
            name = _q(month.partition(table))
            cursor.execute(f"CREATE TABLE {name} PARTITION OF {_q(table)} {_bounds(month)}")
        _take_over(cursor, table, whole)
        _apply(cursor, table, f"id, {MOMENT}", rules)


def unite(database: BaseDatabaseWrapper, table: str) -> None:
    """Make one table of the months again, for a migration that is taken back."""
    with database.cursor() as cursor:
        rules = _rules(cursor, table)
        months = _set_aside(cursor, table)
        _take_over(cursor, table, months)
        _apply(cursor, table, "id", rules)


def _rules(cursor: Any, table: str) -> list[str]:
    """Return the statements that give a table its constraints and indexes, but for the primary key."""
    cursor.execute(
        "SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint"
        " WHERE conrelid = %s::regclass AND contype IN ('u', 'f') ORDER BY contype DESC, conname",
        [_q(table)],
    )
    rules = [f"ALTER TABLE {_q(table)} ADD CONSTRAINT {_q(name)} {rule}" for name, rule in cursor.fetchall()]
    cursor.execute(
        "SELECT pg_get_indexdef(indexrelid) FROM pg_index WHERE indrelid = %s::regclass"
        " AND NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = indexrelid AND contype IN ('p', 'u'))",
        [_q(table)],
    )
    return rules + [rule.replace(" ON ONLY ", " ON ", 1) for (rule,) in cursor.fetchall()]


def _set_aside(cursor: Any, table: str, how: str = "") -> str:
    """Rename a table, make one like it in its place, and return the old one's new name."""
    old = f"{table}_old"
    cursor.execute(f"ALTER TABLE {_q(table)} RENAME TO {_q(old)}")
    cursor.execute(f"ALTER SEQUENCE {_q(_ids(table))} RENAME TO {_q(_ids(old))}")
    like = f"LIKE {_q(old)} INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING IDENTITY"
    cursor.execute(f"CREATE TABLE {_q(table)} ({like}) {how}")
    return old


def _take_over(cursor: Any, table: str, old: str) -> None:
    """Copy all rows, go on with the ids, and drop the old table."""
    cursor.execute(f"INSERT INTO {_q(table)} SELECT * FROM {_q(old)}")  # noqa: S608
    cursor.execute(
        f"SELECT setval(%s::regclass, greatest(last_value, newest), is_called OR newest > 0)"  # noqa: S608
        f" FROM {_q(_ids(old))}, (SELECT coalesce(max(id), 0) AS newest FROM {_q(table)}) AS rows",
        [_q(_ids(table))],
    )
    cursor.execute(f"DROP TABLE {_q(old)}")


def _apply(cursor: Any, table: str, key: str, rules: Sequence[str]) -> None:
    cursor.execute(f"ALTER TABLE {_q(table)} ADD CONSTRAINT {_q(table + '_pkey')} PRIMARY KEY ({key})")
    for rule in rules:
        cursor.execute(rule)
    cursor.execute(f"ANALYZE {_q(table)}")


def _missing(cursor: Any, table: str, needed: Sequence[Month]) -> list[Month]:
    there = _partitions(cursor, table)
    return [month for month in needed if month.partition(table) not in there]


def _partitions(cursor: Any, table: str) -> set[str]:
    """Return the names of a table's months."""
    cursor.execute(
        "SELECT relname FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid"
        " WHERE inhparent = %s::regclass AND relname <> %s",
        [_q(table), _rest(table)],
    )
    return {name for (name,) in cursor.fetchall()}


def _is_empty(cursor: Any, name: str) -> bool:
    cursor.execute(f"SELECT NOT EXISTS (SELECT FROM {_q(name)})")  # noqa: S608
    return bool(cursor.fetchone()[0])


def _lock(cursor: Any, table: str, mode: str) -> None:
    cursor.execute(f"SET LOCAL lock_timeout = '{PATIENCE}'")
    cursor.execute(f"LOCK TABLE ONLY {_q(table)} IN {mode} MODE")


def _bounds(month: Month) -> str:
    return f"FOR VALUES FROM ('{month.begin.isoformat()}') TO ('{month.end.isoformat()}')"


def _rest(table: str) -> str:
    """Return the name of the partition of all rows that have no month."""
    return f"{table}_rest"


def _ids(table: str) -> str:
    return f"{table}_id_seq"


def _q(name: str) -> str:
    return f'"{name}"'
