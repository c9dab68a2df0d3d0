"""Every number in docs/algorithms/tariff.md is what the engine says."""

from datetime import date
from decimal import Decimal

import pytest
from jsonschema import Draft202012Validator

from billing.tariff import Tariff, bill, read_history, read_load, read_tariff, to_document
from billing.tariff.schema_document import SCHEMA
from billing.tariff.text import write_yaml
from tests.billing.tariff.examples import DOCS, Example, examples, real_tariff, table_rows, year_load

EXAMPLES = examples()
COUNT = 28


def versions(example: Example) -> list[Tariff]:
    return [
        read_tariff(one) for one in (example.tariff if isinstance(example.tariff, list) else [example.tariff])
    ]


def test_there_are_examples():
    assert len(EXAMPLES) == COUNT


@pytest.mark.parametrize("example", EXAMPLES, ids=[example.title for example in EXAMPLES])
def test_example(example: Example):
    result = bill(
        versions(example),
        read_load(example.load),
        history=read_history(example.peaks) if example.peaks else None,
        cycle_starts=[date.fromisoformat(day) for day in example.cycles] or None,
    )

    assert result.unsupported == ()
    period = result.periods[-1]
    found = [[line.id, line.quantity, line.rate, line.amount] for line in period.lines]
    assert found == [[row[0], *map(Decimal, row[1:])] for row in example.rows]
    assert period.total == sum(line.amount for line in period.lines)


@pytest.mark.parametrize("example", EXAMPLES, ids=[example.title for example in EXAMPLES])
def test_what_is_written_reads_back_equal(example: Example):
    for tariff in versions(example):
        document = to_document(tariff)
        Draft202012Validator(SCHEMA).validate(document)
        assert read_tariff(document) == tariff
        assert read_tariff(write_yaml(document)) == tariff


def test_the_year_that_the_other_engine_billed():
    rows = table_rows((DOCS / "tariff.md").read_text().split("## 7. Checked against")[1])
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
