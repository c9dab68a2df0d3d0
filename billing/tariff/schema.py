"""Read and write the product's own tariff format; docs/algorithms/tariff.md describes it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError

from billing.tariff.model import (
    ALL_DAYS,
    ALWAYS,
    HOLIDAY,
    MINUTES_PER_DAY,
    WEEKDAYS,
    WEEKEND,
    DemandCharge,
    EnergyComponent,
    Export,
    FixedCharge,
    MinimumBill,
    Price,
    Season,
    SeriesPrice,
    Tariff,
    Tax,
    When,
)
from billing.tariff.problems import Problem, TariffError
from billing.tariff.schema_document import FORMAT, SCHEMA
from depot.money import minor_units

LAST_DAY = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_DAY_NAMES = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_DAYS = {
    "weekday": WEEKDAYS,
    "weekend": WEEKEND,
    "holiday": frozenset({HOLIDAY}),
    **{name: frozenset({number}) for number, name in enumerate(_DAY_NAMES)},
}


def from_document(data: Mapping[str, Any]) -> Tariff:
    """Make a tariff from a document of the product's own format.

    A key that the format does not know is an element that the engine cannot bill: it goes to
    `Tariff.unsupported` by name. Every other fault raises TariffError, all of them at once.
    """
    problems: list[Problem] = []
    refused: list[Problem] = []
    for error in sorted(Draft202012Validator(SCHEMA).iter_errors(data), key=lambda e: list(map(str, e.path))):
        if error.validator == "additionalProperties":
            for key in sorted(set(error.instance) - set(error.schema["properties"])):
                message = f"element '{key}' in {_place(error)} is not supported"
                refused.append(Problem(key, message, "Remove it"))
        else:
            problems.append(_problem(error))
    problems += _bad_dates(data) if not problems else []
    if problems:
        raise TariffError([*problems, *refused])
    return _tariff(data, tuple(f"{element.place}: {element.message}." for element in refused))


def to_document(tariff: Tariff) -> dict[str, Any]:
    """Write a tariff in the product's own format, so that reading it gives an equal tariff.

    Raises ValueError for a tariff without a time zone or with unsupported elements: the format holds neither.
    """
    if not tariff.time_zone or tariff.unsupported:
        raise ValueError("Only a tariff with a time zone and without unsupported elements can be written.")
    document: dict[str, Any] = {
        "format": FORMAT,
        "name": tariff.name,
        "utility": tariff.utility,
        "source": tariff.source,
        "currency": tariff.currency,
        "time_zone": tariff.time_zone,
        "valid_from": tariff.valid_from and tariff.valid_from.isoformat(),
        "valid_to": tariff.valid_to and tariff.valid_to.isoformat(),
        "line_decimals": tariff.line_decimals,
        "notes": list(tariff.notes),
        "seasons": [
            {"id": s.id, "label": s.label, "dates": [f"{_md(a)}..{_md(b)}" for a, b in s.spans]}
            for s in tariff.seasons
        ],
        "holidays": [
            *(day.isoformat() for day in tariff.holidays),
            *(_md(day) for day in tariff.recurring_holidays),
        ],
        "energy": [{"id": c.id, "label": c.label, **_priced(c.prices, c.series)} for c in tariff.energy],
        "demand": [
            {
                "id": c.id,
                "label": c.label,
                "metering_minutes": c.metering_minutes,
                "prices": _price_rows(c.prices, "price_per_kw"),
            }
            for c in tariff.demand
        ],
        "fixed": [
            {"id": c.id, "label": c.label, "amount": _number(c.amount), "per": c.per} for c in tariff.fixed
        ],
        "export": tariff.export
        and {"method": tariff.export.method, **_priced(tariff.export.prices, tariff.export.series)},
        "minimum_bill": tariff.minimum
        and {"amount": _number(tariff.minimum.amount), "per": tariff.minimum.per},
        "reactive_price_per_kvar": _number(tariff.reactive_price_per_kvar),
        "taxes": [
            _filled({"id": t.id, "label": t.label, "percent": _number(t.percent), "on": list(t.on)})
            for t in tariff.taxes
        ],
    }
    return _filled(document)


def month_spans(months: Iterable[int]) -> tuple[tuple[int, int], ...]:
    """Return months (1..12) as spans of month*100 + day, neighbours joined."""
    spans: list[tuple[int, int]] = []
    for month in sorted(set(months)):
        end = month * 100 + LAST_DAY[month - 1]
        if spans and spans[-1][1] // 100 == month - 1:
            spans[-1] = (spans[-1][0], end)
        else:
            spans.append((month * 100 + 1, end))
    return tuple(spans)


def _tariff(data: Mapping[str, Any], unsupported: tuple[str, ...]) -> Tariff:
    holidays = data.get("holidays", [])
    return Tariff(
        name=data["name"],
        currency=data["currency"],
        time_zone=data["time_zone"],
        utility=data.get("utility", ""),
        source=data.get("source", ""),
        valid_from=_date(data.get("valid_from")),
        valid_to=_date(data.get("valid_to")),
        seasons=tuple(map(_season, data.get("seasons", []))),
        holidays=tuple(date.fromisoformat(day) for day in holidays if len(day) == 10),
        recurring_holidays=tuple(_month_day(day) for day in holidays if len(day) == 5),
        energy=tuple(
            EnergyComponent(c["id"], c["label"], _prices(c, "price_per_kwh"), _series(c.get("series")))
            for c in data["energy"]
        ),
        demand=tuple(
            DemandCharge(c["id"], c["label"], _prices(c, "price_per_kw"), c.get("metering_minutes", 15))
            for c in data.get("demand", [])
        ),
        fixed=tuple(
            FixedCharge(c["id"], c["label"], decimal(c["amount"]), c.get("per", "month"))
            for c in data.get("fixed", [])
        ),
        export=_export(data.get("export")),
        minimum=_minimum(data.get("minimum_bill")),
        reactive_price_per_kvar=_optional(data.get("reactive_price_per_kvar")),
        taxes=tuple(
            Tax(t["id"], t["label"], decimal(t["percent"]), tuple(t.get("on", ())))
            for t in data.get("taxes", [])
        ),
        line_decimals=data.get("line_decimals", minor_units(data["currency"])),
        unsupported=unsupported,
        notes=tuple(data.get("notes", [])),
    )


def decimal(value: float | int | str) -> Decimal:
    """Return a JSON number or numeric text as the decimal that was written."""
    return Decimal(str(value))


def _optional(value: float | str | None) -> Decimal | None:
    return None if value is None else decimal(value)


def _season(row: Mapping[str, Any]) -> Season:
    spans = tuple(
        (_month_day(first), _month_day(last)) for first, last in (d.split("..") for d in row.get("dates", []))
    )
    return Season(row["id"], row.get("label", row["id"]), spans + month_spans(row.get("months", [])))


def _prices(component: Mapping[str, Any], name: str) -> tuple[Price, ...]:
    rows = component.get("prices", [])
    return tuple(
        Price(
            row["id"],
            row.get("label", row["id"] if len(rows) > 1 else ""),  # a single price is told by its component
            decimal(row[name]),
            tuple(map(_when, row["when"])) if "when" in row else ALWAYS,
        )
        for row in rows
    )


def _when(row: Mapping[str, Any]) -> When:
    days = frozenset().union(*(_DAYS[name] for name in row["days"])) if "days" in row else ALL_DAYS
    hours = tuple(_hours(text) for text in row["hours"]) if "hours" in row else ((0, MINUTES_PER_DAY),)
    return When(tuple(row.get("seasons", ())), days, hours)


def _hours(text: str) -> tuple[int, int]:
    first, last = (int(clock[:2]) * 60 + int(clock[3:]) for clock in text.split("-"))
    return first, last or MINUTES_PER_DAY


def _series(row: Mapping[str, Any] | None) -> SeriesPrice | None:
    if row is None:
        return None
    return SeriesPrice(
        decimal(row.get("factor", 1)),
        decimal(row.get("adder_per_kwh", 0)),
        _optional(row.get("floor_per_kwh")),
        _optional(row.get("cap_per_kwh")),
    )


def _export(row: Mapping[str, Any] | None) -> Export | None:
    if row is None:
        return None
    series = _series(row.get("series", {} if row["method"] == "series" else None))
    return Export(row["method"], _prices(row, "price_per_kwh"), series)


def _minimum(row: Mapping[str, Any] | None) -> MinimumBill | None:
    return None if row is None else MinimumBill(decimal(row["amount"]), row.get("per", "month"))


def _date(text: str | None) -> date | None:
    return None if text is None else date.fromisoformat(text)


def _month_day(text: str) -> int:
    return int(text[:2]) * 100 + int(text[3:])


def _md(month_day: int) -> str:
    return f"{month_day // 100:02d}-{month_day % 100:02d}"


def _place(error: ValidationError) -> str:
    return "/".join(map(str, error.absolute_path)) or "the tariff"


def _problem(error: ValidationError) -> Problem:
    schema = error.schema if isinstance(error.schema, dict) else {}
    if error.validator == "required":
        missing = error.message.split("'")[1]
        return Problem(_place(error), f"'{missing}' is missing", schema["x-cure"])
    found = "this object" if isinstance(error.instance, dict) else repr(error.instance)
    return Problem(
        _place(error), f"{found} is not allowed here", schema.get("x-cure", "See docs/algorithms/tariff.md")
    )


def _bad_dates(data: Mapping[str, Any]) -> list[Problem]:
    """Find texts that look like dates and are none (31 June)."""
    texts = [(name, data[name]) for name in ("valid_from", "valid_to") if name in data]
    texts += [(f"holidays/{i}", day) for i, day in enumerate(data.get("holidays", []))]
    for i, season in enumerate(data.get("seasons", [])):
        texts += [(f"seasons/{i}", day) for span in season.get("dates", []) for day in span.split("..")]
    problems = []
    for place, text in texts:
        try:
            date.fromisoformat(text if re.match(r"\d{4}", text) else f"2024-{text}")
        except ValueError:
            problems.append(Problem(place, f"'{text}' is no date", "Write a day that exists"))
    return problems


def _number(value: Decimal | None) -> float | str | None:
    if value is None:
        return None
    return float(value) if decimal(float(value)) == value else str(value)


def _price_rows(prices: Sequence[Price], name: str) -> list[dict[str, Any]]:
    return [
        _filled(
            {
                "id": row.id,
                "label": row.label,
                name: _number(row.amount),
                "when": [] if row.when == ALWAYS else [_when_row(when) for when in row.when],
            }
        )
        for row in prices
    ]


def _when_row(when: When) -> dict[str, Any]:
    whole = when.hours == ((0, MINUTES_PER_DAY),)
    hours = [] if whole else [f"{_clock(first)}-{_clock(last)}" for first, last in when.hours]
    days = [] if when.days == ALL_DAYS else _day_names(when.days)
    return _filled({"seasons": list(when.seasons), "days": days, "hours": hours})


def _day_names(days: frozenset[int]) -> list[str]:
    names = []
    for name in ("weekday", "weekend", "holiday"):
        if _DAYS[name] <= days:
            names.append(name)
            days -= _DAYS[name]
    return names + [_DAY_NAMES[day] for day in sorted(days)]


def _clock(minute: int) -> str:
    return f"{minute // 60:02d}:{minute % 60:02d}"


def _priced(prices: Sequence[Price], series: SeriesPrice | None) -> dict[str, Any]:
    document: dict[str, Any] = {"prices": _price_rows(prices, "price_per_kwh")} if prices else {}
    if series is not None:
        names = ("factor", "adder_per_kwh", "floor_per_kwh", "cap_per_kwh")
        values = {name: _number(getattr(series, name)) for name in names}
        document["series"] = {name: value for name, value in values.items() if value is not None}
    return document


def _filled(document: dict[str, Any]) -> dict[str, Any]:
    """Leave out what was not given: None, empty text and empty lists."""
    return {key: value for key, value in document.items() if value is not None and value not in ("", [])}
