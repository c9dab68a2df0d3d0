"""The ledger: prices and counterfactual are frozen, days may have 23 or 25 hours, nothing is written twice."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from billing.models import Interval, Scenario
from billing.selectors.ledger import load_of, read_ledger
from billing.selectors.tariffs import tariff_on, tariffs_by_day
from billing.services.ledger import Measured, Unmanaged, record, record_unmanaged
from depot.models import Depot, Quality
from depot.timegrid import TimeGrid, local_day_bounds
from tests.billing.money import DOCUMENT, at_local, fill, interval_at, make_tariff

DAY = date(2026, 3, 10)
pytestmark = pytest.mark.django_db


def day_grid(depot: Depot, day: date = DAY) -> TimeGrid:
    start_at, end_at = local_day_bounds(day, depot.tz)
    return TimeGrid(start_at, 15, (end_at - start_at) // timedelta(minutes=15))


def test_each_interval_has_the_price_of_its_hour(depot: Depot) -> None:
    tariff = make_tariff(depot)
    fill(depot, day_grid(depot), 40)
    cheap, dear = (interval_at(depot, at_local(depot, DAY, hour)) for hour in (15.75, 16))
    assert (cheap.import_price_per_kwh, dear.import_price_per_kwh) == (Decimal("0.1"), Decimal("0.3"))
    assert cheap.export_price_per_kwh == Decimal("0.05")
    assert cheap.tariff == tariff


def test_a_tariff_edited_later_changes_no_closed_interval(depot: Depot) -> None:
    tariff = make_tariff(depot)
    grid = day_grid(depot)
    fill(depot, grid, 40)
    before = list(Interval.objects.values())
    tariff.definition = DOCUMENT | {
        "energy": [{"id": "e", "label": "Energy", "prices": [{"id": "all", "price_per_kwh": 9}]}]
    }
    tariff.save()
    row = Measured(grid.start_at, 99, 0, 0, 0, 0, 0)
    assert record(depot, [row], grid.end_at) == 0
    assert list(Interval.objects.values()) == before


@pytest.mark.parametrize(("day", "steps"), [(date(2026, 3, 8), 92), (date(2026, 11, 1), 100)])
def test_a_day_with_a_clock_change_is_an_ordinary_day(depot: Depot, day: date, steps: int) -> None:
    make_tariff(depot)
    fill(depot, day_grid(depot, day), 40)
    dear = Interval.objects.filter(import_price_per_kwh=Decimal("0.3")).order_by("start_at")
    assert Interval.objects.count() == steps
    assert [depot.local(row.start_at).hour for row in dear] == [
        hour for hour in range(16, 21) for _ in range(4)
    ]


def test_each_day_takes_the_version_that_is_valid_on_it(depot: Depot) -> None:
    old = make_tariff(depot, date(2026, 1, 1), valid_to=date(2026, 3, 20))
    new = make_tariff(
        depot,
        DAY + timedelta(days=1),
        energy=[{"id": "e", "label": "Energy", "prices": [{"id": "all", "price_per_kwh": 0.5}]}],
    )
    grid = TimeGrid(day_grid(depot).start_at, 15, 192)
    fill(depot, grid, 40)
    found = set(Interval.objects.values_list("tariff", "import_price_per_kwh"))
    assert found == {(old.pk, Decimal("0.1")), (old.pk, Decimal("0.3")), (new.pk, Decimal("0.5"))}
    assert tariff_on(depot, DAY) == old
    versions = tariffs_by_day(depot, date(2025, 12, 31), date(2026, 1, 1))
    assert list(versions.values()) == [None, old]


def test_without_a_tariff_or_with_a_refused_one_energy_is_kept_and_the_price_is_unknown(depot: Depot) -> None:
    grid = TimeGrid(day_grid(depot).start_at, 15, 4)
    fill(depot, grid, 40)
    assert set(Interval.objects.values_list("tariff", "import_price_per_kwh", "import_kwh")) == {
        (None, None, 10)
    }
    later = TimeGrid(grid.end_at, 15, 1)
    refused = make_tariff(
        depot,
        energy=[{"id": "e", "label": "Energy", "series": {"factor": 1}}],
    )
    fill(depot, later, 40)
    assert interval_at(depot, later.start_at).tariff == refused
    assert interval_at(depot, later.start_at).import_price_per_kwh is None


def test_the_counterfactual_follows_until_it_is_final(depot: Depot) -> None:
    make_tariff(depot)
    grid = TimeGrid(day_grid(depot).start_at, 15, 2)
    fill(depot, grid, 40, 60, final=False)
    first, second = grid.times()
    changed = record_unmanaged(
        depot, [Unmanaged(first, 1, 20, 0, True), Unmanaged(second, 0, 15, 0, False)], first
    )
    assert changed == 1  # the second one is as it was
    assert record_unmanaged(depot, [Unmanaged(first, 1, 99, 0, True)], second) == 0
    frozen = interval_at(depot, first)
    assert (frozen.unmanaged_import_kwh, frozen.baseline_frozen_at) == (20, first)
    assert interval_at(depot, second).baseline_frozen_at is None
    assert record_unmanaged(depot, [], second) == 0


def test_a_gap_in_the_ledger_is_read_as_not_known_and_billed_as_estimated(depot: Depot) -> None:
    make_tariff(depot)
    grid = day_grid(depot)
    fill(depot, TimeGrid(grid.start_at, 15, 2), 40, 60)
    fill(depot, TimeGrid(grid.time_of(3), 15, 1), 40, 60, quality=Quality.ESTIMATED)
    ledger = read_ledger(depot, grid.start_at, grid.time_of(4))
    assert np.isnan(ledger.kwh("import_kwh")).tolist() == [False, False, True, False]
    assert ledger.estimated.tolist() == [False, False, False, True]
    assert ledger.cost()[0] == pytest.approx(1.0)
    assert ledger.cost(Scenario.UNMANAGED)[0] == pytest.approx(1.5)
    load = load_of(depot, grid.start_at, grid.end_at, Scenario.ACTUAL)
    assert load is not None
    assert load.estimated.tolist() == [False, False, True, True]
    assert load.import_kw.tolist() == [40, 40, 40, 40]
    assert load_of(depot, grid.end_at, grid.end_at + timedelta(days=1), Scenario.ACTUAL) is None


def test_depots_do_not_see_each_others_intervals(depot: Depot, other_depot: Depot) -> None:
    grid = day_grid(depot)
    fill(depot, grid, 40)
    fill(other_depot, grid, 70)
    assert read_ledger(depot, grid.start_at, grid.end_at).kwh("import_kwh").sum() == pytest.approx(960)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(order=st.permutations(list(range(8))), twice=st.lists(st.integers(0, 7), max_size=8))
def test_order_and_repetition_of_closing_make_no_difference(
    depot: Depot, order: list[int], twice: list[int]
) -> None:
    Interval.objects.all().delete()
    grid = TimeGrid(day_grid(depot).start_at, 15, 8)
    for index in [*order, *twice]:
        record(depot, [Measured(grid.time_of(index), float(index), 0, 0, 0, 0, 0)], grid.end_at)
    kwh = list(Interval.objects.order_by("start_at").values_list("import_kwh", flat=True))
    assert kwh == [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0]


def test_closing_a_week_takes_few_queries(depot: Depot, django_assert_max_num_queries) -> None:  # type: ignore[no-untyped-def]
    make_tariff(depot)
    grid = TimeGrid(day_grid(depot).start_at, 15, 672)
    rows = [Measured(at, 10, 0, 0, 0, 0, 0) for at in grid.times()]
    with django_assert_max_num_queries(
        24
    ):  # SQLite writes in batches of as many rows as it has variables for
        record(depot, rows, grid.end_at)
