"""Write a tariff in the product's own format, so that reading it gives an equal tariff."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from billing.tariff.model import (
    ALL_DAYS,
    ALWAYS,
    DAY_NAMES,
    MINUTES_PER_DAY,
    Coincident,
    DemandCharge,
    EnergyComponent,
    Export,
    Price,
    Reactive,
    SeriesPrice,
    Subscription,
    Tariff,
    Tax,
    Tier,
    When,
)
from billing.tariff.schema import decimal
from billing.tariff.schema_document import FORMAT
from depot.words import tr


def to_document(tariff: Tariff) -> dict[str, Any]:
    """Write a tariff in the product's own format; what equals a default is left out.

    Raises ValueError for a tariff without a time zone or with unsupported elements: the format holds neither.
    """
    if not tariff.time_zone or tariff.unsupported:
        raise ValueError(
            tr("Only a tariff with a time zone and without unsupported elements can be written.")
        )
    return _filled(
        {
            "format": FORMAT,
            "name": tariff.name,
            "utility": tariff.utility,
            "source": tariff.source,
            "currency": tariff.currency,
            "time_zone": tariff.time_zone,
            "valid_from": tariff.valid_from and tariff.valid_from.isoformat(),
            "valid_to": tariff.valid_to and tariff.valid_to.isoformat(),
            "line_decimals": tariff.line_decimals,
            "quantity_decimals": tariff.quantity_decimals if tariff.quantity_decimals != 3 else None,
            "notes": list(tariff.notes),
            **_calendar(tariff),
            "energy": list(map(_energy, tariff.energy)),
            "demand": list(map(_demand, tariff.demand)),
            "subscriptions": list(map(_subscription, tariff.subscriptions)),
            "coincident": list(map(_coincident, tariff.coincident)),
            "fixed": [
                _filled(
                    {
                        "id": c.id,
                        "label": c.label,
                        "amount": _number(c.amount),
                        "per": c.per,
                        "count": c.count if c.count != 1 else None,
                    }
                )
                for c in tariff.fixed
            ],
            "export": tariff.export and _export(tariff.export),
            "minimum_bill": tariff.minimum
            and {"amount": _number(tariff.minimum.amount), "per": tariff.minimum.per},
            "reactive": tariff.reactive and _reactive(tariff.reactive),
            "taxes": list(map(_tax, tariff.taxes)),
            "proration": tariff.proration
            and {name: getattr(tariff.proration, name) for name in tariff.proration.__slots__},
        }
    )


def _calendar(tariff: Tariff) -> dict[str, Any]:
    return {
        "seasons": [
            {"id": s.id, "label": s.label, "dates": [f"{_md(a)}..{_md(b)}" for a, b in s.spans]}
            for s in tariff.seasons
        ],
        "holidays": [
            *(day.isoformat() for day in tariff.holidays),
            *(_md(day) for day in tariff.recurring_holidays),
        ],
        "events": [
            {"id": e.id, "label": e.label, "days": [day.isoformat() for day in e.days]} for e in tariff.events
        ],
    }


def _energy(component: EnergyComponent) -> dict[str, Any]:
    return _filled(
        {
            "id": component.id,
            "label": component.label,
            **_priced(component.prices, component.series),
            "monthly": {f"{m // 100}-{m % 100:02d}": _number(price) for m, price in component.monthly}
            or None,
            "tier_basis": component.tier_basis if component.tier_basis != "kwh" else None,
            "tier_demand": component.tier_demand,
        }
    )


def _demand(charge: DemandCharge) -> dict[str, Any]:
    ratchet = charge.ratchet
    return _filled(
        {
            "id": charge.id,
            "label": charge.label,
            "metering_minutes": charge.metering_minutes,
            "unit": charge.unit if charge.unit != "kW" else None,
            "per": charge.per if charge.per != "month" else None,
            "highest": charge.highest if charge.highest != 1 else None,
            "on_different_days": None if charge.on_different_days else False,
            "mean_of_periods": charge.mean_of_periods if charge.mean_of_periods != 1 else None,
            "least_kw": _number(charge.least_kw) if charge.least_kw else None,
            "ratchet": ratchet
            and _filled(
                {
                    "percent": _number(ratchet.percent),
                    "months_back": ratchet.months_back,
                    "months": list(ratchet.months),
                }
            ),
            "prices": _price_rows(charge.prices, "price_per_kw"),
        }
    )


def _subscription(charge: Subscription) -> dict[str, Any]:
    over = charge.overage
    return _filled(
        {
            "id": charge.id,
            "label": charge.label,
            "price_per_block": _number(charge.price_per_block),
            "block_kw": _number(charge.block_kw),
            "subscribed_kw": _number(charge.subscribed_kw),
            "metering_minutes": charge.metering_minutes,
            "overage": over
            and {
                "price_per_kw": _number(over.price_per_kw),
                "hourly_sum": over.hourly_sum,
                "count": over.count,
            },
        }
    )


def _coincident(charge: Coincident) -> dict[str, Any]:
    return _filled(
        {
            "id": charge.id,
            "label": charge.label,
            "price_per_kw": _number(charge.price_per_kw),
            "moments": [at.isoformat() for at in charge.moments],
            "metering_minutes": charge.metering_minutes,
            "basis": charge.basis,
            "known_kw": {str(year): _number(kw) for year, kw in charge.known_kw} or None,
        }
    )


def _export(export: Export) -> dict[str, Any]:
    return _filled(
        {
            "method": export.method,
            **_priced(export.prices, export.series),
            "true_up_month": export.true_up_month if export.true_up_month != 12 else None,
            "true_up_price_per_kwh": _number(export.true_up_price_per_kwh)
            if export.true_up_price_per_kwh
            else None,
            "carry_credit": export.carry_credit or None,
        }
    )


def _reactive(reactive: Reactive) -> dict[str, Any]:
    free = _number(reactive.free_per_kw) if reactive.free_per_kw else None
    return _filled({f"price_per_{reactive.unit}": _number(reactive.price), "free_per_kw": free})


def _tax(tax: Tax) -> dict[str, Any]:
    price = {"percent": _number(tax.percent)} if tax.per_kwh is None else {"per_kwh": _number(tax.per_kwh)}
    return _filled(
        {"id": tax.id, "label": tax.label, **price, "on": list(tax.on), "but_not": list(tax.but_not)}
    )


def _price_rows(prices: Sequence[Price], name: str) -> list[dict[str, Any]]:
    return [
        _filled(
            {
                "id": row.id,
                "label": row.label,
                name: None if row.tiers or row.steps else _number(row.amount),
                "tiers": _tiers(row.tiers, name),
                "steps": _tiers(row.steps, "amount"),
                "when": [] if row.when == ALWAYS else [_when_row(when) for when in row.when],
            }
        )
        for row in prices
    ]


def _tiers(tiers: Sequence[Tier], name: str) -> list[dict[str, Any]]:
    return [_filled({"up_to": _number(tier.up_to), name: _number(tier.amount)}) for tier in tiers]


def _when_row(when: When) -> dict[str, Any]:
    whole = when.hours == ((0, MINUTES_PER_DAY),)
    hours = [] if whole else [f"{_clock(first)}-{_clock(last)}" for first, last in when.hours]
    days = [] if when.days == ALL_DAYS else _day_names(when.days)
    return _filled({"seasons": list(when.seasons), "days": days, "hours": hours, "events": list(when.events)})


def _day_names(days: frozenset[int]) -> list[str]:
    names = []
    for name, held in DAY_NAMES.items():  # the wider names come first
        if held <= days:
            names.append(name)
            days -= held
    return names


def _clock(minute: int) -> str:
    return f"{minute // 60:02d}:{minute % 60:02d}"


def _priced(prices: Sequence[Price], series: SeriesPrice | None) -> dict[str, Any]:
    document: dict[str, Any] = {"prices": _price_rows(prices, "price_per_kwh")} if prices else {}
    if series is not None:
        names = ("factor", "adder_per_kwh", "floor_per_kwh", "cap_per_kwh")
        values = {name: _number(getattr(series, name)) for name in names}
        document["series"] = {name: value for name, value in values.items() if value is not None}
    return document


def _number(value: Decimal | None) -> float | str | None:
    if value is None:
        return None
    return float(value) if decimal(float(value)) == value else str(value)


def _filled(document: dict[str, Any]) -> dict[str, Any]:
    """Leave out what was not given: None, empty text and empty lists."""
    return {key: value for key, value in document.items() if value is not None and value not in ("", [])}


def _md(month_day: int) -> str:
    return f"{month_day // 100:02d}-{month_day % 100:02d}"
