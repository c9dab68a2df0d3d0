"""Where the readings of a meter come from, when the depot itself must fetch them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models

from depot.access.sealing import SealError, seal, unseal
from depot.meters.measured import UnreadableError
from depot.meters.payload import Fields
from depot.meters.registers import read_map
from depot.models.base import Scoped
from depot.models.meters import Meter
from depot.words import tr

LEAST_STALE_S = 30.0
PURPOSE = "depot.meter_source"
"""What its password is sealed for; its migration has the same."""


class MeterSource(Scoped):
    """How a meter is read, and how often it should be heard."""

    depot_path = "meter__depot"

    class Kind(models.TextChoices):
        PUSH = "push", "Sent to the API"
        MQTT = "mqtt", "MQTT"
        MODBUS = "modbus", "Modbus TCP"

    class Power(models.TextChoices):
        W = "W", "W"
        KW = "kW", "kW"

    class Energy(models.TextChoices):
        WH = "Wh", "Wh"
        KWH = "kWh", "kWh"

    meter = models.OneToOneField(Meter, on_delete=models.CASCADE, related_name="source")
    kind = models.CharField(max_length=10, choices=Kind)
    enabled = models.BooleanField(default=True)
    every_s = models.FloatField(
        "seconds between readings",
        default=5.0,
        validators=[MinValueValidator(1), MaxValueValidator(900)],
        help_text="How often it is asked (Modbus), kept at most (MQTT), and should be heard (all).",
    )
    reversed = models.BooleanField(
        "power is counted the other way",
        default=False,
        help_text="The maker counts export above zero. Here import is above zero.",
    )
    host = models.CharField(max_length=253, blank=True, help_text="Name or address of the broker or device.")
    port = models.PositiveIntegerField(
        null=True,
        blank=True,
        validators=[MinValueValidator(1), MaxValueValidator(65_535)],
        help_text="Empty: 1883 for MQTT, 8883 with TLS, 502 for Modbus.",
    )
    tls = models.BooleanField("TLS", default=False)
    ca_certificate = models.TextField(
        "CA certificate", blank=True, help_text="PEM of the authority that signs the broker's certificate."
    )
    user_name = models.CharField(max_length=120, blank=True)
    sealed_password = models.TextField(blank=True, editable=False, help_text="As the database may hold it.")
    topic = models.CharField(max_length=200, blank=True, help_text="Of the JSON messages of this one meter.")
    power_path = models.CharField(max_length=120, blank=True, help_text="Like em.0.total_power.")
    import_path = models.CharField(max_length=120, blank=True)
    export_path = models.CharField(max_length=120, blank=True, help_text="Empty: it never exports.")
    observed_path = models.CharField(
        "time path", max_length=120, blank=True, help_text="Empty: the time of arrival counts."
    )
    power_unit = models.CharField(max_length=3, choices=Power, default=Power.W)
    energy_unit = models.CharField(max_length=3, choices=Energy, default=Energy.KWH)
    unit_id = models.PositiveSmallIntegerField(
        default=1, validators=[MaxValueValidator(255)], help_text="Of the device behind the address."
    )
    registers = models.JSONField(
        default=dict, blank=True, help_text="Empty: the device describes itself (SunSpec meter)."
    )
    changed_at = models.DateTimeField(help_text="Wall time.")
    trouble = models.CharField(max_length=300, blank=True, help_text="Why it cannot be read now.")

    class Meta:
        ordering = ["meter"]

    def __str__(self) -> str:
        return f"{self.meter} over {self.get_kind_display()}"

    @property
    def password(self) -> str:
        """Return the broker's password; raises UnreadableError when it was sealed with another key."""
        try:
            return unseal(self.sealed_password, PURPOSE)
        except SealError as error:
            raise UnreadableError(
                tr("Its password cannot be opened: DEPOT_SECRET_KEY has changed. Enter the password again.")
            ) from error

    @password.setter
    def password(self, plain: str) -> None:
        self.sealed_password = seal(plain, PURPOSE)

    @property
    def fetched(self) -> bool:
        """Tell whether the depot must fetch the readings itself."""
        return self.enabled and self.kind != self.Kind.PUSH

    @property
    def stale_after(self) -> timedelta:
        """Return how long the meter may be silent, in time on the wall."""
        return timedelta(seconds=max(LEAST_STALE_S, 3 * self.every_s))

    @property
    def place(self) -> tuple[str, int]:
        """Return host and port."""
        usual = {self.Kind.MQTT.value: 8883 if self.tls else 1883}.get(self.kind, 502)
        return self.host, self.port or usual

    @property
    def fields(self) -> Fields:
        """Return where an MQTT message holds each value."""
        return Fields(
            self.power_path,
            self.import_path,
            self.export_path,
            self.observed_path,
            self.power_unit,
            self.energy_unit,
            self.reversed,
        )

    def clean(self) -> None:
        needed = {
            self.Kind.MQTT.value: ("host", "topic", "power_path", "import_path"),
            self.Kind.MODBUS.value: ("host",),
        }.get(self.kind, ())
        problems: dict[str, Any] = {
            name: tr("{kind} needs this.", kind=self.get_kind_display())
            for name in needed
            if not getattr(self, name)
        }
        if "+" in self.topic or "#" in self.topic:
            problems["topic"] = tr("One topic of one meter: + and # would mix several.")
        if self.registers:
            try:
                read_map(self.registers)
            except UnreadableError as error:
                problems["registers"] = str(error)
        if problems:
            raise ValidationError(problems)
