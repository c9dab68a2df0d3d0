"""The ledger of pull-outs that were not ready: written once, never changed."""

from __future__ import annotations

from typing import Any

from django.db import models

from depot.models import Depot, Scoped
from depot.models.base import ScopedQuerySet
from fleet.models import Vehicle


class LedgerIsClosed(Exception):  # noqa: N818 - a refusal, not a fault of the program
    """Somebody tried to change what was written."""


class AppendOnlyQuerySet(ScopedQuerySet):
    """Rows that can be added and read only; the database refuses the rest as well."""

    def update(self, **_values: Any) -> int:
        raise LedgerIsClosed("The not-ready ledger cannot be changed.")

    def bulk_update(self, *_args: Any, **_values: Any) -> int:
        raise LedgerIsClosed("The not-ready ledger cannot be changed.")

    def delete(self) -> tuple[int, dict[str, int]]:
        raise LedgerIsClosed("The not-ready ledger cannot be changed.")


class NotReady(Scoped):
    """One pull-out whose vehicle did not have the charge it needed, and because of what.

    Names stand beside the keys, so that the entry says the same when a vehicle or block is renamed or gone.
    A trigger of the database refuses every change and deletion, whoever asks for it.
    """

    class Cause(models.TextChoices):
        NO_VEHICLE = "no_vehicle", "No vehicle assigned"
        OUT_OF_SERVICE = "out_of_service", "Vehicle out of service"
        NOT_PLUGGED_IN = "not_plugged_in", "Not plugged in"
        CHARGER = "charger", "Charger silent or faulted"
        BLOCK_TOO_LONG = "block_too_long", "Block longer than the battery"
        LATE = "late", "Came back too late"
        UNKNOWN_SOC = "unknown_soc", "Charge not known"
        SHORT = "short", "Not enough charged"

    depot = models.ForeignKey(Depot, on_delete=models.DO_NOTHING, related_name="not_ready")
    vehicle = models.ForeignKey(
        Vehicle, null=True, on_delete=models.DO_NOTHING, db_constraint=False, related_name="not_ready"
    )
    vehicle_name = models.CharField(max_length=60, blank=True)
    vin = models.CharField("VIN", max_length=17, blank=True)
    charger_name = models.CharField(max_length=60, blank=True)
    block_id = models.CharField(max_length=60)
    duty_key = models.CharField(max_length=60, help_text="Names the block's row and its service day.")
    service_date = models.DateField()
    pull_out_at = models.DateTimeField()
    soc = models.FloatField(null=True, help_text="At pull-out, 0 to 1.")
    required_soc = models.FloatField(help_text="0 to 1.")
    missing_kwh = models.FloatField(null=True)
    cause = models.CharField(max_length=20, choices=Cause)
    because = models.CharField(max_length=400)
    written_at = models.DateTimeField()

    objects = AppendOnlyQuerySet.as_manager()  # type: ignore[misc]  # narrows the manager of Scoped

    class Meta:
        ordering = ["-pull_out_at", "pk"]
        verbose_name_plural = "not-ready ledger"
        constraints = [
            models.UniqueConstraint(fields=["depot", "duty_key"], name="one_not_ready_entry_per_pull_out"),
        ]

    def __str__(self) -> str:
        return f"{self.vehicle_name or self.block_id} on {self.service_date}: {self.get_cause_display()}"

    def save(self, *args: Any, **kwargs: Any) -> None:
        if self.pk is not None:
            raise LedgerIsClosed("The not-ready ledger cannot be changed.")
        super().save(*args, **kwargs)

    def delete(self, *_args: Any, **_kwargs: Any) -> tuple[int, dict[str, int]]:
        raise LedgerIsClosed("The not-ready ledger cannot be changed.")
