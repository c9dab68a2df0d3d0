"""Bills and savings statements, with the inputs they were made from."""

from __future__ import annotations

from django.db import models

from billing.models.tariffs import Tariff
from depot.models import Depot, Scoped


class Scenario(models.TextChoices):
    ACTUAL = "actual", "Actual"
    UNMANAGED = "unmanaged", "Unmanaged (full power on plug-in)"


class Bill(Scoped):
    """What the depot pays, or would have paid, for one billing period."""

    class State(models.TextChoices):
        ESTIMATE = "estimate", "So far"
        FINAL = "final", "Final"

    depot = models.ForeignKey(Depot, on_delete=models.CASCADE, related_name="bills")
    tariff = models.ForeignKey(Tariff, on_delete=models.PROTECT, related_name="bills")
    scenario = models.CharField(max_length=10, choices=Scenario)
    start_at = models.DateTimeField()
    end_at = models.DateTimeField()
    covered_to = models.DateTimeField(help_text="The ledger's last interval in it ends here.")
    state = models.CharField(max_length=10, choices=State)
    currency = models.CharField(max_length=3)
    total = models.DecimalField(
        max_digits=18,
        decimal_places=6,
        help_text="The sum of its lines; some tariffs round them finer than a cent.",
    )
    peaks_kw = models.JSONField(default=dict)
    warnings = models.JSONField(default=list)
    computed_at = models.DateTimeField()

    class Meta:
        ordering = ["depot", "-start_at", "scenario"]
        constraints = [
            models.UniqueConstraint(
                fields=["depot", "scenario", "start_at"], name="one_bill_per_scenario_and_period"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.get_scenario_display()} {self.depot.local(self.start_at):%B %Y}"


class BillLine(Scoped):
    """One line of a bill, with the sentence that explains it."""

    depot_path = "bill__depot"

    bill = models.ForeignKey(Bill, on_delete=models.CASCADE, related_name="lines")
    position = models.PositiveSmallIntegerField()
    line_id = models.CharField(max_length=200)
    label = models.CharField(max_length=400)
    quantity = models.DecimalField(max_digits=20, decimal_places=6)
    unit = models.CharField(max_length=20)
    rate = models.DecimalField(max_digits=20, decimal_places=10)
    amount = models.DecimalField(max_digits=18, decimal_places=6)
    explanation = models.TextField()

    class Meta:
        ordering = ["bill", "position"]
        constraints = [models.UniqueConstraint(fields=["bill", "position"], name="one_line_per_position")]


class SavingsStatement(Scoped):
    """What managed charging and V2G saved in one billing period, step by step."""

    depot = models.ForeignKey(Depot, on_delete=models.CASCADE, related_name="savings")
    start_at = models.DateTimeField()
    end_at = models.DateTimeField()
    actual = models.ForeignKey(Bill, on_delete=models.CASCADE, related_name="+")
    unmanaged = models.ForeignKey(Bill, on_delete=models.CASCADE, related_name="+")
    currency = models.CharField(max_length=3)
    wear_added = models.DecimalField(
        max_digits=14, decimal_places=3, help_text="Battery wear that V2G added."
    )
    net_saving = models.DecimalField(max_digits=18, decimal_places=6)
    steps = models.JSONField(help_text="The waterfall: label, amount, running total, sentence of each step.")
    computed_at = models.DateTimeField()

    class Meta:
        ordering = ["depot", "-start_at"]
        constraints = [models.UniqueConstraint(fields=["depot", "start_at"], name="one_statement_per_period")]
