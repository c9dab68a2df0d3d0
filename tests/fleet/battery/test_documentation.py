"""The numbers in docs/algorithms/batteries.md are what the code gives."""

from pathlib import Path

import pytest

from fleet.battery.ageing import age_years, new_cell
from fleet.battery.cells import CELL_MODELS
from fleet.battery.wear import PackValue, marginal_wear_cost, standing_cost
from tests.fleet.battery.duties import duty

PAGE = Path(__file__).resolve().parents[3] / "docs" / "algorithms" / "batteries.md"


def rows(table: str) -> list[list[str]]:
    """Return the cells of a table of the page, without its two heading lines."""
    text = PAGE.read_text(encoding="utf-8").split(f"<!-- table: {table} -->\n")[1].split("\n\n")[0]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines()[2:]]


def test_the_capacity_table() -> None:
    table = rows("capacity")
    assert [row[0] for row in table] == [name for name in CELL_MODELS for _ in range(2)]
    for name, use, *printed in table:
        day = duty(use, days=1)
        states = list(age_years(new_cell(CELL_MODELS[name]), day, 10, constant_energy=True))
        first, last = states[0], states[-1]
        computed = [first.capacity, last.capacity, last.calendar_loss, last.cycle_loss]
        assert [f"{value:.4f}" for value in computed] == printed[:4]
        assert f"{last.equivalent_full_cycles:.0f}" == printed[4]


def test_the_cost_table() -> None:
    pack = PackValue(capacity_kwh=226, price_per_kwh=150)
    table = rows("cost")
    assert [row[0] for row in table] == list(CELL_MODELS)
    for name, *printed in table:
        cents = [100 * marginal_wear_cost(name, 25, pack, swing=s).cost_per_kwh for s in (0.1, 0.2, 0.35)]
        assert cents == pytest.approx([float(cell) for cell in printed[:3]], abs=0.0051)
        standing = standing_cost(name, 25, pack).cost(0.9, 226, 1)
        assert standing == pytest.approx(float(printed[3]), abs=0.00051)
