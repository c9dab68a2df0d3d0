"""Grid programmes: events are entered and checked, planned for, settled once and frozen with their month."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.test import Client

from billing.models import Bill, Interval, ProgrammeEvent
from billing.selectors.charge_only import charge_only_bill
from billing.selectors.programmes import events_for, settled
from billing.services import close
from billing.services.bills import bill_month
from billing.services.programmes import delete, enter
from charging.assemble import assemble
from charging.planner.case import case_from_json
from depot.models import AuditEvent, Depot, Job, User
from depot.timegrid import TimeGrid, month_bounds
from tests import factories
from tests.billing.money import at_local, fill, make_tariff
from tests.billing.test_pages import text_of
from tests.depot.admin_forms import address, errors_of, form_of

Login = Callable[[User], Client]
NOW = datetime(2026, 3, 12, 16, 30, tzinfo=UTC)  # Thursday 12:30 in New York
FEBRUARY, MARCH, DAY = date(2026, 2, 1), date(2026, 3, 1), date(2026, 3, 12)
pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def at_now(time_machine: Any) -> None:
    time_machine.move_to(NOW, tick=False)


@pytest.fixture
def depot(db: None) -> Depot:
    """A depot of hours, so that a month is few rows."""
    return factories.make_depot(step_minutes=60)


def event_on(
    depot: Depot, day: date = DAY, first: float = 17, last: float = 19, **terms: Any
) -> ProgrammeEvent:
    terms = {"pay_per_kwh": Decimal(2)} | terms
    start_at = at_local(depot, day, first)
    notified_at = terms.pop("notified_at", min(start_at, NOW) - timedelta(hours=2))
    return ProgrammeEvent(
        depot=depot, programme="ELRP", start_at=start_at, end_at=at_local(depot, day, last),
        notified_at=notified_at, **terms,
    )  # fmt: skip


def usual_days(depot: Depot, first: date, last: date, kw: float = 100.0, **more: Any) -> None:
    """Record whole days at one power."""
    start_at, end_at = at_local(depot, first, 0), at_local(depot, last + timedelta(days=1), 0)
    fill(depot, TimeGrid(start_at, 60, (end_at - start_at) // timedelta(hours=1)), kw, 150.0, **more)


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "no pay": ({"pay_per_kwh": None}, "one of the two"),
    "two pays": ({"pay_per_kw": Decimal(3)}, "one of the two"),
    "less than nothing": ({"pay_per_kwh": Decimal(-1)}, "more than 0"),
    "ends before": ({"first": 19, "last": 17}, "The end is not after the start"),
    "between steps": ({"first": 17.25}, "whole steps of 60 minutes"),
    "over midnight": ({"first": 22, "last": 25}, "within one day"),
    "left out hour": ({"day": date(2026, 3, 8), "first": 1, "last": 4}, "The clocks change within it"),
    "hour that comes twice": (
        {"day": date(2026, 11, 1), "first": 1, "last": 2},
        "The clocks change within it",
    ),
    "years ahead": ({"day": date(2062, 3, 12)}, "Check the year"),
    "announced late": ({"notified_at": NOW + timedelta(minutes=1)}, "announced before it begins"),
    "overlap": ({"first": 18, "last": 20}, "no kWh is paid twice"),
    "final month": ({"day": date(2026, 2, 12)}, "The bill of February 2026 is final"),
}


@pytest.mark.parametrize("fault", WRONG)
def test_an_event_that_cannot_be_planned_or_settled_is_refused(
    depot: Depot, manager: User, fault: str
) -> None:
    start_at, end_at = month_bounds(FEBRUARY, depot.tz)
    Bill.objects.create(
        depot=depot, tariff=make_tariff(depot), scenario="actual", start_at=start_at, end_at=end_at, covered_to=end_at,
        state="final", currency="USD", total=1, computed_at=end_at, closed_at=end_at,
    )  # fmt: skip
    there = event_on(depot, first=19, last=21)
    enter(there, manager)
    changes, words = WRONG[fault]
    with pytest.raises(ValidationError, match=words):
        enter(event_on(depot, **changes), manager)
    assert ProgrammeEvent.objects.get() == there
    assert AuditEvent.objects.filter(verb="programme.entered").count() == 1


def test_the_revenue_is_in_the_months_savings_and_frozen_with_them(depot: Depot, manager: User) -> None:
    """Ten working days at 100 kW; 4 to 1 hours before the event 110 kW, then 20 kW exported for two hours."""
    make_tariff(depot)
    usual_days(depot, date(2026, 2, 2), date(2026, 2, 18))
    fill(depot, TimeGrid(at_local(depot, date(2026, 2, 19), 0), 60, 17), 110.0, 150.0)
    fill(depot, TimeGrid(at_local(depot, date(2026, 2, 19), 17), 60, 2), 0.0, 150.0, export_kw=20.0)
    enter(
        event_on(depot, date(2026, 2, 12), pay_per_kwh=Decimal(3)), manager
    )  # as usual: nothing, and no baseline day
    last = event_on(depot, date(2026, 2, 19), credit_excluded=True)
    enter(last, manager)
    end = month_bounds(FEBRUARY, depot.tz)[1]

    final = close.close_month(depot, FEBRUARY, end, manager)

    usual, event = final.programmes
    assert (usual["kwh"], usual["revenue"]) == (0, "0.00")
    assert event["label"] == "ELRP Thu 19 Feb 2026 17:00–19:00"
    assert (event["kwh"], event["pay"], event["credit"], event["revenue"]) == (
        260,
        "520.00",
        "2.00",
        "518.00",
    )
    assert event["words"] == (
        "260.0 kWh delivered, 130.0 kW on average, against the mean of 10 days like it, adjusted by +10.0 kW. "
        "Export credit of 2.00 is taken off."
    )
    steps = {step["id"]: Decimal(step["amount"]) for step in final.steps}
    assert steps["programmes"] == -518 and final.programme_revenue == 518
    assert final.net_saving == final.unmanaged.total - final.actual.total - final.wear_added + 518
    between = charge_only_bill(depot, final)
    assert between is not None
    assert between.programmes == final.programme_revenue, "nothing was discharged: sun was exported"
    assert between.smart_saving + between.v2g_saving == final.net_saving
    with pytest.raises(ValidationError, match="final"):
        delete(last, manager)
    last.pay_per_kwh = Decimal(9)
    with pytest.raises(ValidationError, match="final"):
        last.full_clean()


def test_without_days_like_it_nothing_is_planned_or_paid_and_the_reason_is_said(
    depot: Depot, manager: User
) -> None:
    make_tariff(depot)
    usual_days(depot, date(2026, 3, 9), date(2026, 3, 11))
    enter(event_on(depot), manager)
    [one] = settled(depot, at_local(depot, DAY, 0), at_local(depot, DAY, 24))
    assert one.revenue == 0 and one.words.startswith("Only 3 similar days without an event are recorded")
    case, notes = events_for(depot, TimeGrid(at_local(depot, DAY, 12), 60, 24), [0.05] * 24)
    assert case == []
    assert next(iter(notes.values())).startswith(
        "ELRP Thu 12 Mar 2026 17:00–19:00 is not planned for, because it has no baseline"
    )


def test_the_plan_takes_an_event_with_its_baseline_and_what_is_left_of_its_pay(
    depot: Depot, manager: User
) -> None:
    make_tariff(depot, demand=[])
    usual_days(depot, date(2026, 2, 16), date(2026, 3, 11))  # over the clock change of 8 March
    enter(
        event_on(depot, first=11, last=15, pay_per_kwh=None, pay_per_kw=Decimal(8), credit_excluded=True),
        manager,
    )
    enter(event_on(depot, date(2026, 3, 13), 17, 18, kind="export"), manager)

    case, notes = events_for(depot, TimeGrid(at_local(depot, DAY, 13), 60, 48), [0.05] * 48)

    assert notes == {}
    [reduce, export, later] = case
    assert (reduce["kind"], reduce["from_step"], reduce["to_step"], reduce["pay_per_kw"]) == (
        "reduce",
        0,
        2,
        4.0,
    )
    assert reduce["baseline_kw"] == [100.0, 100.0] + [0.0] * 46
    assert export["kind"] == "export" and export["pay_per_kw"] == pytest.approx(4.0 - 0.05 * 2)
    assert (later["from_step"], later["to_step"], later["pay_per_kwh"]) == (28, 29, 2.0)
    assembled = assemble(depot, NOW).case
    assert [event.id for event in case_from_json(assembled).events] == [
        one["id"] for one in assembled["events"]
    ]
    assert len(assembled["events"]) == 3


def form_on(**changes: str) -> dict[str, str]:
    return {
        "programme": "ELRP", "kind": "reduce", "day": "2026-03-13", "from_time": "17:00", "to_time": "19:00",
        "paid": "2", "per": "kwh", "announced_day": "2026-03-12", "announced_time": "11:00", "source": "Mail",
    } | changes  # fmt: skip


def test_a_manager_enters_and_deletes_others_read(
    depot: Depot, login: Login, manager: User, viewer: User, django_assert_max_num_queries: Any
) -> None:
    page = f"/{depot.slug}/programmes/"
    browser = login(manager)
    for wrong, words in (
        (
            form_on(day="2026-03-08", from_time="02:00", to_time="04:00", announced_day="2026-03-07"),
            "there is no 02:00",
        ),
        (form_on(from_time="17:20"), "whole steps of 60 minutes"),
        (form_on(paid="-1"), "greater than or equal"),
        (form_on(day="9999-12-31", to_time="00:00"), "within two years"),
        (form_on(day="0001-01-01"), "within two years"),
        (form_on(announced_day="0001-01-01"), "within two years"),
        (form_on(announced_time=""), "required"),
    ):
        answer = browser.post(page, wrong)
        assert answer.status_code == 200 and words in answer.content.decode()
    assert not ProgrammeEvent.objects.exists()
    assert browser.post(page, form_on(from_time="22:00", to_time="00:00")).status_code == 302
    event = ProgrammeEvent.objects.get()
    assert (event.start_at, event.end_at) == (
        at_local(depot, date(2026, 3, 13), 22),
        at_local(depot, date(2026, 3, 14), 0),
    )
    assert (event.pay_per_kwh, event.pay_per_kw, event.notified_at) == (2, None, at_local(depot, DAY, 11))
    assert Job.objects.filter(kind="plan").count() == 1
    looking = login(viewer)
    text_of(looking, page)
    with django_assert_max_num_queries(8):
        text = text_of(looking, page)
    assert (
        "The next event is ELRP Fri 13 Mar 2026 22:00–00:00: 2.00 USD for each kWh less than usual." in text
    )
    assert "Enter an event" not in text and "Delete" not in text
    assert looking.post(page, form_on()).status_code == 403
    gone = f"{page}{event.pk}/delete"
    assert looking.post(gone).status_code == 403
    other = factories.make_person(factories.make_depot("Elm Street"), "manager", "other")
    assert login(other).post(gone).status_code == 404
    assert login(manager).post(gone).status_code == 302
    assert not ProgrammeEvent.objects.exists()
    assert list(AuditEvent.objects.filter(verb__startswith="programme").values_list("verb", flat=True)) == [
        "programme.deleted",
        "programme.entered",
    ]


def test_the_page_and_the_savings_tell_what_was_paid(depot: Depot, login: Login, manager: User) -> None:
    make_tariff(depot)
    usual_days(depot, date(2026, 3, 1), date(2026, 3, 10))
    usual_days(depot, date(2026, 3, 11), date(2026, 3, 11), 60.0)
    enter(event_on(depot, date(2026, 3, 11)), manager)
    bill_month(depot, MARCH, NOW)
    browser = login(manager)
    text = text_of(browser, f"/{depot.slug}/programmes/")
    assert "ELRP Wed 11 Mar 2026 17:00–19:00 $80.00" in text
    assert "adjusted by -20.0 kW, its most" in text
    text = text_of(browser, f"/{depot.slug}/savings/?month=2026-03")
    assert "Programmes -$80.00" in text or "Programmes −$80.00" in text
    assert "ELRP Wed 11 Mar 2026 17:00–19:00: $80.00." in text
    assert "Grid programmes paid $80" in text


def test_of_an_events_pay_the_part_that_charging_left_off_gave_is_smart_chargings(
    depot: Depot, login: Login, manager: User
) -> None:
    """Usual load 100 kW; in the event vehicles stop charging and discharge 60 kW, half into the grid."""
    make_tariff(depot)
    usual_days(depot, date(2026, 3, 1), date(2026, 3, 10))
    fill(depot, TimeGrid(at_local(depot, date(2026, 3, 11), 0), 60, 17), 100.0, 150.0)
    fill(depot, TimeGrid(at_local(depot, date(2026, 3, 11), 17), 60, 2), 0.0, 150.0, export_kw=30.0)
    Interval.objects.filter(depot=depot, export_kwh__gt=0).update(discharge_kwh=60.0)
    fill(depot, TimeGrid(at_local(depot, date(2026, 3, 11), 19), 60, 5), 100.0, 150.0)
    enter(event_on(depot, date(2026, 3, 11)), manager)
    statement = bill_month(depot, MARCH, NOW)
    assert statement is not None and statement.programme_revenue == 2 * 2 * 130

    between = charge_only_bill(depot, statement)

    assert between is not None
    assert between.programmes == 2 * 2 * 70, (
        "its net load is 30 kW: 100 less the 60 given and the 30 exported"
    )
    assert between.smart_saving == statement.unmanaged.total - between.total + between.programmes
    assert between.smart_saving + between.v2g_saving == statement.net_saving
    text = text_of(login(manager), f"/{depot.slug}/savings/?month=2026-03")
    assert "Grid programmes paid $520, in these amounts: $280 of it the depot without V2G would have" in text
    assert re.search(r"Paid by grid programmes \$0.00 \$280.00 \$520.00 \$520.00", text), text


def test_the_api_lists_calls_of_ones_own_depots_page_by_page(
    depot: Depot, login: Login, manager: User, viewer: User
) -> None:
    make_tariff(depot)
    usual_days(depot, date(2026, 3, 1), date(2026, 3, 10))
    usual_days(depot, date(2026, 3, 11), date(2026, 3, 11), 60.0)
    over, coming = event_on(depot, date(2026, 3, 11)), event_on(depot, kind="export")
    foreign = event_on(factories.make_depot(slug="elsewhere", step_minutes=60))
    for event in (over, coming, foreign):
        event.save()
    bill_month(depot, MARCH, NOW)
    reader = login(viewer)

    def ids(query: str = "") -> list[int]:
        return [row["id"] for row in reader.get(f"/api/v1/programme-events{query}").json()["results"]]

    assert ids() == [coming.pk, over.pk]
    assert ids("?kind=export") == [coming.pk]
    assert ids("?since=2026-03-12T00:00:00Z") == [coming.pk]
    first = reader.get("/api/v1/programme-events?page_size=1").json()
    assert [row["id"] for row in reader.get(first["next"]).json()["results"]] == [over.pk]
    assert reader.get("/api/v1/programme-events?nonsense=1").status_code == 400
    assert reader.get(f"/api/v1/programme-events/{foreign.pk}").status_code == 404
    assert reader.post("/api/v1/programme-events", {}).status_code in {403, 405}
    row = reader.get(f"/api/v1/programme-events/{over.pk}").json()
    assert (row["programme"], row["pay_per_kwh"], row["pay_per_kw"]) == ("ELRP", "2.0000", None)
    assert (row["depot"], row["currency"]) == (depot.slug, "USD")
    [paid] = reader.get("/api/v1/savings").json()["results"][0]["programmes"]
    assert (paid["event"], paid["revenue"]) == (over.pk, "80.00")


def test_the_set_up_keeps_the_same_rules(depot: Depot, login: Login, manager: User) -> None:
    event = event_on(depot)
    enter(event, manager)
    browser = login(User.objects.create_superuser("root", password="correct horse battery"))
    page = browser.get(address(ProgrammeEvent, "change", event.pk))
    values = form_of(page) | {
        "start_at_0": "2026-03-12",
        "start_at_1": "21:00",
        "end_at_0": "2026-03-12",
        "end_at_1": "20:00",
    }
    values |= {"notified_at_0": "2026-03-12", "notified_at_1": "14:00"}
    assert "not after the start" in errors_of(browser.post(page.request["PATH_INFO"], values))
    assert browser.get(address(ProgrammeEvent, "delete", event.pk)).status_code == 200
