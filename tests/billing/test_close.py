"""Months become final once, with all they were made from; what comes later is a correction one can read."""

from __future__ import annotations

import json
import threading
import time
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.db import DatabaseError, IntegrityError, connection, transaction
from django.test import Client

from billing.bills.changes import changed_lines
from billing.models import Bill, BillInputs, Interval, KnownPeak, SavingsStatement, Scenario
from billing.selectors.bills_inputs import load_text, unpack
from billing.services import bills, close
from billing.services.bills import SETTLING, BillingError, bill_month, bill_of, statement_in_force
from depot.access.keys import make_key
from depot.alerts import open_alerts
from depot.models import AuditEvent, Depot, User
from depot.timegrid import TimeGrid, month_bounds
from tests import factories
from tests.billing.money import DOCUMENT, fill, make_tariff, month_grid

JANUARY, FEBRUARY, MARCH = date(2026, 1, 1), date(2026, 2, 1), date(2026, 3, 1)
END = datetime(2026, 3, 1, 5, tzinfo=UTC)
NOW = END + SETTLING
RATCHET = [
    {
        "id": "d",
        "label": "Demand",
        "metering_minutes": 60,
        "prices": [{"id": "all", "price_per_kw": 10}],
        "ratchet": {"percent": 80, "months_back": 11},
    }
]
pytestmark = pytest.mark.django_db


@pytest.fixture
def depot(db: None) -> Depot:
    """A depot of hours, so that a month is few rows."""
    return factories.make_depot(step_minutes=60)


@pytest.fixture
def manager(depot: Depot) -> User:
    return factories.make_person(depot, "manager", "manager")


def fill_month(
    depot: Depot, month: date = FEBRUARY, peak_kw: float = 90.0, hours: int = 120, **more: Any
) -> None:
    """Record the month's first hours (5 days: quick), one of them at `peak_kw`."""
    grid = TimeGrid(month_grid(depot, month).start_at, 60, hours)
    actual = [50.0] * grid.steps
    actual[100] = peak_kw
    fill(depot, grid, actual, 60.0, **more)


def in_force(depot: Depot, month: date = FEBRUARY) -> SavingsStatement:
    found = statement_in_force(depot, month_bounds(month, depot.tz)[0])
    assert found is not None
    return found


def nothing(part: float, step: str) -> None:
    pass


def test_a_month_becomes_final_a_week_after_its_end_with_all_it_was_made_from(depot: Depot) -> None:
    make_tariff(depot)
    fill_month(depot, hours=672)
    early = bill_month(depot, FEBRUARY, NOW - timedelta(seconds=1))
    assert early is not None and early.actual.status == "estimate"
    assert not BillInputs.objects.exists()
    final = bill_month(depot, FEBRUARY, NOW)
    assert final is not None and final.pk == early.pk
    final.refresh_from_db()
    assert (final.actual.status, final.actual.closed_at, final.actual.closed_by) == ("final", NOW, None)
    assert final.actual.versions == [{"name": "EV", "from": "2026-01-01"}]
    for bill in (final.actual, final.unmanaged):
        again = bill_of(unpack(bill.inputs), depot)
        assert again.total == bill.total
        assert len(load_text(bill.inputs).splitlines()) == 1 + 672
    event = AuditEvent.objects.get(verb="bill.closed")
    assert event.sentence == "The bill of February 2026 is final, $5,764.00: 7 days after its end."

    twice = Bill.objects.get(scenario=Scenario.ACTUAL)
    twice.pk = None
    with pytest.raises(IntegrityError), transaction.atomic():
        twice.save(force_insert=True)
    with pytest.raises(IntegrityError):
        Bill.objects.update(closed_at=None)


def test_a_manager_closes_a_month_that_is_over_complete_or_not(depot: Depot, manager: User) -> None:
    make_tariff(depot)
    fill_month(depot, final=False)
    with pytest.raises(
        BillingError, match=r"February 2026 is still running\. It can be closed from 1 March on"
    ):
        close.close_month(depot, FEBRUARY, END - timedelta(seconds=1), manager)
    final = close.close_month(depot, FEBRUARY, END, manager)
    assert (final.actual.state, final.actual.closed_by) == (Bill.State.FINAL, manager)
    assert close.close_month(depot, FEBRUARY, NOW, manager).actual.closed_at == END
    [event] = AuditEvent.objects.filter(verb="bill.closed")
    assert event.actor == manager and "manager closed it" in event.sentence


def test_two_versions_and_earlier_peaks_are_billed_and_the_frozen_files_give_the_same(
    depot: Depot, manager: User, tmp_path: Path
) -> None:
    """The bill is what `manage.py bill` makes of what was frozen with it, to the last digit."""
    make_tariff(depot, JANUARY, name="Old", demand=RATCHET)
    make_tariff(depot, date(2026, 2, 8), name="New", demand=RATCHET, definition=DOCUMENT | {
        "demand": RATCHET, "fixed": [{"id": "meter", "label": "Meter", "amount": 200}]
    })  # fmt: skip
    fill_month(depot, JANUARY, 400.0)
    fill_month(depot, hours=240)
    KnownPeak.objects.create(depot=depot, month=date(2025, 7, 1), charge="d", kw=300)
    bill_month(depot, JANUARY, NOW)
    final = close.close_month(depot, FEBRUARY, NOW, manager)
    lines = {line.line_id: line for line in final.actual.lines.all()}
    assert lines["fixed.meter@2026-01-01"].amount == 25
    assert lines["fixed.meter@2026-02-08"].amount == 150
    assert lines["demand_flat.d.all@2026-02-08"].quantity == 320, "80 % of January's 400 kW"
    assert "80 % of the 400.000 kW of 2026-01" in lines["demand_flat.d.all@2026-02-08"].explanation
    assert any("follows the tariff version 'New'" in warning for warning in final.actual.warnings)
    kept = final.actual.inputs
    assert kept.peaks == {"d": {"2025-07-01": "300.000", "2026-01-01": "400.000"}}
    files = []
    for number, document in enumerate(kept.tariffs):
        files.append(tmp_path / f"tariff-{number}.json")
        files[-1].write_text(json.dumps(document))
    (tmp_path / "load.csv").write_text(load_text(kept))
    peaks = [f"{day},{id},{kw}" for id, known in kept.peaks.items() for day, kw in known.items()]
    (tmp_path / "peaks.csv").write_text("\n".join(["month,charge,kw", *peaks]))
    out = StringIO()
    call_command(
        "bill", str(files[0]), str(tmp_path / "load.csv"), "--then", str(files[1]),
        "--history", str(tmp_path / "peaks.csv"), "--json", stdout=out,
    )  # fmt: skip
    answer = json.loads(out.getvalue())
    assert Decimal(str(answer["total"])) == final.actual.total
    assert {line["id"]: Decimal(str(line["amount"])) for line in answer["periods"][0]["lines"]} == {
        id: line.amount.normalize() for id, line in lines.items()
    }


def test_months_without_a_bill_give_their_peaks_from_the_ledger(depot: Depot) -> None:
    make_tariff(depot, FEBRUARY, demand=RATCHET)
    fill_month(depot, JANUARY, 400.0)
    fill_month(depot)
    statement = bill_month(depot, FEBRUARY, NOW)
    assert statement is not None
    assert statement.actual.lines.get(line_id="demand_flat.d.all").quantity == 320
    assert statement.unmanaged.lines.get(line_id="demand_flat.d.all").quantity == 60


def test_credit_rolls_on_from_bill_to_bill(depot: Depot, manager: User) -> None:
    make_tariff(
        depot,
        demand=[],
        export={"method": "prices", "carry_credit": True, "prices": [{"id": "x", "price_per_kwh": 1}]},
    )
    fill_month(depot, JANUARY, export_kw=20.0)
    fill_month(depot)
    first, second = bill_month(depot, JANUARY, NOW), bill_month(depot, FEBRUARY, NOW)
    assert first is not None and second is not None
    credit = Decimal(first.actual.carried["credit"])
    assert first.actual.total == 0 and credit > 1000
    assert second.actual.lines.get(line_id="export.carried_in").amount == -credit
    closed = close.close_month(depot, FEBRUARY, NOW, manager)
    assert closed.actual.inputs.brought == {"credit": str(credit)}


def test_later_data_makes_a_correction_and_the_month_after_follows(depot: Depot, manager: User) -> None:
    make_tariff(depot, demand=RATCHET)
    fill_month(depot, JANUARY)
    fill_month(depot)
    for month in (JANUARY, FEBRUARY):
        close.close_month(depot, month, NOW, manager)
    before = {row.pk: (row.total, row.computed_at) for row in Bill.objects.all()}
    assert close.correct_all(depot, NOW, nothing) == ([], [])
    late = Interval.objects.order_by("start_at")[50]
    Interval.objects.filter(pk=late.pk).update(import_kwh=200, baseline_frozen_at=None)
    tomorrow = NOW + timedelta(days=1)
    assert close.correct_all(depot, tomorrow, nothing) == ([], []), (
        "its unmanaged side is not final again yet"
    )
    Interval.objects.filter(pk=late.pk).update(baseline_frozen_at=NOW)
    made, problems = close.correct_all(depot, tomorrow, nothing)
    assert problems == [] and [row.revision for row in made] == [1, 1]
    assert before == {row.pk: (row.total, row.computed_at) for row in Bill.objects.filter(revision=0)}, (
        "what was final stays as it was"
    )
    first, second = in_force(depot, JANUARY), in_force(depot)
    assert first.actual.status == "corrected" and first.actual.corrects_id in before
    assert "1 interval between 2026-01-03 02:00 and 2026-01-03 03:00" in first.actual.reason
    assert "import +150.0 kWh" in first.actual.reason
    old = [(line.line_id, line) for line in first.actual.corrects.lines.all()]
    new = [(line.line_id, line) for line in first.actual.lines.all()]
    changed = {one.id: one.difference for one in changed_lines(old, new) if one.is_changed}
    assert changed == {"energy.e.off": 15, "demand_flat.d.all": 1100}
    assert first.actual.total - first.actual.corrects.total == sum(changed.values())
    assert second.actual.lines.get(line_id="demand_flat.d.all").quantity == 160
    assert second.actual.reason == "An earlier month was corrected, and this one looks back on it."
    assert first.unmanaged.total == first.unmanaged.corrects.total
    assert first.net_saving == first.unmanaged.total - first.actual.total
    assert close.correct_all(depot, tomorrow, nothing) == ([], []), "once"
    assert AuditEvent.objects.filter(verb="bill.corrected").count() == 2
    alerts = {alert.key: alert for alert in open_alerts(depot)}
    assert set(alerts) == {"bill:2026-01:1", "bill:2026-02:1"}
    told_first = alerts["bill:2026-01:1"]
    assert told_first.title == "The bill of January 2026 was corrected from $1,854.00 to $2,969.00"
    assert told_first.detail.startswith("1 interval between") and "Compare it with" in told_first.detail
    close.correct_all(depot, tomorrow + close.TOLD_FOR, nothing)
    assert not open_alerts(depot).exists(), "told for two weeks"
    assert bill_month(depot, JANUARY, tomorrow) == first
    _, raw = make_key(depot, "test", ["read"])
    program = Client(headers={"Authorization": f"Bearer {raw}"})

    def told(query: str) -> dict[int, Any]:
        return {row["id"]: row for row in program.get(f"/api/v1/bills?{query}").json()["results"]}

    assert set(told("scenario=actual")) == {first.actual_id, second.actual_id}
    replaced = told("scenario=actual&corrected=true")
    assert replaced[first.actual.corrects_id]["corrected_by"] == first.actual_id
    one = program.get(f"/api/v1/bills/{first.actual.corrects_id}").json()
    assert (one["revision"], Decimal(one["total"])) == (0, first.actual.corrects.total)
    assert [row["actual"] for row in program.get("/api/v1/savings").json()["results"]] == [
        second.actual_id,
        first.actual_id,
    ]


def test_a_tariff_edited_later_corrects_nothing_until_a_manager_says_so(depot: Depot, manager: User) -> None:
    tariff = make_tariff(depot)
    fill_month(depot)
    with pytest.raises(BillingError, match="is not final"):
        close.correct_month(depot, FEBRUARY, NOW, manager, "Wrong price")
    close.close_month(depot, FEBRUARY, NOW, manager)
    tariff.definition = DOCUMENT | {"fixed": [{"id": "meter", "label": "Meter", "amount": 120}]}
    tariff.save()
    depot.tariffs.update(valid_from=date(2026, 4, 1))
    assert close.correct_all(depot, NOW, nothing) == ([], [])
    depot.tariffs.update(valid_from=JANUARY)
    with pytest.raises(BillingError, match="Say why"):
        close.correct_month(depot, FEBRUARY, NOW, manager, " ")
    corrected = close.correct_month(depot, FEBRUARY, NOW, manager, "The meter fee rose in February.")
    assert corrected is not None
    assert corrected.actual.total == corrected.actual.corrects.total + 20
    assert (corrected.actual.reason, corrected.actual.closed_by) == (
        "The meter fee rose in February.",
        manager,
    )
    [alert] = open_alerts(depot)
    assert alert.detail.startswith("The meter fee rose in February.")
    assert close.correct_month(depot, FEBRUARY, NOW, manager, "Again") is None


def test_an_unmanaged_side_that_became_final_later_corrects_only_the_unmanaged_bill(
    depot: Depot, manager: User
) -> None:
    make_tariff(depot)
    fill_month(depot)
    close.close_month(depot, FEBRUARY, NOW, manager)
    late = Interval.objects.order_by("start_at")[10]
    Interval.objects.filter(pk=late.pk).update(unmanaged_import_kwh=70)
    [made], problems = close.correct_all(depot, NOW, nothing)
    assert problems == [] and made.actual.reason.startswith("Only the unmanaged bill: 1 interval between")
    assert made.actual.total == made.actual.corrects.total
    assert made.unmanaged.total == made.unmanaged.corrects.total + 101
    browser = Client()
    browser.force_login(manager, backend="django.contrib.auth.backends.ModelBackend")
    assert "No line of this bill changed" in browser.get(f"/{depot.slug}/bills/2026-02/").content.decode()


def test_what_breaks_in_one_month_keeps_no_other_from_being_billed(
    depot: Depot, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_tariff(depot)
    for month in (JANUARY, FEBRUARY, MARCH):
        fill(depot, TimeGrid(month_grid(depot, month).start_at, 60, 2), 50.0, 60.0)
    assert close.open_months(depot, NOW) == [JANUARY, FEBRUARY, MARCH]
    real = close.bill_month

    def fragile(depot: Depot, day: date, now: datetime) -> SavingsStatement | None:
        if day == FEBRUARY:
            raise ZeroDivisionError
        return real(depot, day, now)

    monkeypatch.setattr(close, "bill_month", fragile)
    made, problems = close.bill_months(depot, [MARCH, FEBRUARY, JANUARY], NOW, nothing)
    assert [row.start_at for row in made] == [month_bounds(month, depot.tz)[0] for month in (JANUARY, MARCH)]
    assert problems == ["2026-02: Something went wrong inside the program. The log has the details."]

    def away(depot: Depot, day: date, now: datetime) -> SavingsStatement | None:
        raise DatabaseError

    monkeypatch.setattr(close, "bill_month", away)
    with pytest.raises(DatabaseError):
        close.bill_months(depot, [MARCH], NOW, nothing)


@pytest.mark.django_db(transaction=True)
@pytest.mark.skipif(connection.vendor != "postgresql", reason="elsewhere one writes at a time")
def test_two_who_correct_at_once_make_one_correction(monkeypatch: pytest.MonkeyPatch) -> None:
    depot = factories.make_depot(step_minutes=60)
    manager = factories.make_person(depot, "manager", "manager")
    make_tariff(depot)
    fill_month(depot)
    close.close_month(depot, FEBRUARY, NOW, manager)
    Interval.objects.filter(pk=Interval.objects.order_by("start_at")[50].pk).update(import_kwh=200)
    real, inside, made = bills._record, threading.Event(), []

    def slow(*told: Any) -> None:
        inside.set()
        time.sleep(0.5)  # the other one waits for this transaction meanwhile
        real(*told)

    def correct() -> None:
        made.append(close.correct_month(depot, FEBRUARY, NOW, manager, "A late meter."))
        connection.close()

    monkeypatch.setattr(bills, "_record", slow)
    first, second = threading.Thread(target=correct), threading.Thread(target=correct)
    first.start()
    assert inside.wait(20)
    second.start()
    first.join()
    second.join()
    assert [row.revision for row in made] == [1, 1] and made[0] == made[1]
    assert AuditEvent.objects.filter(verb="bill.corrected").count() == 1
