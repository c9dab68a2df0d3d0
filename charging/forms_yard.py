"""The form that lays out the yard: a row and a place for every connector."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from django import forms

from charging.models import Connector
from charging.selectors.board_yard import Place, suggested
from depot.words import tr

MOST_ROWS = 99
MOST_PLACES = 99


class YardForm(forms.Form):
    """Numbers of rows and places; both empty means nowhere. What is not laid out yet is suggested from bay names."""

    def __init__(self, connectors: Sequence[Connector], *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.connectors = connectors
        self.new = all(connector.yard_row is None for connector in connectors)
        hints = suggested([str(connector) for connector in connectors]) if self.new else []
        for index, connector in enumerate(connectors):
            row, place = hints[index] if self.new else (connector.yard_row, connector.yard_place)
            self.fields[f"row_{connector.pk}"] = _number(
                tr("Row of {connector}", connector=connector), row, MOST_ROWS
            )
            self.fields[f"place_{connector.pk}"] = _number(
                tr("Place of {connector}", connector=connector), place, MOST_PLACES
            )

    def lines(self) -> Iterator[tuple[Connector, forms.BoundField, forms.BoundField]]:
        """Yield each connector with its two fields."""
        for connector in self.connectors:
            yield connector, self[f"row_{connector.pk}"], self[f"place_{connector.pk}"]

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        taken: dict[Place, Connector] = {}
        for connector in self.connectors:
            row, place = data.get(f"row_{connector.pk}"), data.get(f"place_{connector.pk}")
            if (row is None) != (place is None) and not self._refused(connector):
                missing = "row" if row is None else "place"
                self.add_error(f"{missing}_{connector.pk}", tr("Enter row and place, or neither."))
            elif row is not None and place is not None:
                other = taken.setdefault((row, place), connector)
                if other is not connector:
                    self.add_error(f"place_{connector.pk}", tr("{other} stands there already.", other=other))
        return data

    def _refused(self, connector: Connector) -> bool:
        return f"row_{connector.pk}" in self.errors or f"place_{connector.pk}" in self.errors

    @property
    def places(self) -> dict[int, Place | None]:
        """Return the places of a valid form by connector id."""
        data = self.cleaned_data
        return {
            connector.pk: (data[f"row_{connector.pk}"], data[f"place_{connector.pk}"])
            if data[f"row_{connector.pk}"]
            else None
            for connector in self.connectors
        }


def _number(label: str, value: int | None, most: int) -> forms.IntegerField:
    return forms.IntegerField(label=label, required=False, min_value=1, max_value=most, initial=value)
