"""What is known of charging stations beside their set-up: notices, variables, dialects, unknown callers."""

from __future__ import annotations

from django.db import models

from charging.models.chargers import Charger
from depot.models import Depot, Scoped
from depot.models.site import POSITIVE


class StationNotice(Scoped):
    """Something a station said that is neither a meter value nor a status; secrets are masked."""

    depot_path = "charger__depot"

    class Level(models.TextChoices):
        INFO = "info", "For information"
        WARNING = "warning", "Needs attention"
        CRITICAL = "critical", "Act now"

    charger = models.ForeignKey(Charger, on_delete=models.CASCADE, related_name="notices")
    kind = models.CharField(max_length=40, help_text="The message's name, or what the gateway found.")
    level = models.CharField(max_length=10, choices=Level, default=Level.INFO)
    summary = models.CharField(max_length=200, blank=True)
    evse_id = models.PositiveSmallIntegerField(default=0, help_text="0 = the station itself.")
    said_at = models.DateTimeField(null=True, help_text="By the station's clock.")
    received_at = models.DateTimeField()
    over = models.BooleanField(default=False, help_text="What was noticed before has ended.")
    data = models.JSONField(default=dict)

    class Meta:
        ordering = ["-received_at", "-pk"]
        indexes = [
            models.Index(fields=["charger", "-received_at"], name="notices_of_charger"),
            models.Index(fields=["received_at"], name="notices_by_time"),
        ]

    def __str__(self) -> str:
        return f"{self.charger}: {self.kind}"


class StationVariable(Scoped):
    """What a station says of its own set-up: an OCPP 1.6 configuration key, or a variable of OCPP 2."""

    depot_path = "charger__depot"

    charger = models.ForeignKey(Charger, on_delete=models.CASCADE, related_name="variables")
    component = models.CharField(max_length=110, blank=True)
    variable = models.CharField(max_length=110)
    attribute = models.CharField(max_length=10, default="Actual")
    value = models.TextField(blank=True)
    reported_at = models.DateTimeField()

    class Meta:
        ordering = ["charger", "component", "variable"]
        constraints = [
            models.UniqueConstraint(
                fields=["charger", "component", "variable", "attribute"], name="one_value_per_variable"
            )
        ]

    def __str__(self) -> str:
        return f"{self.component}.{self.variable}".strip(".")


class UnknownStation(models.Model):
    """A station that knocked under an identity nobody has set up. It is refused until someone adopts it."""

    identity = models.CharField(max_length=48, unique=True)
    address = models.CharField(max_length=60)
    protocols = models.CharField(max_length=120, blank=True, help_text="What it offered.")
    tries = models.PositiveIntegerField(default=1)
    first_seen_at = models.DateTimeField()
    last_seen_at = models.DateTimeField()

    class Meta:
        ordering = ["-last_seen_at"]

    def __str__(self) -> str:
        return self.identity


class Dialect(Scoped):
    """How a maker's model wants to be spoken to, where it differs from the standard."""

    class Unit(models.TextChoices):
        W = "W", "Watts"
        A = "A", "Amperes per phase"

    depot = models.ForeignKey(Depot, on_delete=models.CASCADE, related_name="dialects")
    vendor = models.CharField(max_length=50, help_text="As the station reports it.")
    model = models.CharField(max_length=50, blank=True, help_text="Empty = every model of the vendor.")
    firmware = models.CharField(
        max_length=50, blank=True, help_text="What the version begins with. Empty = every one."
    )
    rate_unit = models.CharField(
        "unit of limits",
        max_length=1,
        choices=Unit,
        default=Unit.W,
        help_text="AC stations often take only amperes.",
    )
    phases = models.PositiveSmallIntegerField(default=3, help_text="For amperes: phases in use, 1 to 3.")
    voltage = models.FloatField(
        default=230.0, validators=POSITIVE, help_text="For amperes: phase to neutral, in V."
    )
    max_periods = models.PositiveSmallIntegerField(
        default=0, help_text="Most steps of one schedule it takes. 0 = no limit known."
    )
    whole_numbers = models.BooleanField(default=True, help_text="Off = limits with one decimal place.")
    tx_profiles = models.BooleanField(
        "takes profiles for a transaction",
        default=True,
        help_text="Off = it only takes default profiles; it then never discharges.",
    )
    negative_limits = models.BooleanField(
        "discharges on negative limits",
        default=False,
        help_text="On OCPP 1.6 and 2.0.1 this model takes a limit below zero as discharge. "
        "Switch on only after you have seen it do so; OCPP 2.1 does not need it.",
    )
    setpoint_bounds = models.BooleanField(
        "set-points with bounds",
        default=False,
        help_text="On OCPP 2.1 send the greatest powers along with each set-point.",
    )
    pause_s = models.PositiveSmallIntegerField(
        "pause between calls", default=0, help_text="In seconds, for stations that cannot take calls quickly."
    )

    class Meta:
        ordering = ["depot", "vendor", "model", "firmware"]
        constraints = [
            models.UniqueConstraint(
                fields=["depot", "vendor", "model", "firmware"], name="one_dialect_per_model_and_firmware"
            ),
            models.CheckConstraint(
                condition=models.Q(phases__range=(1, 3)), name="dialect_has_1_to_3_phases"
            ),
            models.CheckConstraint(condition=models.Q(voltage__gt=0), name="dialect_voltage_above_0"),
        ]

    def __str__(self) -> str:
        return " ".join(part for part in (self.vendor, self.model, self.firmware) if part)


class ChargerCertificate(Scoped):
    """A certificate of a charger that the installation's own authority has signed. Keys are not kept here."""

    depot_path = "charger__depot"

    charger = models.ForeignKey(Charger, on_delete=models.CASCADE, related_name="certificates")
    fingerprint = models.CharField(max_length=64, unique=True, help_text="SHA-256 of the certificate.")
    serial = models.CharField(max_length=40)
    not_before = models.DateTimeField()
    not_after = models.DateTimeField()
    issued_at = models.DateTimeField()
    used_at = models.DateTimeField(null=True, blank=True, help_text="When the charger first came in with it.")
    ended_at = models.DateTimeField(null=True, blank=True, help_text="When it was revoked or renewed.")
    end_reason = models.CharField(max_length=200, blank=True)

    class Meta:
        ordering = ["-issued_at", "-pk"]

    def __str__(self) -> str:
        return f"{self.charger}: {self.serial[:12]}"
