"""Forms of the Bills page."""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

from billing.models import Bill, UtilityBill
from billing.services.reconcile import Entered, EnteredLine
from depot.imports.values import CellError, DecimalMark, decimal_mark, parse_number
from depot.words import tr

FREE_LINES = 3
MOST_LINES = 80
MOST = Decimal(10) ** 11
SIGNS = re.compile(r"^[A-Z]{3}\s*|[$€£¥₹]|\s*[A-Z]{3}$")
NUMBERS = ("-amount", "-quantity", "total")


class NumberField(forms.CharField):
    """A number as people copy it from a bill: with a currency sign, thousands marks, a true minus, a decimal comma."""

    widget = forms.TextInput({"inputmode": "decimal", "autocomplete": "off"})
    mark: DecimalMark = ""

    def clean(self, value: Any) -> Decimal | None:
        text = SIGNS.sub("", super().clean(value).strip()).replace("−", "-").strip()
        if not text:
            return None
        try:
            number = Decimal(str(parse_number(text, self.mark)))
        except CellError as error:
            raise ValidationError(str(error)) from error
        if abs(number) >= MOST:
            raise ValidationError(tr("This number is too large for a bill."))
        return number


class _Marked(forms.Form):
    """A form whose numbers are read with the decimal mark that the whole page proves."""

    def __init__(self, *args: Any, mark: DecimalMark = "", **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for field in self.fields.values():
            if isinstance(field, NumberField):
                field.mark = mark


class UtilityBillForm(_Marked):
    """What stands on the utility's bill beside its lines."""

    number = forms.CharField(label=_("Number of the bill"), required=False, max_length=60)
    total = NumberField(label=_("Total of the bill"))
    note = forms.CharField(label=_("Note"), required=False, max_length=300)


class UtilityLineForm(_Marked):
    """One line of the utility's bill; a row without an amount is not on it."""

    line_id = forms.CharField(required=False, max_length=200, widget=forms.HiddenInput)
    label = forms.CharField(label=_("Line"), required=False, max_length=400)
    quantity = NumberField(label=_("Quantity"), required=False)
    unit = forms.CharField(label=_("Unit"), required=False, max_length=20)
    amount = NumberField(label=_("Amount"), required=False)

    def clean(self) -> dict[str, Any]:
        data = super().clean() or self.cleaned_data
        free = not data.get("line_id")
        if free and data.get("amount") is None and "amount" not in self.errors:
            if data.get("label") or data.get("quantity") is not None:
                self.add_error("amount", tr("Enter the amount, or empty the row."))
        elif free and data.get("amount") is not None and not data.get("label"):
            self.add_error("label", tr("Enter what the line is called."))
        return data

    def line(self) -> EnteredLine | None:
        """Return the line of a valid form; None for one that is not on the utility's bill."""
        data = self.cleaned_data
        if data.get("amount") is None:
            return None
        return EnteredLine(data["label"], data["amount"], data["quantity"], data["unit"], data["line_id"])


LineForms = forms.formset_factory(UtilityLineForm, extra=0, max_num=MOST_LINES, absolute_max=MOST_LINES)


class ReconcileForm:
    """The whole page of numbers: the utility's bill and its lines, beside those of a bill of the depot."""

    def __init__(
        self, bill: Bill, utility: UtilityBill | None, data: Mapping[str, Any] | None = None
    ) -> None:
        mark: DecimalMark = ""
        if data is not None:
            mark = decimal_mark(
                SIGNS.sub("", str(value).strip()) for name, value in data.items() if name.endswith(NUMBERS)
            )
        initial = {"number": utility.number, "total": utility.total, "note": utility.note} if utility else {}
        self.bill = bill
        self.head = UtilityBillForm(data, initial=initial, mark=mark)
        self.lines = LineForms(data, initial=_rows(bill, utility), form_kwargs={"mark": mark}, prefix="lines")

    def entered(self) -> Entered | None:
        """Return what was typed in; None when it has errors, which are then in the forms."""
        if not (self.head.is_valid() & self.lines.is_valid()):
            return None
        known = {line.line_id for line in self.bill.lines.all()}
        lines = [line for form in self.lines.forms if (line := form.line()) is not None]
        if any(line.line_id and line.line_id not in known for line in lines):
            self.head.add_error(
                None, tr("The bill has other lines now. Look at them and enter the numbers again.")
            )
            return None
        data = self.head.cleaned_data
        return Entered(data["total"], lines, data["number"], data["note"])


def _rows(bill: Bill, utility: UtilityBill | None) -> list[dict[str, Any]]:
    """Return a row for each line of the depot's bill, then the utility's other lines, then empty ones."""
    ours = list(bill.lines.all())
    known = {line.line_id for line in ours}
    theirs = list(utility.lines.all()) if utility else []
    by_id = {line.line_id: line for line in theirs if line.line_id in known}
    rows = []
    for line in ours:
        found = by_id.get(line.line_id)
        rows.append(
            {
                "line_id": line.line_id,
                "label": found.label if found else line.label,
                "unit": line.unit,
                "quantity": _plain(found.quantity) if found else None,
                "amount": _plain(found.amount) if found else None,
            }
        )
    rows += [
        {
            "label": line.label,
            "quantity": _plain(line.quantity),
            "unit": line.unit,
            "amount": _plain(line.amount),
        }
        for line in theirs
        if line.line_id not in known
    ]
    return rows + [{} for _ in range(FREE_LINES)]


def _plain(value: Decimal | None) -> str | None:
    """Write a number without the zeros that the database adds."""
    return None if value is None else f"{value.normalize():f}"
