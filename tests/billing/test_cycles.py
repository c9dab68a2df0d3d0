"""Billing cycles that are no calendar months: billed, prorated, closed, looked back on and planned by one calendar."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable
from datetime import date, timedelta
from decimal import Decimal
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.test import Client

from billing.models import Bill, KnownPeak, SavingsBand, SavingsStatement, Scenario
from billing.selectors.bills_inputs import inputs_of
from billing.selectors.charge_only import charge_only_bill
from billing.selectors.history import earlier_peaks
from billing.selectors.prices import prices_for
from billing.selectors.tariffs import parsed
from billing.services import close
from billing.services.bills import bill_month
from depot.models import Depot, User
from depot.timegrid import TimeGrid
from tests import factories
from tests.billing.money import at_local, fill, make_tariff
from tests.billing.test_pages import text_of
from tests.depot.admin_forms import address, errors_of, form_of

Login = Callable[[User], Client]
JANUARY, FEBRUARY, MARCH, APRIL = (date(2026, month, 1) for month in (1, 2, 3, 4))
RATCHET: dict[str, Any] = {
    "id": "d",
    "label": "Demand",
    "metering_minutes": 60,
    "prices": [{"id": "all", "price_per_kw": 10}],
    "ratchet": {"percent": 80, "months_back": 11},
}
PRORATION = {"standard_days": 30, "whole_from_days": 27, "whole_to_days": 33}
pytestmark = pytest.mark.django_db


@pytest.fixture
def depot(db: None) -> Depot:
    """A depot whose meter is read on the 9th since March; its steps are hours, so that a cycle is few rows."""
    return factories.make_depot(step_minutes=60, meter_reading_day=9, meter_read_since=MARCH)


def day_at(depot: Depot, day: date, kw: float, unmanaged_kw: float = 0.0) -> None:
    fill(depot, TimeGrid(at_local(depot, day, 0), 60, 24), kw, unmanaged_kw)


def test_a_cycle_is_billed_prorated_and_closed_and_its_files_make_the_bill_again(
    depot: Depot, manager: User, login: Login, tmp_path: Path, time_machine: Any
) -> None:
    make_tariff(depot, proration=PRORATION)
    day_at(depot, date(2026, 3, 7), 90)  # still February's cycle
    day_at(depot, date(2026, 3, 9), 50)
    day_at(depot, date(2026, 4, 8), 50)
    day_at(depot, date(2026, 4, 9), 500)  # April's
    now = at_local(depot, date(2026, 4, 9), 24)
    time_machine.move_to(now, tick=False)
    assert close.last_two(depot, now) == [MARCH, APRIL]
    assert close.open_months(depot, now) == [FEBRUARY, MARCH, APRIL]

    february, march = bill_month(depot, FEBRUARY, now), close.close_month(depot, MARCH, now, manager)

    assert february is not None
    fixed = february.actual.lines.get(line_id="fixed.meter")
    assert fixed.amount == 120, "36 days are 36/30 of a month"
    assert march.actual.lines.get(line_id="fixed.meter").amount == 100, "31 days are a month"
    assert march.actual.lines.get(line_id="demand_flat.d.all").quantity == 50
    bounds = (march.start_at, march.end_at)
    assert bounds == (at_local(depot, date(2026, 3, 9), 0), at_local(depot, date(2026, 4, 9), 0))
    assert close.final_months(depot, now) == [MARCH]
    text = text_of(login(manager), f"/{depot.slug}/bills/2026-03/")
    assert "March (9 Mar to 8 Apr) cost" in text
    assert "In March (9 Mar to 8 Apr)" in text_of(login(manager), f"/{depot.slug}/savings/?month=2026-03")
    packed = login(manager).get(f"/{depot.slug}/bills/2026-03/inputs.zip").content
    with zipfile.ZipFile(io.BytesIO(packed)) as archive:
        archive.extractall(tmp_path)
    command = next(
        line for line in (tmp_path / "README.txt").read_text().splitlines() if "manage.py bill" in line
    )
    assert "--cycle-start 2026-03-09 --cycle-start 2026-04-09" in command
    words = [str(tmp_path / word) if (tmp_path / word).exists() else word for word in command.split()[2:]]
    out = StringIO()
    call_command("bill", *words, stdout=out)
    assert Decimal(str(json.loads(out.getvalue())["total"])) == march.actual.total


def test_planner_and_bill_look_back_on_the_same_cycles_and_share_the_running_one(depot: Depot) -> None:
    row = make_tariff(depot, JANUARY, demand=[RATCHET], proration=PRORATION)
    KnownPeak.objects.create(depot=depot, charge="d", month=date(2025, 12, 1), kw=150)
    day_at(depot, date(2026, 1, 15), 100)
    day_at(depot, date(2026, 3, 5), 200)  # February's cycle
    day_at(depot, date(2026, 3, 20), 90)
    day_at(depot, date(2026, 4, 9), 70)
    version = parsed(row)

    found = earlier_peaks(depot, [version], date(2026, 4, 9), Scenario.ACTUAL)

    assert found == {
        "d": {date(2025, 12, 1): 150, JANUARY: 100, FEBRUARY: 200, date(2026, 3, 9): 90},
    }
    inputs = inputs_of(depot, [version], *depot.cycles.bounds(APRIL), Scenario.ACTUAL)
    assert inputs is not None and inputs.peaks == found
    now = at_local(depot, date(2026, 4, 10), 0)
    [charge] = prices_for(depot, TimeGrid(now, 60, 24), now).demand_charges
    assert charge["billed_kw_so_far"] == [160.0], "80 % of the 200 kW of 5 March"
    late = at_local(depot, date(2026, 5, 8), 0)
    [charge] = prices_for(depot, TimeGrid(late, 60, 48), late).demand_charges
    assert len(charge["billed_kw_so_far"]) == 2, "the next cycle begins on 9 May"
    statement = bill_month(depot, APRIL, now)
    assert statement is not None and statement.actual.projected_total is not None
    between = charge_only_bill(depot, statement)
    assert between is not None
    [line] = [line for line in between.result.periods[-1].lines if line.id.startswith("demand")]
    assert line.quantity == 160


def test_another_reading_day_drops_the_estimates_and_never_what_is_final(
    depot: Depot, manager: User, login: Login
) -> None:
    Depot.objects.filter(pk=depot.pk).update(meter_reading_day=1, meter_read_since=None)
    depot.refresh_from_db()
    make_tariff(depot)
    for day in (date(2026, 2, 10), date(2026, 3, 10)):
        day_at(depot, day, 50)
    now = at_local(depot, date(2026, 3, 11), 0)
    close.close_month(depot, FEBRUARY, now, manager)
    running = bill_month(depot, MARCH, now)
    assert running is not None
    SavingsBand.objects.create(
        depot=depot, start_at=running.start_at, low=1, high=2, cases=[], computed_at=now
    )
    browser = login(User.objects.create_superuser("root", password="correct horse battery"))
    page = browser.get(address(Depot, "change", depot.pk))

    def said(day: str, since: str) -> str:
        values = form_of(page) | {"meter_reading_day": day, "meter_read_since": since}
        return errors_of(browser.post(page.request["PATH_INFO"], values))

    assert "February 2026 was billed by other cycles, and that stays" in said("9", "")
    assert "February 2026 was billed by other cycles" in said("9", "2026-03-01"), "it would end on 9 March"
    assert "Enter the first day of the month" in said("9", "2026-04-02")
    assert "less than or equal to 28" in said("29", "2026-04-01")
    assert Bill.objects.count() == 4
    assert said("9", "2026-04-01") == ""
    assert [row.start_at for row in SavingsStatement.objects.all()] == [depot.cycles.bounds(FEBRUARY)[0]]
    assert Bill.objects.count() == 2 and not SavingsBand.objects.exists()
    depot.refresh_from_db()
    again = bill_month(depot, MARCH, now)
    assert again is not None and again.end_at == at_local(depot, date(2026, 4, 9), 0)
    assert again.end_at - again.start_at > timedelta(days=38)


def test_a_single_reading_day_moves_bill_peak_and_plan_and_never_what_is_final(
    depot: Depot, manager: User, login: Login
) -> None:
    make_tariff(depot, JANUARY)
    for day, kw in ((date(2026, 2, 10), 50), (date(2026, 3, 10), 50), (date(2026, 4, 10), 120)):
        day_at(depot, day, kw)
    now = at_local(depot, date(2026, 4, 11), 0)
    close.close_month(depot, FEBRUARY, now, manager)
    assert bill_month(depot, APRIL, now) is not None
    browser = login(User.objects.create_superuser("root", password="correct horse battery"))
    page = browser.get(address(Depot, "change", depot.pk))

    def said(days: str) -> str:
        return errors_of(browser.post(page.request["PATH_INFO"], form_of(page) | {"meter_read_on": days}))

    assert "“13” is not a day. Write it like 2026-03-11." in said("13 April")
    assert "has 50 days; 20 to 45 are possible" in said("2026-04-28")
    assert "lie in one month" in said("2026-04-13\n2026-04-14")
    assert "February 2026 was billed by other cycles, and that stays. Leave its days" in said("2026-03-11")
    assert said("2026-04-13, 2026-05-11") == ""
    depot.refresh_from_db()
    assert depot.meter_read_on == ["2026-04-13", "2026-05-11"]
    assert not Bill.objects.filter(start_at=at_local(depot, date(2026, 4, 9), 0)).exists(), "dropped"

    march = bill_month(depot, MARCH, now)
    assert march is not None and march.end_at == at_local(depot, date(2026, 4, 13), 0)
    assert march.actual.lines.get(line_id="demand_flat.d.all").quantity == 120
    [charge] = prices_for(depot, TimeGrid(now, 60, 24), now).demand_charges
    assert charge["billed_kw_so_far"] == [120.0], "10 April is still March's"
    [charge] = prices_for(depot, TimeGrid(now, 60, 72), now).demand_charges
    assert charge["billed_kw_so_far"] == [120.0, 0.0], "April's begins on the 13th"
    assert "(9 Mar to 12 Apr)" in text_of(login(manager), f"/{depot.slug}/bills/2026-03/")
