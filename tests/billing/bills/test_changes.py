"""What a correction changed: every line once, differences that add up, the intervals it came from."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from billing.bills.changes import changed_lines, changed_load
from billing.tariff import BillLine, make_load

START = datetime(2026, 2, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
Amounts = st.dictionaries(st.sampled_from("abcdef"), st.decimals(-999, 999, places=2), max_size=6)


def line(id: str, amount: Decimal, quantity: int = 1) -> BillLine:
    return BillLine(id, f"Line {id}", Decimal(quantity), "kWh", amount, amount, "")


@settings(max_examples=50)
@given(before=Amounts, after=Amounts)
def test_differences_add_up_and_each_line_is_there_once(
    before: dict[str, Decimal], after: dict[str, Decimal]
) -> None:
    old = [(id, line(id, amount)) for id, amount in before.items()]
    new = [(id, line(id, amount)) for id, amount in after.items()]
    changed = changed_lines(old, new)
    assert sum(one.difference for one in changed) == sum(after.values()) - sum(before.values())
    assert [one.id for one in changed] == [*after, *(id for id in before if id not in after)]
    assert {one.id for one in changed if not one.is_changed} == {
        id for id in before if id in after and before[id] == after[id]
    }


def test_another_quantity_at_the_same_amount_is_a_change() -> None:
    [one] = changed_lines([("a", line("a", Decimal(0), 1))], [("a", line("a", Decimal(0), 2))])
    assert one.is_changed and not one.difference


def test_a_gap_that_was_filled_and_a_tail_that_came_are_told() -> None:
    before = make_load(START, 60, [10, 20, 30], estimated=[0, 1, 0])
    after = make_load(START - HOUR, 60, [5, 10, 24, 30, 8], [0, 0, 0, 0, 2])
    change = changed_load(before, after)
    assert (change.steps, change.measured) == (3, 1)
    assert (change.from_at, change.to_at) == (START - HOUR, START + 4 * HOUR)
    assert change.import_kwh == pytest.approx(5 + 4 + 8)
    assert change.export_kwh == pytest.approx(2)


def test_the_same_load_has_not_changed() -> None:
    load = make_load(START, 15, [1.5, 2.5])
    change = changed_load(load, load)
    assert (change.steps, change.from_at, change.to_at, change.import_kwh) == (0, None, None, 0)
