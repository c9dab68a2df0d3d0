"""Readings lie in a partition for each month on PostgreSQL, whatever is missing, late or taken back."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection

from depot.models import MeterReading
from depot.partitions import BEHIND, Month, ensure_partitions, months_needed, split, unite
from fleet.models import TelemetryReading, Vehicle
from tests import factories

TABLE = TelemetryReading._meta.db_table
TABLES = (TABLE, MeterReading._meta.db_table)
NOW = datetime(2026, 11, 28, 12, 0, tzinfo=UTC)
RULES = (
    "SELECT conname, replace(pg_get_constraintdef(oid), ', observed_at)', ')') FROM pg_constraint"
    " WHERE conrelid = %s::regclass AND contype IN ('u', 'f')"
    " UNION SELECT relname, '' FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid"
    " WHERE indrelid = %s::regclass ORDER BY 1, 2"
)

on_postgresql = pytest.mark.skipif(
    "connection.vendor != 'postgresql'", reason="only PostgreSQL has partitions"
)


@pytest.fixture
def months(db: None) -> None:
    """Have just the months around NOW; they are taken back with the test's transaction."""
    again(NOW)


@pytest.fixture
def months_for_all(transactional_db: None) -> Iterator[None]:
    """Have just the months around NOW for other connections, too, and afterwards those around today again."""
    again(NOW)
    yield
    again(datetime.now(UTC))


def again(now: datetime) -> None:
    for table in TABLES:
        unite(connection, table)
        split(connection, table, now)


def bus() -> Vehicle:
    return factories.make_vehicle(factories.make_depot("Partitions"))


def say(vehicle: Vehicle, *moments: datetime) -> None:
    TelemetryReading.objects.bulk_create(
        TelemetryReading(vehicle=vehicle, observed_at=at, received_at=at, source="test", soc=0.5)
        for at in moments
    )
    connection.check_constraints()  # a table with rows that are not checked yet cannot be altered


def lines(statement: str, *params: object) -> list[tuple]:
    with connection.cursor() as cursor:
        cursor.execute(statement, params)
        return cursor.fetchall()


def places() -> list[str]:
    """Return the partition of each reading, oldest first."""
    return [row[0] for row in lines(f"SELECT tableoid::regclass::text FROM {TABLE} ORDER BY observed_at")]  # noqa: S608


def partitions(table: str = TABLE) -> set[str]:
    found = lines("SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = %s::regclass", table)
    return {name for (name,) in found}


def test_months_needed_reach_from_thirteen_before_to_three_after() -> None:
    needed = months_needed(NOW)
    assert (needed[0], needed[-1], len(needed)) == (Month(2025, 10), Month(2027, 2), BEHIND + 1 + 3)
    assert [month.end for month in needed[:-1]] == [month.begin for month in needed[1:]]
    assert needed[2].partition("t") == "t_2025_12"


def test_an_older_row_makes_earlier_months_but_not_without_end() -> None:
    assert months_needed(NOW, datetime(2024, 3, 31, 23, tzinfo=UTC))[0] == Month(2024, 3)
    assert months_needed(NOW, NOW)[0] == Month(2025, 10)
    assert months_needed(NOW, datetime(1970, 1, 1, tzinfo=UTC))[0] == Month(2016, 11)


def test_a_month_is_one_of_utc() -> None:
    in_new_york = datetime.fromisoformat("2026-10-31T22:00:00-04:00")
    assert months_needed(in_new_york)[BEHIND] == Month(2026, 11)


@on_postgresql
def test_rows_go_into_their_month_and_others_into_the_rest(months: None) -> None:
    say(
        bus(),
        NOW - timedelta(days=4000),
        Month(2026, 10).end - timedelta(microseconds=1),
        Month(2026, 11).begin,
    )
    assert places() == [f"{TABLE}_rest", f"{TABLE}_2026_10", f"{TABLE}_2026_11"]


@on_postgresql
def test_a_day_is_looked_for_in_its_month_only(months: None) -> None:
    rows = TelemetryReading.objects.filter(observed_at__gte=NOW, observed_at__lt=NOW + timedelta(days=1))
    plan = rows.explain()
    assert f"{TABLE}_2026_11" in plan
    assert not [name for name in partitions() - {f"{TABLE}_2026_11"} if name in plan]


@on_postgresql
def test_ids_are_unique_over_all_months_and_go_on(months: None) -> None:
    vehicle = bus()
    say(vehicle, *(NOW - timedelta(days=30 * back) for back in range(10)))
    before = set(TelemetryReading.objects.values_list("pk", flat=True))
    again(NOW)
    say(vehicle, NOW + timedelta(hours=1))
    after = set(TelemetryReading.objects.values_list("pk", flat=True))
    assert len(before) == 10
    assert len(after) == 11
    assert max(after) > max(before)


@on_postgresql
@pytest.mark.parametrize("table", TABLES)
def test_there_and_back_every_row_and_every_name_stays(months: None, table: str) -> None:
    say(bus(), NOW - timedelta(days=4000), NOW - timedelta(days=700), NOW)
    rows = list(TelemetryReading.objects.order_by("pk").values())
    rules = lines(RULES, table, table)
    unite(connection, table)
    assert partitions(table) == set()
    assert lines(RULES, table, table) == rules
    assert list(TelemetryReading.objects.order_by("pk").values()) == rows
    split(connection, table, NOW)
    assert lines(RULES, table, table) == rules
    assert list(TelemetryReading.objects.order_by("pk").values()) == rows


@on_postgresql
def test_the_row_before_the_first_month_gets_its_own_when_a_table_is_split(months: None) -> None:
    say(bus(), NOW - timedelta(days=700))
    again(NOW)
    assert places() == [f"{TABLE}_2024_12"]


@on_postgresql
def test_a_month_that_was_missing_takes_its_rows_out_of_the_rest(months: None) -> None:
    later = Month(2027, 8)
    say(bus(), NOW, later.begin, later.end)
    ids = set(TelemetryReading.objects.values_list("pk", flat=True))
    assert places()[1:] == [f"{TABLE}_rest"] * 2
    ensure_partitions(TABLES, later.begin)
    assert places()[1:] == [later.partition(TABLE), later.later(1).partition(TABLE)]
    assert set(TelemetryReading.objects.values_list("pk", flat=True)) == ids
    indexed = lines("SELECT indexdef FROM pg_indexes WHERE tablename = %s", later.partition(TABLE))
    assert sum("brin" in index for (index,) in indexed) == 1
    assert len(indexed) == 3


@on_postgresql
def test_a_month_is_there_before_it_begins(months: None) -> None:
    for later in range(0, 9, 2):
        month = Month(2026, 11).later(later)
        ensure_partitions(TABLES, month.begin)
        assert all(month.later(ahead).partition(TABLE) in partitions() for ahead in (1, 2, 3))


@on_postgresql
def test_old_months_go_when_they_are_empty(months: None) -> None:
    say(bus(), Month(2025, 11).begin)
    ensure_partitions(TABLES, Month(2027, 6).begin)
    assert f"{TABLE}_2025_10" not in partitions()
    assert f"{TABLE}_2025_11" in partitions()
    assert f"{TABLE}_2026_04" not in partitions()
    assert f"{TABLE}_2026_05" in partitions()
    assert TelemetryReading.objects.count() == 1


@on_postgresql
def test_what_is_in_use_is_left_for_the_next_night(months_for_all: None) -> None:
    other = connection.copy()
    try:
        other.set_autocommit(False)
        with other.cursor() as cursor:
            cursor.execute(f"SELECT 1 FROM {TABLE}_rest")  # noqa: S608
        ensure_partitions(TABLES, Month(2027, 1).begin)
        assert Month(2027, 4).partition(TABLE) not in partitions()
    finally:
        other.rollback()
        other.close()
    ensure_partitions(TABLES, Month(2027, 1).begin)
    assert Month(2027, 4).partition(TABLE) in partitions()


@on_postgresql
def test_again_nothing_is_asked_but_which_months_there_are(
    months: None, django_assert_max_num_queries
) -> None:
    with django_assert_max_num_queries(2 * len(TABLES)):
        ensure_partitions(TABLES, NOW)


def test_one_table_stays_one_where_there_are_no_partitions(db: None) -> None:
    if connection.vendor == "postgresql":
        pytest.skip("PostgreSQL has partitions")
    ensure_partitions(TABLES, NOW)
    assert not [name for name in connection.introspection.table_names() if name.startswith(TABLE + "_")]
