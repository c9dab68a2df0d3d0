"""Bills from the ledger: the engine's own lines, final once, and the same as `manage.py bill` on the files."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
import time_machine
from django.core.management import CommandError, call_command
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from billing.models import Bill, Interval, SavingsStatement, Scenario
from billing.services.bills import BillingError, bill_month, wear_added
from depot.jobs import enqueue
from depot.jobs.services import run
from depot.models import Depot, Quality
from depot.timegrid import TimeGrid
from tests import factories
from tests.billing.money import DOCUMENT, fill, make_tariff, month_grid

FEBRUARY = date(2026, 2, 1)
NEXT = datetime(2026, 3, 9, tzinfo=UTC)
pytestmark = pytest.mark.django_db

URDB = {
    "name": "Commercial",
    "energyratestructure": [[{"rate": 0.123456, "adj": 0.00007}], [{"rate": 0.31}]],
    "energyweekdayschedule": [[0] * 16 + [1] * 5 + [0] * 3] * 12,
    "energyweekendschedule": [[0] * 24] * 12,
    "flatdemandstructure": [[{"rate": 7.7777}]],
    "flatdemandmonths": [0] * 12,
    "fixedchargefirstmeter": 3.1415,
    "fixedchargeunits": "$/day",
}


@pytest.fixture
def depot(db: None) -> Depot:
    """A depot of hours, so that a month is few rows."""
    return factories.make_depot(step_minutes=60)


def fill_month(depot: Depot, **more: Any) -> TimeGrid:
    """Fill February with 50 kW, and one hour of 90 kW; unmanaged, one of 150 kW."""
    grid = month_grid(depot, FEBRUARY)
    actual, unmanaged = [50.0] * grid.steps, [50.0] * grid.steps
    actual[100], unmanaged[200] = 90.0, 150.0
    fill(depot, grid, actual, unmanaged, **more)
    return grid


def command(name: str, *arguments: object) -> str:
    out = StringIO()
    call_command(name, *map(str, arguments), stdout=out)
    return out.getvalue()


def stored(statement: SavingsStatement) -> dict[str, Bill]:
    return {Scenario.ACTUAL: statement.actual, Scenario.UNMANAGED: statement.unmanaged}


def test_a_month_is_billed_both_ways_and_the_saving_explained(depot: Depot) -> None:
    make_tariff(depot)
    grid = fill_month(depot, wear=0.01)
    statement = bill_month(depot, FEBRUARY, NEXT)
    assert statement is not None
    energy = Decimal(str(50 * (grid.steps - 140) * 0.1 + 50 * 140 * 0.3)) + Decimal("4")
    assert statement.actual.total == energy + 900 + 100
    assert statement.unmanaged.total == energy + Decimal("6") + 1500 + 100
    assert statement.wear_added == wear_added(depot, grid.start_at, grid.end_at) == Decimal("6.72")
    assert statement.net_saving == Decimal("606") - Decimal("6.72")
    assert statement.actual.state == statement.unmanaged.state == Bill.State.FINAL
    peak = statement.unmanaged.peaks_kw["demand_flat.d.all"]
    assert peak == {"kw": "150.000", "at": depot.local(grid.time_of(200)).isoformat()}


def test_steps_add_up_exactly(depot: Depot) -> None:
    make_tariff(depot, definition=URDB)
    fill_month(depot, wear=0.0123)
    statement = bill_month(depot, FEBRUARY, NEXT)
    assert statement is not None
    first, *changes, last = statement.steps
    assert Decimal(first["amount"]) == statement.unmanaged.total
    assert Decimal(last["amount"]) == statement.actual.total + statement.wear_added
    assert sum(Decimal(step["amount"]) for step in changes) == Decimal(last["amount"]) - Decimal(
        first["amount"]
    )
    assert statement.net_saving == Decimal(first["amount"]) - Decimal(last["amount"])


def test_lines_finer_than_a_cent_are_stored_as_the_engine_made_them(depot: Depot) -> None:
    make_tariff(depot, definition=URDB)
    fill_month(depot)
    statement = bill_month(depot, FEBRUARY, NEXT)
    for bill in stored(statement).values():  # type: ignore[arg-type]
        bill.refresh_from_db()
        lines = list(bill.lines.all())
        assert any(line.amount != round(line.amount, 2) for line in lines)
        assert sum(line.amount for line in lines) == bill.total


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    powers=st.lists(st.floats(0, 400, allow_subnormal=False), min_size=1, max_size=8),
    export=st.floats(0, 80, allow_subnormal=False),
    decimals=st.integers(0, 6),
)
def test_the_sum_of_stored_lines_is_the_total(
    depot: Depot, powers: list[float], export: float, decimals: int
) -> None:
    for model in (SavingsStatement, Bill, Interval):
        model.objects.all().delete()
    depot.tariffs.all().delete()
    tax = {"id": "vat", "label": "VAT", "percent": 7.25}
    make_tariff(depot, line_decimals=decimals, taxes=[tax])
    grid = TimeGrid(month_grid(depot, FEBRUARY).start_at, 60, 8)
    fill(depot, grid, [powers[index % len(powers)] for index in range(8)], 300.0, export_kw=export)
    statement = bill_month(depot, FEBRUARY, grid.end_at)
    assert statement is not None
    for bill in stored(statement).values():
        bill.refresh_from_db()
        assert sum(line.amount for line in bill.lines.all()) == bill.total


def test_a_running_month_is_billed_again_and_says_how_far(depot: Depot) -> None:
    make_tariff(depot)
    month = month_grid(depot, FEBRUARY)
    half = TimeGrid(month.start_at, 60, 240)
    fill(depot, half, 50, 60)
    first = bill_month(depot, FEBRUARY, half.end_at)
    assert first is not None
    assert (first.actual.state, first.actual.covered_to) == (Bill.State.ESTIMATE, half.end_at)
    assert any("does not cover" in warning for warning in first.actual.warnings)
    fill(depot, TimeGrid(half.end_at, 60, 24), 50, 60)
    again = bill_month(depot, FEBRUARY, half.end_at + timedelta(days=1))
    assert again is not None
    assert again.pk == first.pk
    assert again.actual.total > first.actual.total
    assert Bill.objects.count() == 2
    assert again.actual.lines.count() == first.unmanaged.lines.count() == 4


def test_a_final_month_is_never_billed_again(depot: Depot) -> None:
    tariff = make_tariff(depot)
    fill_month(depot)
    final = bill_month(depot, FEBRUARY, NEXT)
    assert final is not None
    tariff.definition = URDB
    tariff.save()
    again = bill_month(depot, FEBRUARY, NEXT + timedelta(days=1))
    assert again is not None
    assert (again.pk, again.computed_at, again.net_saving) == (final.pk, final.computed_at, final.net_saving)


@pytest.mark.parametrize("missing", ["first interval", "last interval", "counterfactual"])
def test_a_month_that_is_not_fully_recorded_stays_an_estimate(depot: Depot, missing: str) -> None:
    make_tariff(depot)
    fill_month(depot)
    rows = Interval.objects.order_by("start_at")
    last = rows.first() if missing == "first interval" else rows.last()
    assert last is not None
    if missing != "counterfactual":
        last.delete()
    else:
        last.baseline_frozen_at = None
        last.save()
    statement = bill_month(depot, FEBRUARY, NEXT)
    assert statement is not None
    assert statement.actual.state == Bill.State.ESTIMATE


def test_an_estimated_interval_is_billed_but_sets_no_peak(depot: Depot) -> None:
    make_tariff(depot)
    grid = month_grid(depot, FEBRUARY)
    fill(depot, TimeGrid(grid.start_at, 60, 10), 50)
    fill(depot, TimeGrid(grid.time_of(10), 60, 1), 500, quality=Quality.ESTIMATED)
    statement = bill_month(depot, FEBRUARY, grid.time_of(11))
    assert statement is not None
    assert statement.actual.peaks_kw["demand_flat.d.all"]["kw"] == "50.000"
    assert statement.actual.lines.get(line_id="energy.e.off").quantity == 1000


def test_what_cannot_be_billed_is_refused_with_the_reason(depot: Depot) -> None:
    assert bill_month(depot, FEBRUARY, NEXT) is None
    fill_month(depot)
    with pytest.raises(BillingError, match="No tariff is valid"):
        bill_month(depot, FEBRUARY, NEXT)
    tariff = make_tariff(depot, energy=[{"id": "e", "label": "Energy", "series": {"factor": 1}}])
    with pytest.raises(BillingError, match="import_price_per_kwh"):
        bill_month(depot, FEBRUARY, NEXT)
    tariff.definition = URDB | {"coincidentratestructure": [[{"rate": 4}]]}
    tariff.save()
    with pytest.raises(BillingError, match="cannot be billed"):
        bill_month(depot, FEBRUARY, NEXT)
    tariff.definition = DOCUMENT | {"time_zone": "America/Los_Angeles"}
    tariff.save()
    with pytest.raises(BillingError, match="Set both to one time zone"):
        bill_month(depot, FEBRUARY, NEXT)
    assert Bill.objects.count() == 0


def test_a_month_that_cannot_be_billed_does_not_stop_the_other(depot: Depot) -> None:
    """A depot whose readings began before its tariff gets the bills that its tariff allows."""
    make_tariff(depot, valid_from=date(2026, 3, 1))
    fill_month(depot)
    march = month_grid(depot, date(2026, 3, 1))
    fill(depot, TimeGrid(march.start_at, 60, 24), 50.0, 60.0)
    with time_machine.travel(NEXT, tick=False):
        asked = enqueue("bill", depot, "w1")
        run(asked.pk, beat=False)
    asked.refresh_from_db()
    assert asked.state == "failed"
    assert asked.error.startswith("2026-02: No tariff is valid in this period.")
    assert set(Bill.objects.values_list("start_at", flat=True)) == {march.start_at}


@pytest.mark.parametrize("definition", [DOCUMENT, URDB], ids=["own format", "URDB"])
@pytest.mark.parametrize("scenario", Scenario.values)
def test_the_command_on_the_exported_files_gives_the_stored_bill(
    depot: Depot, tmp_path: Path, definition: dict[str, Any], scenario: str
) -> None:
    make_tariff(depot, definition=definition)
    fill_month(depot, export_kw=1.5)
    row = Interval.objects.order_by("start_at")[400]
    Interval.objects.filter(pk=row.pk).update(
        quality=Quality.ESTIMATED, import_kwh=900, unmanaged_import_kwh=800
    )
    Interval.objects.filter(pk__in=[row.pk + 40, row.pk + 41]).delete()
    statement = bill_month(depot, FEBRUARY, NEXT)
    assert statement is not None
    tariff_file, load_file = tmp_path / "tariff.json", tmp_path / "load.csv"
    command("export_tariff", depot.slug, "--on", "2026-02-28", "-o", tariff_file)
    command("export_ledger", depot.slug, "--month", "2026-02", "--scenario", scenario, "-o", load_file)
    answer = json.loads(command("bill", tariff_file, load_file, "--timezone", depot.time_zone, "--json"))
    bill = stored(statement)[scenario]
    assert answer["total"] == pytest.approx(float(bill.total), abs=1e-9)
    [period] = answer["periods"]
    assert {line["id"]: line["amount"] for line in period["lines"]} == {
        line.line_id: pytest.approx(float(line.amount)) for line in bill.lines.all()
    }
    assert {name: peak["kw"] for name, peak in period["peaks_kw"].items()} == {
        name: float(peak["kw"]) for name, peak in bill.peaks_kw.items()
    }


def test_exports_go_to_standard_output_and_name_what_is_missing(depot: Depot, tmp_path: Path) -> None:
    with pytest.raises(CommandError, match=r"no depot “nowhere”. Known: maple-street"):
        command("export_ledger", "nowhere", "--month", "2026-02")
    with pytest.raises(CommandError, match="no interval in February 2026"):
        command("export_ledger", depot.slug, "--month", "2026-02")
    with pytest.raises(CommandError, match="write it like 2026-10"):
        command("export_ledger", depot.slug, "--month", "October")
    with pytest.raises(CommandError, match="no tariff that is valid on 2025-01-01"):
        command("export_tariff", depot.slug, "--on", "2025-01-01")
    with pytest.raises(CommandError, match="write it like 2026-10-31"):
        command("export_tariff", depot.slug, "--on", "today")
    make_tariff(depot)
    assert json.loads(command("export_tariff", depot.slug)) == DOCUMENT
    with pytest.raises(CommandError, match="cannot be written"):
        command("export_tariff", depot.slug, "-o", tmp_path / "missing" / "tariff.json")
    fill(depot, TimeGrid(month_grid(depot, FEBRUARY).start_at, 60, 2), 50)
    assert command("export_ledger", depot.slug, "--month", "2026-02").splitlines() == [
        "start,import_kw,export_kw,estimated",
        "2026-02-01T00:00:00-05:00,50.0,0.0,0",
        "2026-02-01T01:00:00-05:00,50.0,0.0,0",
    ]


def test_billing_a_month_takes_a_fixed_number_of_queries(
    depot: Depot,
    django_assert_max_num_queries,  # type: ignore[no-untyped-def]
) -> None:
    make_tariff(depot)
    fill_month(depot)
    with django_assert_max_num_queries(44):
        bill_month(depot, FEBRUARY, NEXT)
    with django_assert_max_num_queries(1):
        bill_month(depot, FEBRUARY, NEXT)
