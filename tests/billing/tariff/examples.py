"""Small tariffs and loads for the tests, and the examples that the documentation shows."""

import csv
import json
import re
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from billing.tariff import LoadSeries, Tariff, make_load, read_tariff
from tests.shared import shared

DOCS = Path(__file__).resolve().parents[3] / "docs" / "algorithms"


class Example(NamedTuple):
    """A worked example: tariff (or versions), load, earlier peaks, cycles, and the last period's lines."""

    title: str
    tariff: Any
    load: str
    rows: list[list[str]]
    peaks: str
    cycles: list[str]


def table_rows(text: str) -> list[list[str]]:
    """Return the body of the first Markdown table in a text."""
    rows = [line for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in rows[2:]]


def examples() -> list[Example]:
    """Return every worked example of tariff.md."""
    found = []
    for part in (DOCS / "tariff.md").read_text().split("\n### Example: ")[1:]:
        tariff = re.search(r"```json\n(.*?)```", part, re.S)
        load = re.search(r"```csv\n(.*?)```", part, re.S)
        assert tariff and load
        peaks, cycles = (
            re.search(r"```peaks\n(.*?)```", part, re.S),
            re.search(r"```cycles\n(.*?)```", part, re.S),
        )
        found.append(
            Example(
                part.splitlines()[0],
                json.loads(tariff[1]),
                load[1],
                table_rows(part.split("\n## ")[0]),
                peaks[1] if peaks else "",
                cycles[1].split() if cycles else [],
            )
        )
    return found


def document(**more: Any) -> dict[str, Any]:
    """Return a minimal tariff in the product's own format."""
    return {
        "format": "depot-tariff/1",
        "name": "Test",
        "currency": "USD",
        "time_zone": "UTC",
        "energy": [{"id": "e", "label": "Energy", "prices": [{"id": "all", "price_per_kwh": 0.1}]}],
        **more,
    }


def tariff(**more: Any) -> Tariff:
    return read_tariff(document(**more))


def load(
    power_kw: Any, start: str = "2025-07-01T00:00:00+00:00", minutes: int = 60, **more: Any
) -> LoadSeries:
    return make_load(datetime.fromisoformat(start), minutes, power_kw, **more)


def urdb(**more: Any) -> dict[str, Any]:
    """Return a minimal URDB record."""
    return {"name": "Test", "energyratestructure": [[{"rate": 0.1}]], **more}


def hours(value: Any = 0) -> list[list[Any]]:
    return [[value] * 24 for _ in range(12)]


def year_load(name: str) -> LoadSeries:
    """Return a year of the shared depot load on the calendar of 2018 without clock change."""
    with shared("data", "load", f"depot_{name}_15min.csv").open() as file:
        power_kw = np.array([float(row["load_kw"]) for row in csv.DictReader(file)])
    return make_load(datetime(2018, 1, 1, tzinfo=UTC), 15, power_kw, written_in=UTC)


def real_tariff(name: str) -> Tariff:
    return read_tariff(shared("data", "tariffs", f"{name}.json").read_text())


def amounts(lines: Any) -> dict[str, Decimal]:
    return {line.id: line.amount for line in lines}
