"""The JSON Schema of the product's own tariff format (JSON Schema 2020-12).

`x-cure` tells the writer of a tariff what to write instead; the reader prints it with the fault.
"""

from __future__ import annotations

from typing import Any

FORMAT = "depot-tariff/1"
MAX_NUMBER = 1e9

_DECIMAL = {
    "anyOf": [
        {"type": "number", "minimum": -MAX_NUMBER, "maximum": MAX_NUMBER},
        {"type": "string", "pattern": r"^-?\d{1,9}(\.\d+)?$"},
    ],
    "x-cure": "Write a number such as 0.1234, without currency sign",
}
_POSITIVE = {
    "anyOf": [
        {"type": "number", "minimum": 0, "maximum": MAX_NUMBER},
        {"type": "string", "pattern": r"^\d{1,9}(\.\d+)?$"},
    ],
    "x-cure": "Write a number of 0 or more such as 25.36, without currency sign",
}
_ABOVE_ZERO = {
    "anyOf": [
        {"type": "number", "exclusiveMinimum": 0, "maximum": MAX_NUMBER},
        {"type": "string", "pattern": r"^(?=.*[1-9])\d{1,9}(\.\d+)?$"},
    ],
    "x-cure": "Write a number above 0",
}
_ID = {
    "type": "string",
    "pattern": "^[a-z0-9][a-z0-9_-]*$",
    "maxLength": 30,
    "x-cure": "Write up to 30 small letters, digits, - and _",
}
_LABEL = {"type": "string", "minLength": 1, "maxLength": 70, "x-cure": "Write 1 to 70 characters"}
_TEXT = {"type": "string", "x-cure": "Write text"}
_YES = {"type": "boolean", "x-cure": "Write true or false"}
_MOMENT = {
    "type": "string",
    "pattern": r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(:00)?(Z|[+-]\d{2}:\d{2})$",
    "x-cure": "Write a time with UTC offset such as 2025-07-15T17:00:00-05:00",
}
_DATE = {"type": "string", "pattern": r"^\d{4}-\d{2}-\d{2}$", "x-cure": "Write a date such as 2025-06-01"}


def _object(required: list[str], **properties: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "required": required,
        "properties": properties,
        "additionalProperties": False,
        "x-cure": "Write an object with " + ", ".join(required or properties),
    }


def _list(items: Any, least: int = 0) -> dict[str, Any]:
    return {"type": "array", "items": items, "minItems": least, "x-cure": f"Write a list of at least {least}"}


def _enum(*values: Any) -> dict[str, Any]:
    return {"enum": list(values), "x-cure": "Write one of " + ", ".join(map(str, values))}


def _whole(least: int, most: int) -> dict[str, Any]:
    cure = f"Write a whole number from {least} to {most}"
    return {"type": "integer", "minimum": least, "maximum": most, "x-cure": cure}


def _keyed(pattern: str, value: dict[str, Any], cure: str) -> dict[str, Any]:
    """Describe an object whose keys are months or years."""
    return {
        "type": "object",
        "patternProperties": {pattern: value},
        "additionalProperties": {"not": {}, "x-cure": cure},
        "minProperties": 1,
        "x-cure": cure,
    }


_WHEN = _object(
    [],
    seasons=_list(_ID, 1),
    days=_list(_enum("weekday", "weekend", "holiday", "mon", "tue", "wed", "thu", "fri", "sat", "sun"), 1),
    hours=_list(
        {
            "type": "string",
            "pattern": r"^([01]\d|2[0-3]):[0-5][05]-(([01]\d|2[0-3]):[0-5][05]|24:00)$",
            "x-cure": "Write 16:00-21:00, in whole multiples of five minutes",
        },
        1,
    ),
    events=_list(_ID, 1),
)


def _tiers(name: str, value: dict[str, Any]) -> dict[str, Any]:
    return _list(_object([name], up_to=_ABOVE_ZERO, **{name: value}), 1)


def _prices(name: str, value: dict[str, Any], **more: Any) -> dict[str, Any]:
    row = _object(["id"], id=_ID, label=_LABEL, when=_list(_WHEN, 1), tiers=_tiers(name, value), **more)
    row["properties"][name] = value
    row["oneOf"] = [{"required": [given]} for given in (name, "tiers", *more)]
    row["x-cure"] = f"Give an id and either {' or '.join((name, 'tiers', *more))}"
    return _list(row, 1)


_SERIES = _object([], factor=_DECIMAL, adder_per_kwh=_DECIMAL, floor_per_kwh=_DECIMAL, cap_per_kwh=_DECIMAL)
_MONTH_DAYS = {
    "type": "string",
    "pattern": r"^\d{2}-\d{2}\.\.\d{2}-\d{2}$",
    "x-cure": "Write 06-01..09-30 (month-day, both included)",
}

_PER = _enum("month", "day", "year")
_METERING = _enum(5, 10, 15, 20, 30, 60)
_ENERGY = {
    **_object(
        ["id", "label"],
        id=_ID,
        label=_LABEL,
        prices=_prices("price_per_kwh", _DECIMAL),
        series=_SERIES,
        monthly=_keyed(
            r"^\d{4}-(0[1-9]|1[0-2])$", _DECIMAL, "Write months such as 2025-01, each with a price"
        ),
        tier_basis=_enum("kwh", "kwh_per_day", "kwh_per_kw", "kwh_per_kw_per_day"),
        tier_demand=_ID,
    ),
    "oneOf": [{"required": ["prices"]}, {"required": ["series"]}, {"required": ["monthly"]}],
    "x-cure": "Give id, label and either prices, series or monthly",
}
_DEMAND = _object(
    ["id", "label", "prices"],
    id=_ID,
    label=_LABEL,
    metering_minutes=_METERING,
    unit=_enum("kW", "kVA"),
    per=_PER,
    highest=_whole(1, 31),
    on_different_days=_YES,
    mean_of_periods=_whole(1, 24),
    least_kw=_POSITIVE,
    ratchet=_object(
        ["percent"],
        percent=_POSITIVE,
        months_back=_whole(1, 36),
        months=_list(_enum(*range(1, 13)), 1),
    ),
    prices=_prices("price_per_kw", _POSITIVE, steps=_tiers("amount", _POSITIVE)),
)
_SUBSCRIPTION = _object(
    ["id", "label", "price_per_block"],
    id=_ID,
    label=_LABEL,
    price_per_block=_POSITIVE,
    block_kw=_ABOVE_ZERO,
    subscribed_kw=_ABOVE_ZERO,
    metering_minutes=_METERING,
    overage=_object(["price_per_kw"], price_per_kw=_POSITIVE, hourly_sum=_YES, count=_whole(0, 1000)),
)
_COINCIDENT = _object(
    ["id", "label", "price_per_kw"],
    id=_ID,
    label=_LABEL,
    price_per_kw=_POSITIVE,
    moments=_list(_MOMENT),
    metering_minutes=_METERING,
    basis=_enum("same_period", "year_before"),
    known_kw=_keyed(r"^\d{4}$", _POSITIVE, "Write billing years such as 2025, each with its kW"),
)
_EXPORT = {
    **_object(
        ["method"],
        method=_enum("prices", "series", "net_metering", "net_billing_hourly", "buy_all_sell_all"),
        prices=_prices("price_per_kwh", _DECIMAL),
        series=_SERIES,
        true_up_month=_whole(1, 12),
        true_up_price_per_kwh=_POSITIVE,
        carry_credit=_YES,
    ),
    "x-cure": "Give a method, and prices or series to go with it",
}
_REACTIVE = {
    **_object([], price_per_kvar=_POSITIVE, price_per_kvarh=_POSITIVE, free_per_kw=_POSITIVE),
    "oneOf": [{"required": ["price_per_kvar"]}, {"required": ["price_per_kvarh"]}],
    "x-cure": "Give either price_per_kvar or price_per_kvarh",
}
_TAX = {
    **_object(
        ["id", "label"],
        id=_ID,
        label=_LABEL,
        percent=_DECIMAL,
        per_kwh=_DECIMAL,
        on=_list(_TEXT, 1),
        but_not=_list(_TEXT, 1),
    ),
    "oneOf": [{"required": ["percent"]}, {"required": ["per_kwh"]}],
    "x-cure": "Give id, label and either percent or per_kwh",
}

SCHEMA: dict[str, Any] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "title": "Tariff version",
    **_object(
        ["format", "name", "currency", "time_zone", "energy"],
        format=_enum(FORMAT),
        name={**_LABEL, "maxLength": 200, "x-cure": "Write 1 to 200 characters"},
        utility=_TEXT,
        source=_TEXT,
        currency={"type": "string", "pattern": "^[A-Z]{3}$", "x-cure": "Write an ISO 4217 code such as USD"},
        time_zone={"type": "string", "x-cure": "Write a zone such as America/New_York"},
        valid_from=_DATE,
        valid_to=_DATE,
        line_decimals=_enum(0, 1, 2, 3, 4, 5, 6),
        quantity_decimals=_enum(0, 1, 2, 3, 4, 5, 6),
        notes=_list(_TEXT),
        seasons=_list(
            _object(
                ["id"],
                id=_ID,
                label=_LABEL,
                dates=_list(_MONTH_DAYS, 1),
                months=_list(_enum(*range(1, 13)), 1),
            )
        ),
        holidays=_list(
            {
                "type": "string",
                "pattern": r"^(\d{4}-)?\d{2}-\d{2}$",
                "x-cure": "Write 2025-07-04, or 12-25 for every year",
            }
        ),
        events=_list(_object(["id", "days"], id=_ID, label=_LABEL, days=_list(_DATE))),
        energy=_list(_ENERGY, 1),
        demand=_list(_DEMAND),
        subscriptions=_list(_SUBSCRIPTION),
        coincident=_list(_COINCIDENT),
        fixed=_list(
            _object(
                ["id", "label", "amount"],
                id=_ID,
                label=_LABEL,
                amount=_DECIMAL,
                per=_PER,
                count=_whole(1, 10_000),
            )
        ),
        export=_EXPORT,
        minimum_bill=_object(["amount"], amount=_POSITIVE, per=_PER),
        reactive=_REACTIVE,
        reactive_price_per_kvar=_POSITIVE,
        taxes=_list(_TAX),
        proration=_object(
            [],
            standard_days=_whole(28, 31),
            whole_from_days=_whole(1, 31),
            whole_to_days=_whole(28, 62),
        ),
    ),
}
