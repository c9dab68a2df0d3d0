"""Tariff versions of a depot."""

from __future__ import annotations

from django.core.exceptions import ValidationError
from django.db import models
from django.utils.translation import gettext_lazy as _
from simple_history.models import HistoricalRecords

from depot.models import Depot, Scoped
from depot.words import tr

FROZEN = _(
    "A final bill was made by this version, so it stays as it is. Enter a new version "
    "from the first day on which something else holds."
)


class Tariff(Scoped):
    """One version of a depot's tariff, in the product's own format or as OpenEI URDB JSON."""

    depot = models.ForeignKey(Depot, on_delete=models.CASCADE, related_name="tariffs")
    name = models.CharField(max_length=120)
    utility = models.CharField(max_length=120, blank=True)
    valid_from = models.DateField(help_text="First local day on which it is billed.")
    valid_to = models.DateField(
        null=True, blank=True, help_text="Last local day; empty = until a newer version."
    )
    definition = models.JSONField(
        help_text="The tariff itself: see docs/algorithms/tariff.md for the format."
    )
    source = models.URLField(blank=True, help_text="Where the price sheet is published.")
    history = HistoricalRecords()

    class Meta:
        ordering = ["depot", "-valid_from"]
        constraints = [
            models.UniqueConstraint(fields=["depot", "valid_from"], name="one_tariff_version_per_day"),
        ]
        get_latest_by = "valid_from"

    def __str__(self) -> str:
        return f"{self.name} (from {self.valid_from})"

    def clean(self) -> None:
        from billing.tariff import TariffError, read_tariff

        if self.is_frozen():
            raise ValidationError(FROZEN)
        if self.valid_to and self.valid_from and self.valid_to < self.valid_from:
            raise ValidationError({"valid_to": tr("The last day is before the first. Enter a later day.")})
        try:
            tariff = read_tariff(self.definition)
        except TariffError as error:
            raise ValidationError({"definition": list(error.problems)}) from error
        if self.depot_id and tariff.currency != self.depot.currency:
            raise ValidationError(
                {
                    "definition": tr(
                        "The tariff is in {currency}, the depot in {own}.",
                        currency=tariff.currency,
                        own=self.depot.currency,
                    )
                }
            )

    def is_frozen(self) -> bool:
        """Tell whether a final bill was made by this version, alone or beside others that hold in its month."""
        known_from = Tariff.objects.filter(pk=self.pk).values_list("valid_from", flat=True).first()
        if known_from is None:
            return False
        final = self.depot.bills.filter(state="final").values_list("tariff_id", "versions")
        return any(
            tariff_id == self.pk or any(version["from"] == known_from.isoformat() for version in versions)
            for tariff_id, versions in final
        )
