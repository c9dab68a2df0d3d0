"""The JSON Schema of the product's own tariff format (JSON Schema 2020-12).

`x-cure` tells the writer of a tariff what to write instead; the reader prints it with the fault.
"""

from __future__ import annotations

from typing import Any

FORMAT = "depot-tariff/1"

_DECIMAL = {
    "anyOf": [{"type": "number"}, {"type": "string", "pattern": r"^-?\d+(\.\d+)?$"}],
    "x-cure": "Write a number such as 0.1234, without currency sign",
}
_POSITIVE = {
    "anyOf": [{"type": "number", "minimum": 0}, {"type": "string", "pattern": r"^\d+(\.\d+)?$"}],
    "x-cure": "Write a number of 0 or more such as 25.36, without currency sign",
}
_ID = {
    "type": "string",
    "pattern": "^[a-z0-9][a-z0-9_-]*$",
    "maxLength": 30,
    "x-cure": "Write up to 30 small letters, digits, - and _",
}
_LABEL = {"type": "string", "minLength": 1, "maxLength": 70, "x-cure": "Write 1 to 70 characters"}
_TEXT = {"type": "string", "x-cure": "Write text"}
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
)


def _prices(name: str, value: dict[str, Any]) -> dict[str, Any]:
    row = _object(["id", name], id=_ID, label=_LABEL, when=_list(_WHEN, 1))
    row["properties"][name] = value
    return _list(row, 1)


_SERIES = _object([], factor=_DECIMAL, adder_per_kwh=_DECIMAL, floor_per_kwh=_DECIMAL, cap_per_kwh=_DECIMAL)
_MONTH_DAYS = {
    "type": "string",
    "pattern": r"^\d{2}-\d{2}\.\.\d{2}-\d{2}$",
    "x-cure": "Write 06-01..09-30 (month-day, both included)",
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
        energy=_list(
            {
                **_object(
                    ["id", "label"],
                    id=_ID,
                    label=_LABEL,
                    prices=_prices("price_per_kwh", _DECIMAL),
                    series=_SERIES,
                ),
                "oneOf": [{"required": ["prices"]}, {"required": ["series"]}],
                "x-cure": "Give id, label and either prices or series",
            },
            1,
        ),
        demand=_list(
            _object(
                ["id", "label", "prices"],
                id=_ID,
                label=_LABEL,
                metering_minutes=_enum(5, 10, 15, 20, 30, 60),
                prices=_prices("price_per_kw", _POSITIVE),
            )
        ),
        fixed=_list(
            _object(
                ["id", "label", "amount"],
                id=_ID,
                label=_LABEL,
                amount=_DECIMAL,
                per=_enum("month", "day", "year"),
            )
        ),
        export={
            **_object(
                ["method"],
                method=_enum("prices", "series", "net_metering", "net_billing_hourly"),
                prices=_prices("price_per_kwh", _DECIMAL),
                series=_SERIES,
            ),
            "x-cure": "Give a method, and prices or series to go with it",
        },
        minimum_bill=_object(["amount"], amount=_POSITIVE, per=_enum("month", "day")),
        reactive_price_per_kvar=_POSITIVE,
        taxes=_list(
            _object(["id", "label", "percent"], id=_ID, label=_LABEL, percent=_DECIMAL, on=_list(_TEXT, 1))
        ),
    ),
}
