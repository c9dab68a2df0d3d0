"""Every number in docs/algorithms/bills.md is what the program says."""

from __future__ import annotations

import json
import re
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from billing.bills.changes import changed_lines
from billing.bills.outlook import Before, continued, cost_of_exceeding, projected
from billing.bills.sharing import LineToShare, Use, share_bill
from billing.services.bills import becomes_final
from billing.tariff import bill, make_load, read_history, read_load, read_tariff
from tests.billing.tariff.examples import DOCS, table_rows

TEXT = (DOCS / "bills.md").read_text()
PARTS = {part.splitlines()[0]: part for part in re.split(r"\n###? ", TEXT)}
NEW_YORK = ZoneInfo("America/New_York")


def block(part: str, name: str) -> str:
    found = re.search(rf"```{name}\n(.*?)```", part, re.S)
    assert found, name
    return found[1]


@pytest.mark.parametrize("row", table_rows(PARTS["2. Closing"]), ids=" | ".join)
def test_when_a_month_becomes_final(row: list[str]) -> None:
    ended, complete, by_manager, state = row
    end_at = datetime(2026, 3, 1, tzinfo=UTC)
    now = end_at - timedelta(days=1) if ended == "no" else end_at + timedelta(days=int(ended.split()[0]))
    final = by_manager == "yes" or becomes_final(end_at, now, complete == "yes")
    assert ("final" if final else "estimate") == state


def test_a_meter_that_came_late() -> None:
    part = PARTS["Example: a meter that came late"]
    tariff = read_tariff(json.loads(block(part, "json")))
    bills = [bill(tariff, read_load(block(part, name))).periods[0].lines for name in ("before", "after")]
    changed = changed_lines(*([(line.id, line) for line in lines] for lines in bills))
    found = [[one.id, one.before.amount, one.after.amount, one.difference] for one in changed]  # type: ignore[union-attr]
    assert found == [[row[0], *map(Decimal, row[1:])] for row in table_rows(part)]


def test_what_the_month_goes_on_like() -> None:
    step = timedelta(hours=1)
    end = datetime(2026, 3, 10, 11, tzinfo=NEW_YORK)
    start = end.astimezone(UTC) - 168 * step
    recent = make_load(start, 60, np.arange(168.0))
    whole = continued(recent, recent, datetime(2026, 4, 1, 4, tzinfo=UTC), NEW_YORK)

    def index(text: str) -> int:
        return (datetime.fromisoformat(text).replace(tzinfo=NEW_YORK).astimezone(UTC) - start) // step

    for to_come, like in table_rows(PARTS["4. The month's end"]):
        assert whole.import_kw[index(to_come)] == index(like), to_come


def test_two_hours_before_the_month_ends() -> None:
    part = PARTS["Example: two hours before the month ends"]
    tariff, load = read_tariff(json.loads(block(part, "json"))), read_load(block(part, "csv"))
    before = Before(UTC, read_history(block(part, "peaks")))
    assert before.history == {"d": {date(2025, 1, 1): Decimal(300)}}
    result = bill(tariff, load, history=before.history)
    whole = projected([tariff], load, load, datetime(2025, 8, 1, tzinfo=UTC), before)
    [more] = cost_of_exceeding([tariff], load, result.periods[0].peaks_kw, before).values()
    assert [[result.total, whole.total, more]] == [list(map(Decimal, row)) for row in table_rows(part)]


def test_a_demand_charge_is_shared_as_the_example_says() -> None:
    part = PARTS["6. The bill by vehicle and by block"]
    said = re.search(
        r"of a \$([\d,]+)\.00 demand charge set at (\d+) kW, a vehicle that drew (\d+) kW then carries \$(\d+)\.00;\n"
        r"one that gave (\d+) kW is credited \$(\d+)\.00",
        part,
    )
    assert said
    amount, peak, drew, carries, gave, credit = (float(text.replace(",", "")) for text in said.groups())
    line = LineToShare("demand_flat", "demand", Decimal(str(amount)), peak)
    uses = {1: Use(0, 0, Decimal(0), {line.id: drew}), 2: Use(0, 0, Decimal(0), {line.id: -gave})}
    shared = share_bill([line], uses, 1.0, "USD").vehicles
    assert (float(shared[1].demand), float(shared[2].demand)) == (carries, -credit)
