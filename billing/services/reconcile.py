"""Keep the utility's bill of a period, to be compared with the depot's own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.db import transaction

from billing.models import Bill, UtilityBill, UtilityLine
from depot import audit
from depot.money import format_money
from depot.words import later, month_year


@dataclass(frozen=True, slots=True)
class EnteredLine:
    """One line as it was typed in; `line_id` names the line of the depot's bill beside it, empty for none."""

    label: str
    amount: Decimal
    quantity: Decimal | None = None
    unit: str = ""
    line_id: str = ""


@dataclass(frozen=True, slots=True)
class Entered:
    """The utility's bill as it was typed in."""

    total: Decimal
    lines: Sequence[EnteredLine]
    number: str = ""
    note: str = ""


def enter_utility_bill(bill: Bill, entered: Entered, by: Any, now: datetime) -> UtilityBill:
    """Store the utility's bill of the period of `bill`, in place of one that was entered before."""
    depot = bill.depot
    with transaction.atomic():
        before = UtilityBill.objects.select_for_update().filter(depot=depot, start_at=bill.start_at).first()
        row, _ = UtilityBill.objects.update_or_create(
            depot=depot,
            start_at=bill.start_at,
            defaults={
                "end_at": bill.end_at,
                "number": entered.number,
                "currency": bill.currency,
                "total": entered.total,
                "note": entered.note,
                "entered_at": now,
                "entered_by": by,
            },
        )
        row.lines.all().delete()
        UtilityLine.objects.bulk_create(
            UtilityLine(
                utility_bill=row,
                position=position,
                line_id=line.line_id,
                label=line.label,
                quantity=line.quantity,
                unit=line.unit,
                amount=line.amount,
            )
            for position, line in enumerate(entered.lines)
        )
        _record(bill, row, before, by)
    return row


def _record(bill: Bill, row: UtilityBill, before: UtilityBill | None, by: Any) -> None:
    total = format_money(row.total, row.currency)
    month = month_year(row.depot.local(row.start_at))
    was = later(", before {total}", total=format_money(before.total, before.currency)) if before else ""
    facts = {"utility_bill": row.pk, "bill": bill.pk, "total": str(row.total), "ours": str(bill.total)}
    audit.record(
        row.depot,
        by,
        "utility_bill.entered",
        later(
            "{by} entered the utility's bill of {month}: {total}{was}; ours is {ours}.",
            by=by,
            month=month,
            total=total,
            was=was,
            ours=format_money(bill.total, bill.currency),
        ),
        **facts,
    )
