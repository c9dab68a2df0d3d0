"""Forms of the tariff pages."""

from __future__ import annotations

import json
from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from billing.models import PriceSeries, Tariff
from billing.tariff import TariffError, read_tariff
from billing.tariff.text import parse_text, write_yaml
from billing.tariff.urdb_fields import unwrap
from depot.imports import MAX_BYTES, FileError
from depot.imports.decode import decode
from depot.words import tr


class TariffDocumentForm(forms.ModelForm):
    """A version of a tariff, its price sheet typed or uploaded as YAML or JSON; faults are told at their place."""

    text = forms.CharField(
        label=_("Price sheet"),
        required=False,
        strip=False,
        widget=forms.Textarea(attrs={"rows": 24, "spellcheck": "false", "class": "code"}),
        help_text=_("YAML or JSON in the product's own format, or OpenEI URDB."),
    )
    file = forms.FileField(
        label=_("… or a file"), required=False, help_text=_("A .yaml or .json file; it replaces the text.")
    )
    source = forms.URLField(
        label=_("Published at"),
        required=False,
        assume_scheme="https",
        help_text=_("The address of the utility's price sheet."),
    )

    class Meta:
        model = Tariff
        fields = ["name", "utility", "source", "valid_from", "valid_to"]
        labels = {"valid_from": _("First day"), "valid_to": _("Last day")}
        widgets = {
            "valid_from": forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d"),
            "valid_to": forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d"),
        }

    field_order = ["name", "utility", "valid_from", "valid_to", "source", "text", "file"]

    def __init__(self, *args: Any, definition: Any = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if definition is not None:
            self.fields["text"].initial = as_text(definition)

    def clean(self) -> dict[str, Any]:
        """Read the sheet, so that the row's own rules see it; an element that cannot be billed is a fault."""
        cleaned: dict[str, Any] = super().clean() or {}
        try:
            data = unwrap(parse_text(self._written(cleaned)))
            unsupported = read_tariff(data).unsupported
        except (TariffError, FileError) as error:
            for problem in getattr(error, "problems", (str(error),)):
                self.add_error("text", problem)
        else:
            self.instance.definition = data
            for element in unsupported:
                self.add_error(
                    "text",
                    tr(
                        "{value}. Such a tariff would be billed wrongly, so it is not saved.",
                        value=element.rstrip("."),
                    ),
                )
        return cleaned

    def _written(self, cleaned: dict[str, Any]) -> str:
        file = cleaned.get("file")
        if file is None:
            return str(cleaned.get("text") or "")
        if file.size > MAX_BYTES:
            raise FileError(
                tr(
                    "{name} has {size:.0f} MB, which no price sheet has.",
                    name=file.name,
                    size=file.size / 2**20,
                )
            )
        return decode(file.read(), file.name).text

    def _get_validation_exclusions(self) -> set[str]:
        """Let the row check that no other version of its depot begins on the same day."""
        excluded: set[str] = super()._get_validation_exclusions()  # type: ignore[misc]  # django-stubs omit it
        return excluded - {"depot"}

    def add_error(self, field: str | None, error: Any) -> None:
        """Show what the row says of its definition at the text."""
        if field is None and hasattr(error, "error_dict") and "definition" in error.error_dict:
            error.error_dict["text"] = error.error_dict.pop("definition")
        super().add_error(field, error)


class SourceForm(forms.ModelForm):
    """Where the market's prices come from."""

    class Meta:
        model = PriceSeries
        fields = ["source", "area"]
        labels = {"source": _("New prices come from"), "area": _("Bidding zone")}


def as_text(definition: Any) -> str:
    """Return a stored sheet as people edit it: the own format as YAML, URDB as JSON."""
    if isinstance(definition, dict) and "format" in definition:
        return write_yaml(definition)
    return json.dumps(definition, indent=2, ensure_ascii=False)
