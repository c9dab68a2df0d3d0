"""Bill one load with many tariffs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, tzinfo
from decimal import Decimal
from typing import Any

from billing.tariff.bill import bill, in_order
from billing.tariff.carried import NOTHING, Carried
from billing.tariff.history import History
from billing.tariff.load import LoadSeries
from billing.tariff.model import Tariff
from billing.tariff.problems import InputError
from billing.tariff.result import BillResult

KINDS = ("energy", "demand", "subscription", "coincident", "fixed", "reactive", "export", "minimum", "tax")


@dataclass(frozen=True, slots=True)
class Compared:
    """One tariff's bill of the load; `result` is None, and `problems` say why, when it cannot bill it."""

    tariff: Tariff
    result: BillResult | None
    problems: tuple[str, ...] = ()

    @property
    def total(self) -> Decimal | None:
        """Return the bill's total, None without one."""
        return self.result.total if self.result else None

    @property
    def by_kind(self) -> dict[str, Decimal]:
        """Return the total of each kind of line that the bill has: energy, demand, fixed and so on."""
        lines = [line for period in self.result.periods for line in period.lines] if self.result else []
        sums = {kind: [line.amount for line in lines if line.id.startswith(kind)] for kind in KINDS}
        return {kind: sum(amounts, Decimal(0)) for kind, amounts in sums.items() if amounts}

    def as_json(self) -> dict[str, Any]:
        """Return name, currency, total, totals by kind, and what stands in the way."""
        document: dict[str, Any] = {"name": self.tariff.name, "currency": self.tariff.currency}
        if self.total is not None:
            document |= {"total": float(self.total)}
            document |= {"by_kind": {kind: float(amount) for kind, amount in self.by_kind.items()}}
        return document | {"problems": list(self.problems)}


def compare(
    tariffs: Iterable[Tariff | Sequence[Tariff]],
    load: LoadSeries,
    *,
    time_zone: tzinfo | None = None,
    cycle_starts: Sequence[date] | None = None,
    history: History | None = None,
    carried: Carried = NOTHING,
) -> list[Compared]:
    """Bill a load with each tariff (or list of versions), cheapest first; those that cannot come last.

    Amounts of tariffs in different currencies are sorted as numbers: compare within one currency.
    """
    found = []
    for tariff in tariffs:
        first = in_order(tariff)[0]
        try:
            result = bill(
                tariff,
                load,
                time_zone=time_zone,
                cycle_starts=cycle_starts,
                history=history,
                carried=carried,
            )
        except InputError as error:
            found.append(Compared(first, None, error.problems))
        else:
            problems = result.unsupported
            found.append(Compared(first, None if problems else result, problems))
    return sorted(found, key=lambda one: (one.total is None, one.total or Decimal(0)))
