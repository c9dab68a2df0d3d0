"""Months billed one by one, each with what the one before handed on, are the year billed at once."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import numpy as np
import pytest

from billing.tariff import BillLine, Carried, LoadError, LoadSeries, bill, make_load, read_load, write_load
from billing.tariff.answer import Question, Source, bill_texts
from billing.tariff.carried import NOTHING, carried_from, read_carried
from depot.timegrid import TimeGrid
from tests.billing.tariff.examples import document, tariff

NET_METERING: dict[str, Any] = {"export": {"method": "net_metering", "true_up_month": 12}}
CREDIT: dict[str, Any] = {
    "export": {"method": "prices", "prices": [{"id": "x", "price_per_kwh": 0.3}], "carry_credit": True}
}
RATCHET: dict[str, Any] = {
    "demand": [
        {
            "id": "d",
            "label": "Demand",
            "metering_minutes": 60,
            "prices": [{"id": "all", "price_per_kw": 10}],
            "ratchet": {"percent": 80, "months_back": 11},
        },
        {"id": "y", "label": "Year", "metering_minutes": 60, "per": "year",
         "prices": [{"id": "all", "price_per_kw": 60}]},
    ]
}  # fmt: skip
YEARLY_MINIMUM: dict[str, Any] = {"minimum_bill": {"amount": 90_000, "per": "year"}}


def year() -> LoadSeries:
    """A year of hours: more sun than load from April to July, a peak in February and a higher one in October."""
    hours = np.arange(8760)
    month = np.array([at.month for at in TimeGrid(datetime(2025, 1, 1, tzinfo=UTC), 60, 8760).times()])
    imported = 20.0 + hours % 24
    exported = np.where((month >= 4) & (month <= 7) & (hours % 24 > 6), 60.0, 0.0)
    imported[1000], imported[6800] = 150.0, 210.0
    return make_load(datetime(2025, 1, 1, tzinfo=UTC), 60, imported, exported)


def cut(load: LoadSeries, month: int) -> LoadSeries:
    grid = TimeGrid(load.start_at, 60, load.steps)
    held = np.array([at.month == month for at in grid.times()])
    first = int(np.argmax(held))
    return make_load(grid.time_of(first), 60, load.import_kw[held], load.export_kw[held])


def plain(line: BillLine) -> BillLine:
    """A month without export does not say “less 0 exported”; its numbers are the same."""
    return replace(line, explanation="")


@pytest.mark.parametrize(
    ("more", "needed"),
    [
        (NET_METERING, "export.credit"),
        (CREDIT, "export.carried_in"),
        (RATCHET, "demand_flat.y.all.correction"),
        (YEARLY_MINIMUM | CREDIT, "minimum"),
    ],
    ids=["kWh", "money", "peaks", "minimum"],
)
def test_months_one_by_one_are_the_year_at_once(more: dict[str, Any], needed: str) -> None:
    priced, load = tariff(**more), year()
    at_once = bill(priced, load)
    carried, history = NOTHING, dict[str, dict[date, Decimal]]()
    for month, whole in zip(range(1, 13), at_once.periods, strict=True):
        carried = carried_from(json.loads(json.dumps(carried.as_json())))
        alone = bill(priced, cut(load, month), history=history, carried=carried)
        assert [plain(line) for line in alone.periods[0].lines] == [plain(line) for line in whole.lines], (
            month
        )
        assert alone.periods[0].peaks_kw == whole.peaks_kw
        carried = alone.carried
        for line_id, peak in alone.periods[0].peaks_kw.items():
            history.setdefault(line_id.split(".")[1], {})[date(2025, month, 1)] = peak.kw
    assert carried == at_once.carried
    ids = {line.id for period in at_once.periods for line in period.lines}
    assert needed in ids


def test_the_command_takes_what_a_bill_answered() -> None:
    load = write_load(cut(year(), 5), UTC)
    june = write_load(cut(year(), 6), UTC)
    text = json.dumps(document(**CREDIT))
    may = bill_texts(text, load)
    answered = Source("may.json", json.dumps(may.as_json()))
    after = bill_texts(text, june, question=Question(carried=answered))
    assert after.result is not None and may.result is not None
    [brought] = [line for line in after.result.periods[0].lines if line.id == "export.carried_in"]
    assert -brought.amount == may.result.carried.credit > 0
    wrong = bill_texts(text, june, question=Question(carried=Source("x.json", "[1]")))
    assert wrong.errors == (
        "x.json: it is not what a bill carries on. Give what an earlier bill answered as “carried”.",
    )


@pytest.mark.parametrize("text", ["", "{", '{"credit": "much"}', '{"kwh": [1]}', '{"charges": {"soon": 1}}'])
def test_what_no_bill_carried_on_is_refused(text: str) -> None:
    with pytest.raises(LoadError, match="earlier bill answered"):
        read_carried(text)
    assert read_carried('{"carried": {}}') == Carried()


def test_a_load_that_is_written_reads_back_equal() -> None:
    given = {
        "import_price_per_kwh": [0.1, -0.02, 1 / 3],
        "reactive_kvar": [0.0, 2.5, 1.0],
        "estimated": [0, 1, 0],
    }
    load = make_load(datetime(2026, 3, 29, 0, 30, tzinfo=UTC), 30, [1 / 3, 20.1, 0], [0, 0, 7e-7], **given)
    again = read_load(write_load(load, UTC))
    assert (again.start_at, again.step_minutes) == (load.start_at, 30)
    for name in ("import_kw", "export_kw", "estimated", "import_price_per_kwh", "reactive_kvar"):
        assert np.array_equal(getattr(again, name), getattr(load, name)), name
    assert again.export_price_per_kwh is None
