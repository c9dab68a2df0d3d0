"""Read the product's own tariff format; docs/algorithms/tariff.md describes it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import date, datetime
from decimal import Decimal
from math import isfinite
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError

from billing.tariff.model import (
    ALL_DAYS,
    ALWAYS,
    DAY_NAMES,
    MINUTES_PER_DAY,
    Coincident,
    DemandCharge,
    EnergyComponent,
    EventDays,
    Export,
    FixedCharge,
    MinimumBill,
    Overage,
    Price,
    Proration,
    Ratchet,
    Reactive,
    Season,
    SeriesPrice,
    Subscription,
    Tariff,
    Tax,
    Tier,
    When,
)
from billing.tariff.problems import Problem, TariffError
from billing.tariff.schema_document import SCHEMA
from depot.money import minor_units
from depot.words import tr

LAST_DAY = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)


def from_document(data: Mapping[str, Any]) -> Tariff:
    """Make a tariff from a document of the product's own format.

    A key that the format does not know is an element that the engine cannot bill: it goes to
    `Tariff.unsupported` by name. Every other fault raises TariffError, all of them at once.
    """
    problems = list(_not_finite(data, ""))
    refused: list[Problem] = []
    for error in sorted(Draft202012Validator(SCHEMA).iter_errors(data), key=lambda e: list(map(str, e.path))):
        if error.validator == "additionalProperties":
            for key in sorted(set(error.instance) - set(error.schema["properties"])):
                message = tr("element '{key}' in {error} is not supported", key=key, error=_place(error))
                refused.append(Problem(key, message, tr("Remove it")))
        else:
            problems.append(_problem(error))
    problems += _bad_dates(data) if not problems else []
    if problems:
        raise TariffError([*problems, *refused])
    return _tariff(data, tuple(f"{element.place}: {element.message}." for element in refused))


def _not_finite(value: Any, place: str) -> Iterator[Problem]:
    """Find numbers that JSON does not know but Python reads: NaN and Infinity."""
    if isinstance(value, float) and not isfinite(value):
        yield Problem(place, tr("{value} is not a number", value=value), tr("Write a number such as 0.1234"))
    inner = (
        value.items() if isinstance(value, Mapping) else enumerate(value) if isinstance(value, list) else ()
    )
    for key, part in inner:
        yield from _not_finite(part, f"{place}/{key}" if place else str(key))


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
        events=tuple(map(_events, data.get("events", []))),
        energy=tuple(map(_energy, data["energy"])),
        demand=tuple(map(_demand, data.get("demand", []))),
        subscriptions=tuple(map(_subscription, data.get("subscriptions", []))),
        coincident=tuple(map(_coincident, data.get("coincident", []))),
        fixed=tuple(
            FixedCharge(
                c["id"], c["label"], decimal(c["amount"]), c.get("per", "month"), int(c.get("count", 1))
            )
            for c in data.get("fixed", [])
        ),
        export=_export(data.get("export")),
        minimum=_minimum(data.get("minimum_bill")),
        reactive=_reactive(data),
        taxes=tuple(map(_tax, data.get("taxes", []))),
        proration=None if "proration" not in data else Proration(**data["proration"]),
        quantity_decimals=data.get("quantity_decimals", 3),
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


def _events(row: Mapping[str, Any]) -> EventDays:
    return EventDays(row["id"], row.get("label", row["id"]), tuple(map(date.fromisoformat, row["days"])))


def _energy(row: Mapping[str, Any]) -> EnergyComponent:
    monthly = {int(month.replace("-", "")): decimal(price) for month, price in row.get("monthly", {}).items()}
    return EnergyComponent(
        row["id"],
        row["label"],
        _prices(row, "price_per_kwh"),
        _series(row.get("series")),
        tuple(sorted(monthly.items())),
        row.get("tier_basis", "kwh"),
        row.get("tier_demand", ""),
    )


def _demand(row: Mapping[str, Any]) -> DemandCharge:
    return DemandCharge(
        row["id"],
        row["label"],
        _prices(row, "price_per_kw"),
        metering_minutes=row.get("metering_minutes", 15),
        unit=row.get("unit", "kW"),
        per=row.get("per", "month"),
        highest=row.get("highest", 1),
        on_different_days=row.get("on_different_days", True),
        mean_of_periods=row.get("mean_of_periods", 1),
        least_kw=decimal(row.get("least_kw", 0)),
        ratchet=_ratchet(row.get("ratchet")),
    )


def _ratchet(row: Mapping[str, Any] | None) -> Ratchet | None:
    if row is None:
        return None
    return Ratchet(decimal(row["percent"]), row.get("months_back", 11), tuple(sorted(row.get("months", ()))))


def _subscription(row: Mapping[str, Any]) -> Subscription:
    over = row.get("overage")
    return Subscription(
        row["id"],
        row["label"],
        decimal(row["price_per_block"]),
        decimal(row.get("block_kw", 1)),
        _optional(row.get("subscribed_kw")),
        over and Overage(decimal(over["price_per_kw"]), over.get("hourly_sum", False), over.get("count", 0)),
        row.get("metering_minutes", 15),
    )


def _coincident(row: Mapping[str, Any]) -> Coincident:
    known = {int(year): decimal(kw) for year, kw in row.get("known_kw", {}).items()}
    return Coincident(
        row["id"],
        row["label"],
        decimal(row["price_per_kw"]),
        tuple(sorted(map(datetime.fromisoformat, row.get("moments", ())))),
        row.get("metering_minutes", 60),
        row.get("basis", "same_period"),
        tuple(sorted(known.items())),
    )


def _prices(component: Mapping[str, Any], name: str) -> tuple[Price, ...]:
    rows = component.get("prices", [])
    # a single price is told by its component
    return tuple(_price(row, name, row["id"] if len(rows) > 1 else "") for row in rows)


def _price(row: Mapping[str, Any], name: str, label: str) -> Price:
    tiers, steps = _tiers(row.get("tiers", ()), name), _tiers(row.get("steps", ()), "amount")
    amount = tiers[0].amount if tiers else decimal(row.get(name, 0))
    when = tuple(map(_when, row["when"])) if "when" in row else ALWAYS
    return Price(row["id"], row.get("label", label), amount, when, tiers, steps)


def _tiers(rows: Iterable[Mapping[str, Any]], name: str) -> tuple[Tier, ...]:
    return tuple(Tier(_optional(row.get("up_to")), decimal(row[name])) for row in rows)


def _when(row: Mapping[str, Any]) -> When:
    days = frozenset().union(*(DAY_NAMES[name] for name in row["days"])) if "days" in row else ALL_DAYS
    hours = tuple(_hours(text) for text in row["hours"]) if "hours" in row else ((0, MINUTES_PER_DAY),)
    return When(tuple(row.get("seasons", ())), days, hours, tuple(row.get("events", ())))


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
    return Export(
        row["method"],
        _prices(row, "price_per_kwh"),
        series,
        row.get("true_up_month", 12),
        decimal(row.get("true_up_price_per_kwh", 0)),
        row.get("carry_credit", False),
    )


def _minimum(row: Mapping[str, Any] | None) -> MinimumBill | None:
    return None if row is None else MinimumBill(decimal(row["amount"]), row.get("per", "month"))


def _reactive(data: Mapping[str, Any]) -> Reactive | None:
    """Read `reactive`, or its older short form `reactive_price_per_kvar`."""
    row = data.get("reactive")
    if row is None:
        price = _optional(data.get("reactive_price_per_kvar"))
        return Reactive(price) if price else None
    free = decimal(row.get("free_per_kw", 0))
    if "price_per_kvarh" in row:
        return Reactive(decimal(row["price_per_kvarh"]), "kvarh", free)
    return Reactive(decimal(row["price_per_kvar"]), "kvar", free)


def _tax(row: Mapping[str, Any]) -> Tax:
    return Tax(
        row["id"],
        row["label"],
        decimal(row.get("percent", 0)),
        _optional(row.get("per_kwh")),
        tuple(row.get("on", ())),
        tuple(row.get("but_not", ())),
    )


def _date(text: str | None) -> date | None:
    return None if text is None else date.fromisoformat(text)


def _month_day(text: str) -> int:
    return int(text[:2]) * 100 + int(text[3:])


def _place(error: ValidationError) -> str:
    return "/".join(map(str, error.absolute_path)) or tr("the tariff")


def _problem(error: ValidationError) -> Problem:
    schema = error.schema if isinstance(error.schema, dict) else {}
    if error.validator == "required":
        missing = error.message.split("'")[1]
        return Problem(_place(error), tr("'{missing}' is missing", missing=missing), schema["x-cure"])
    found = tr("this object") if isinstance(error.instance, dict) else repr(error.instance)
    return Problem(
        _place(error),
        tr("{found} is not allowed here", found=found),
        schema.get("x-cure", tr("See docs/algorithms/tariff.md")),
    )


def _bad_dates(data: Mapping[str, Any]) -> list[Problem]:
    """Find texts that look like dates and are none (31 June)."""
    texts = [(name, data[name]) for name in ("valid_from", "valid_to") if name in data]
    texts += [(f"holidays/{i}", day) for i, day in enumerate(data.get("holidays", []))]
    texts += [(f"events/{i}", day) for i, event in enumerate(data.get("events", [])) for day in event["days"]]
    for i, season in enumerate(data.get("seasons", [])):
        texts += [(f"seasons/{i}", day) for span in season.get("dates", []) for day in span.split("..")]
    problems = []
    for place, text in texts:
        try:
            date.fromisoformat(text if re.match(r"\d{4}", text) else f"2024-{text}")
        except ValueError:
            problems.append(
                Problem(place, tr("'{text}' is no date", text=text), tr("Write a day that exists"))
            )
    return problems
