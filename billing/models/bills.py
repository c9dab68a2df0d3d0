"""Bills and savings statements, with the inputs they were made from, and the utility's own bills."""

from __future__ import annotations

from decimal import Decimal

from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import Q
from simple_history.models import HistoricalRecords

from billing.models.tariffs import Tariff
from depot.models import Depot, Scoped, User
from depot.words import month_year, tr


class Scenario(models.TextChoices):
    ACTUAL = "actual", "Actual"
    UNMANAGED = "unmanaged", "Unmanaged (full power on plug-in)"


class Bill(Scoped):
    """What the depot pays, or would have paid, for one billing period.

    An estimate is made again as data comes in; a final bill never changes. What is learned later makes a
    correction: a further bill of the same period, one revision higher. The one nobody corrects is in force.
    """

    class State(models.TextChoices):
        ESTIMATE = "estimate", "So far"
        FINAL = "final", "Final"

    depot = models.ForeignKey(Depot, on_delete=models.CASCADE, related_name="bills")
    tariff = models.ForeignKey(
        Tariff,
        on_delete=models.PROTECT,
        related_name="bills",
        help_text="The version that holds last in the period.",
    )
    versions = models.JSONField(default=list, help_text="All versions that it was billed by: id, name, from.")
    scenario = models.CharField(max_length=10, choices=Scenario)
    start_at = models.DateTimeField()
    end_at = models.DateTimeField()
    covered_to = models.DateTimeField(help_text="The ledger's last interval in it ends here.")
    state = models.CharField(max_length=10, choices=State)
    revision = models.PositiveSmallIntegerField(default=0, help_text="0 is the first, 1 its correction.")
    corrects = models.OneToOneField(
        "self", null=True, blank=True, on_delete=models.CASCADE, related_name="correction"
    )
    reason = models.CharField(max_length=300, blank=True, help_text="Why it was corrected.")
    closed_at = models.DateTimeField(null=True, blank=True, help_text="When it became final.")
    closed_by = models.ForeignKey(
        User, null=True, blank=True, on_delete=models.SET_NULL, related_name="+", help_text="Empty: by time."
    )
    currency = models.CharField(max_length=3)
    total = models.DecimalField(
        max_digits=18,
        decimal_places=6,
        help_text="The sum of its lines; some tariffs round them finer than a cent.",
    )
    projected_total = models.DecimalField(
        max_digits=18,
        decimal_places=6,
        null=True,
        blank=True,
        help_text="The running period's bill at its end.",
    )
    peaks_kw = models.JSONField(
        default=dict,
        help_text="By line: kW, moment, and in a running period what exceeding it by 10 kW costs.",
    )
    carried = models.JSONField(
        default=dict,
        help_text="What rolls on to the next period: credit, net-metered kWh, the year's charges.",
    )
    warnings = models.JSONField(default=list)
    computed_at = models.DateTimeField()

    class Meta:
        ordering = ["depot", "-start_at", "scenario", "-revision"]
        constraints = [
            models.UniqueConstraint(
                fields=["depot", "scenario", "start_at", "revision"],
                name="one_bill_per_scenario_period_and_revision",
            ),
            models.CheckConstraint(
                condition=Q(state="estimate", closed_at__isnull=True, revision=0)
                | Q(state="final", closed_at__isnull=False),
                name="final_bills_say_when_they_became_it",
            ),
            models.CheckConstraint(
                condition=Q(revision=0, corrects__isnull=True) | Q(revision__gt=0, corrects__isnull=False),
                name="corrections_say_what_they_correct",
            ),
        ]

    def __str__(self) -> str:
        bill = f"{self.get_scenario_display()} {month_year(self.depot.local(self.start_at))}"
        return f"{bill}, {tr('correction {number}', number=self.revision)}" if self.revision else bill

    @property
    def status(self) -> str:
        """Return `estimate`, `final`, or `corrected` for the correction of a final bill."""
        return "corrected" if self.revision else self.state


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

    def __str__(self) -> str:
        return self.label


class BillInputs(Scoped):
    """What a final bill was made from, kept with it: `manage.py bill` on these files gives the bill again."""

    depot_path = "bill__depot"

    bill = models.OneToOneField(Bill, on_delete=models.CASCADE, related_name="inputs")
    engine = models.CharField(max_length=20, help_text="Version of the billing rules.")
    time_zone = models.CharField(max_length=64)
    tariffs = models.JSONField(help_text="The tariff versions as documents, the oldest first.")
    peaks = models.JSONField(help_text="Earlier peaks in kW by demand charge and month.")
    brought = models.JSONField(default=dict, help_text="What the period before carried on.")
    load = models.BinaryField(help_text="The intervals: LOAD.csv, packed with gzip.")
    load_sha256 = models.CharField(max_length=64, help_text="SHA-256 of LOAD.csv.")

    class Meta:
        verbose_name_plural = "bill inputs"


class SavingsStatement(Scoped):
    """What managed charging and V2G saved in one billing period, step by step; one for each revision."""

    depot = models.ForeignKey(Depot, on_delete=models.CASCADE, related_name="savings")
    start_at = models.DateTimeField()
    end_at = models.DateTimeField()
    revision = models.PositiveSmallIntegerField(default=0, help_text="That of its bills.")
    actual = models.ForeignKey(Bill, on_delete=models.CASCADE, related_name="+")
    unmanaged = models.ForeignKey(Bill, on_delete=models.CASCADE, related_name="+")
    currency = models.CharField(max_length=3)
    wear_added = models.DecimalField(
        max_digits=14, decimal_places=3, help_text="Battery wear that V2G added."
    )
    net_saving = models.DecimalField(max_digits=18, decimal_places=6)
    steps = models.JSONField(help_text="The waterfall: label, amount, running total, sentence of each step.")
    programmes = models.JSONField(
        default=list, help_text="What each event of a grid programme paid: label, kWh, pay, sentence."
    )
    computed_at = models.DateTimeField()

    class Meta:
        ordering = ["depot", "-start_at", "-revision"]
        constraints = [
            models.UniqueConstraint(
                fields=["depot", "start_at", "revision"], name="one_statement_per_period_and_revision"
            )
        ]

    def __str__(self) -> str:
        return month_year(self.depot.local(self.start_at))

    @property
    def programme_revenue(self) -> Decimal:
        """Return what grid programmes paid outside the bill."""
        return sum((Decimal(one["revenue"]) for one in self.programmes), Decimal(0))


class KnownPeak(Scoped):
    """A demand peak from before the depot's own ledger, that a ratchet or a yearly charge looks back on."""

    depot = models.ForeignKey(Depot, on_delete=models.CASCADE, related_name="known_peaks")
    month = models.DateField(help_text="First day of the month in which it was metered.")
    charge = models.CharField(max_length=30, help_text="Id of the demand charge in the tariff.")
    kw = models.DecimalField(
        "kW", max_digits=12, decimal_places=3, help_text="As the utility's bill says (or kVA)."
    )
    source = models.CharField(
        max_length=200, blank=True, help_text="Where it is written, like the bill's number."
    )
    history = HistoricalRecords()

    class Meta:
        ordering = ["depot", "-month", "charge"]
        constraints = [
            models.UniqueConstraint(fields=["depot", "month", "charge"], name="one_known_peak_per_month"),
            models.CheckConstraint(condition=Q(kw__gte=0), name="known_peaks_are_not_negative"),
        ]

    def __str__(self) -> str:
        return f"{self.charge} {month_year(self.month)}: {self.kw} kW"

    def clean(self) -> None:
        if self.month and self.month.day != 1:
            raise ValidationError({"month": tr("Enter the first day of the month, like 2026-03-01.")})


class UtilityBill(Scoped):
    """The utility's own bill of a period, typed in to be compared with the depot's."""

    depot = models.ForeignKey(Depot, on_delete=models.CASCADE, related_name="utility_bills")
    start_at = models.DateTimeField()
    end_at = models.DateTimeField()
    number = models.CharField(max_length=60, blank=True)
    currency = models.CharField(max_length=3)
    total = models.DecimalField(max_digits=18, decimal_places=6)
    note = models.CharField(max_length=300, blank=True)
    entered_at = models.DateTimeField()
    entered_by = models.ForeignKey(User, null=True, on_delete=models.SET_NULL, related_name="+")

    class Meta:
        ordering = ["depot", "-start_at"]
        constraints = [
            models.UniqueConstraint(fields=["depot", "start_at"], name="one_utility_bill_per_period")
        ]

    def __str__(self) -> str:
        return tr("Utility's bill of {start_at}", start_at=month_year(self.depot.local(self.start_at)))


class UtilityLine(Scoped):
    """One line of the utility's bill, and the line of the depot's bill that it stands beside."""

    depot_path = "utility_bill__depot"

    utility_bill = models.ForeignKey(UtilityBill, on_delete=models.CASCADE, related_name="lines")
    position = models.PositiveSmallIntegerField()
    line_id = models.CharField(max_length=200, blank=True, help_text="Empty: no line of the depot's bill.")
    label = models.CharField(max_length=400)
    quantity = models.DecimalField(max_digits=20, decimal_places=6, null=True)
    unit = models.CharField(max_length=20, blank=True)
    amount = models.DecimalField(max_digits=18, decimal_places=6)

    class Meta:
        ordering = ["utility_bill", "position"]
        constraints = [
            models.UniqueConstraint(fields=["utility_bill", "position"], name="one_utility_line_per_position")
        ]
