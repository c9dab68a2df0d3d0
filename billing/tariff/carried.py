"""What rolls from one billing period to the next beside demand peaks, so that periods can be billed one by one."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Any

from billing.tariff.problems import LoadError, Problem
from depot.words import mark, tr

CURE = mark("Give what an earlier bill answered as “carried”")


@dataclass(frozen=True, slots=True)
class Carried:
    """Hold what a billing period hands on: money credit, net-metered kWh, and the charges of its year.

    `kwh` are (component, price row, exported kWh still to be credited). `charges` are (first day, charges before
    tax) of the calendar year's billing periods, from the first one known: a yearly minimum bill counts them.
    """

    credit: Decimal = Decimal(0)
    kwh: tuple[tuple[str, str, Decimal], ...] = ()
    charges: tuple[tuple[date, Decimal], ...] = ()

    def as_json(self) -> dict[str, Any]:
        """Return it as a JSON object; empty when nothing rolls on."""
        document: dict[str, Any] = {}
        if self.credit:
            document["credit"] = str(self.credit)
        if self.kwh:
            document["kwh"] = [[component, row, str(kwh)] for component, row, kwh in self.kwh]
        if self.charges:
            document["charges"] = {day.isoformat(): str(amount) for day, amount in self.charges}
        return document


NOTHING = Carried()


def carried_from(document: Any, place: str = "carried") -> Carried:
    """Return what `Carried.as_json` wrote; raise LoadError for anything else."""
    try:
        return Carried(
            Decimal(document.get("credit", 0)),
            tuple(
                (str(component), str(row), Decimal(kwh)) for component, row, kwh in document.get("kwh", [])
            ),
            tuple(
                (date.fromisoformat(day), Decimal(amount))
                for day, amount in document.get("charges", {}).items()
            ),
        )
    except (AttributeError, TypeError, ValueError, InvalidOperation) as error:
        raise LoadError([Problem(place, tr("it is not what a bill carries on"), tr(CURE))]) from error


def read_carried(text: str, file: str = "carried") -> Carried:
    """Read `Carried` from JSON text: an object, or a bill's answer that holds one as `carried`."""
    try:
        document = json.loads(text)
    except ValueError as error:
        raise LoadError([Problem(file, tr("it is not JSON ({error})", error=error), tr(CURE))]) from error
    if isinstance(document, dict) and "carried" in document:
        document = document["carried"]
    return carried_from(document, file)
