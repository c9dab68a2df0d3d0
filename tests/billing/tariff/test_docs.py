"""Every number in docs/algorithms/tariff.md is what the engine says."""

from decimal import Decimal

import pytest

from billing.tariff import bill, read_load, read_tariff, to_document
from tests.billing.tariff.examples import DOCS, Example, examples, real_tariff, table_rows, year_load

EXAMPLES = examples()


def test_there_are_examples():
    assert len(EXAMPLES) == 6


@pytest.mark.parametrize("example", EXAMPLES, ids=[example.title for example in EXAMPLES])
def test_example(example: Example):
    result = bill(read_tariff(example.tariff), read_load(example.load))

    (period,) = result.periods
    found = [[line.id, line.quantity, line.rate, line.amount] for line in period.lines]
    assert found == [[row[0], *map(Decimal, row[1:])] for row in example.rows]
    assert result.total == sum(line.amount for line in period.lines)


@pytest.mark.parametrize("example", EXAMPLES, ids=[example.title for example in EXAMPLES])
def test_what_is_written_reads_back_equal(example: Example):
    tariff = read_tariff(example.tariff)

    assert read_tariff(to_document(tariff)) == tariff


def test_the_year_that_the_other_engine_billed():
    rows = table_rows((DOCS / "tariff.md").read_text().split("## 6. Checked against")[1])
    sce = real_tariff("sce_tou8_d")
    for (name, total, *august), load in zip(
        rows, (year_load("unmanaged"), year_load("managed")), strict=True
    ):
        result = bill(sce, load)
        assert result.total is not None
        assert round(result.total, 2) == Decimal(total), name
        for kind, amount in zip(("energy", "demand_flat", "demand_tou", "fixed"), august, strict=True):
            lines = result.periods[7].lines
            if amount:
                found = sum(line.amount for line in lines if line.id.startswith(kind))
                assert round(found, 2) == Decimal(amount), kind
