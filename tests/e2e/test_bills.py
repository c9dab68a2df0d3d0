"""The Bills page in a real browser: a month read, closed and compared with the utility's, without a script's help."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest
from playwright.sync_api import expect

from billing.models import Bill
from billing.services.bills import bill_month
from depot import clock
from depot.models import Depot, User
from depot.timegrid import TimeGrid, month_bounds
from tests import factories
from tests.billing.money import fill, make_tariff, month_grid
from tests.e2e.conftest import Photograph, SignIn
from tests.e2e.test_money import fits_a_phone, is_drawn


@pytest.fixture
def depot(db: None) -> Depot:
    """A depot of hours, so that its months are few rows."""
    return factories.make_depot(step_minutes=60)


@pytest.fixture
def last_month(depot: Depot) -> date:
    """Bill last month and this one as far as it has gone."""
    now = clock.now()
    this = depot.local(now).date().replace(day=1)
    month = (this - timedelta(days=1)).replace(day=1)
    make_tariff(depot, month - timedelta(days=300), name="EV high power, secondary")
    grid = month_grid(depot, month)
    hours = [depot.local(at).hour for at in grid.times()]
    fill(
        depot,
        grid,
        [90.0 if hour < 6 else 10.0 if 16 <= hour < 21 else 60.0 for hour in hours],
        200.0,
        export_kw=2.0,
    )
    bill_month(depot, month, month_bounds(month, depot.tz)[1])
    steps = max((now - month_bounds(this, depot.tz)[0]) // timedelta(hours=1), 1)
    fill(depot, TimeGrid(month_bounds(this, depot.tz)[0], 60, steps), 60, 80, final=False)
    bill_month(depot, this, now)
    return month


def test_a_month_is_read_closed_and_compared(
    sign_in: SignIn, manager: User, depot: Depot, last_month: date, live_server: Any, photograph: Photograph
) -> None:
    page = sign_in(manager)
    page.goto(f"{live_server.url}/{depot.slug}/bills/")
    expect(page.get_by_role("heading", level=1)).to_contain_text("and will cost about $")
    is_drawn(page, "months")
    fits_a_phone(page)
    photograph(page, "bills")
    page.get_by_role("link", name=f"{clock.now():%B %Y}").click()
    expect(page.get_by_text("10 kW more", exact=True)).to_be_visible()
    page.goto(f"{live_server.url}/{depot.slug}/bills/{last_month:%Y-%m}/")
    page.locator("table.bills details summary").first.click()
    expect(page.locator("table.bills details[open]")).to_contain_text("kWh imported at")
    page.get_by_role("button", name=f"Close {last_month:%B %Y}").click()
    expect(page.get_by_role("status")).to_contain_text("is final")
    with page.expect_download() as download:
        page.get_by_role("link", name="PDF").click()
    assert download.value.suggested_filename == f"bill-{depot.slug}-{last_month:%Y-%m}.pdf"
    page.get_by_role("link", name="Enter the utility's bill").click()
    bill = Bill.objects.get(scenario="actual", start_at=month_bounds(last_month, depot.tz)[0])
    for number, line in enumerate(bill.lines.all(), start=1):
        page.get_by_label(f"Utility's quantity, line {number}", exact=True).fill(f"{line.quantity:.2f}")
        amount = line.amount * (109 if line.line_id.startswith("demand") else 100) / 100
        page.get_by_label(f"Utility's amount, line {number}", exact=True).fill(f"{amount:.2f}")
    photograph(page, "bill-reconcile")
    fits_a_phone(page)
    page.get_by_label("Total of the bill").fill(f"${bill.total + 81:,.2f}")
    page.get_by_role("button", name="Keep and compare").click()
    expect(page.get_by_role("region", name="Beside the utility's bill").first).to_contain_text(
        "another price: 10.90000"
    )
    fits_a_phone(page)
    page.evaluate("scrollTo(0, 0)")
    photograph(page, "bill")
