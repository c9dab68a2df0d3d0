"""Chargers, their connectors, and what happened on them."""

from __future__ import annotations

from django.core.exceptions import ValidationError
from django.core.validators import RegexValidator
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _
from simple_history.models import HistoricalRecords

from charging.passwords import fits, hash_password
from depot.models import Depot, ElectricalNode, Quality, Scoped
from depot.models.site import FRACTION, POSITIVE
from depot.words import tr
from fleet.models import Vehicle


class Charger(Scoped):
    """A charging station: one OCPP identity, one or more connectors behind one power limit."""

    class Current(models.TextChoices):
        AC = "ac", "AC"
        DC = "dc", "DC"

    class Admission(models.TextChoices):
        ACCEPTED = "accepted", "Accepted"
        PENDING = "pending", "Pending: being set up"
        REJECTED = "rejected", "Rejected"

    depot = models.ForeignKey(Depot, on_delete=models.CASCADE, related_name="chargers")
    node = models.ForeignKey(ElectricalNode, on_delete=models.PROTECT, related_name="chargers")
    name = models.CharField(max_length=60, help_text="As it is written on the pole, like C-07.")
    identity = models.CharField(
        "OCPP identity",
        max_length=48,
        unique=True,
        validators=[
            RegexValidator(r"^[A-Za-z0-9*\-_=:+|@.]+$", _("Letters, digits and * - _ = : + | @ . only."))
        ],
        help_text="The last part of the address the charger connects to; also its user name.",
    )
    password_hash = models.CharField(max_length=200, blank=True, editable=False)
    next_password_hash = models.CharField(
        max_length=200,
        blank=True,
        editable=False,
        help_text="A new password on its way to the charger: both count.",
    )
    current = models.CharField(max_length=2, choices=Current)
    max_charge_kw = models.FloatField(validators=POSITIVE, help_text="At the grid side, in kW.")
    max_discharge_kw = models.FloatField(default=0.0, validators=POSITIVE, help_text="In kW. 0 = one-way.")
    min_charge_kw = models.FloatField(
        default=0.0, validators=POSITIVE, help_text="Least power it can hold, in kW."
    )
    min_discharge_kw = models.FloatField(default=0.0, validators=POSITIVE)
    charge_efficiency = models.FloatField(
        default=0.94, validators=FRACTION, help_text="Grid to battery, 0 to 1."
    )
    discharge_efficiency = models.FloatField(
        default=0.94, validators=FRACTION, help_text="Battery to grid, 0 to 1."
    )
    charge_loss_kw = models.FloatField(
        default=0.0,
        validators=POSITIVE,
        help_text="Lost beside that as long as a plug charges, whatever its power, in kW: "
        "it lowers the efficiency at low power.",
    )
    discharge_loss_kw = models.FloatField(
        default=0.0,
        validators=POSITIVE,
        help_text="The same while a plug discharges, in kW, taken from the battery.",
    )
    iso15118_20 = models.BooleanField(
        "ISO 15118-20", default=False, help_text="Speaks ISO 15118-20, which bidirectional charging needs."
    )
    negative_limits = models.BooleanField(
        "discharges on negative limits",
        default=False,
        help_text="On OCPP 1.6 and 2.0.1 this model takes a limit below zero as discharge. "
        "Switch on only after you have seen it do so; OCPP 2.1 does not need it.",
    )
    fallback_kw = models.FloatField(
        default=0.0,
        validators=POSITIVE,
        help_text="Charging power it falls back to when the link is dead, in kW. Discharge falls back to 0.",
    )
    admission = models.CharField(
        max_length=10,
        choices=Admission,
        default=Admission.ACCEPTED,
        help_text="How its boot is answered. Only an accepted station gets schedules and may report.",
    )
    vendor = models.CharField(max_length=50, blank=True, editable=False)
    model = models.CharField(max_length=50, blank=True, editable=False)
    firmware = models.CharField(max_length=50, blank=True, editable=False)
    protocol = models.CharField(
        max_length=10, blank=True, editable=False, help_text="As negotiated, like ocpp2.0.1."
    )
    connected = models.BooleanField(default=False, editable=False)
    connection = models.PositiveIntegerField(
        default=0, editable=False, help_text="Counts log-ins; an old link writes nothing."
    )
    last_seen_at = models.DateTimeField(null=True, blank=True, editable=False)
    booted_at = models.DateTimeField(null=True, blank=True, editable=False)
    serial = models.CharField(max_length=50, blank=True, editable=False)
    clock_offset_s = models.FloatField(
        null=True, blank=True, editable=False, help_text="How far its clock is ahead of ours, in seconds."
    )
    strays_since = models.DateTimeField(
        null=True, blank=True, editable=False, help_text="Since when its meter shows that it does not follow."
    )
    history = HistoricalRecords(
        excluded_fields=["connected", "connection", "last_seen_at", "clock_offset_s", "strays_since"]
    )

    class Meta:
        ordering = ["depot", "name"]
        constraints = [models.UniqueConstraint(fields=["depot", "name"], name="charger_name_once_per_depot")]

    def __str__(self) -> str:
        return self.name

    @property
    def bidirectional(self) -> bool:
        return self.max_discharge_kw > 0

    @property
    def full_charge_efficiency(self) -> float:
        """Return the efficiency of charging at full power, where the loss weighs least."""
        if self.max_charge_kw <= 0.0:
            return self.charge_efficiency
        return self.charge_efficiency - self.charge_loss_kw / self.max_charge_kw

    def stored_kwh(self, import_kwh: float, export_kwh: float) -> float:
        """Return what energies at the grid side put into a battery, with the losses of full power."""
        drawn = drawn_per_kwh(self.discharge_efficiency, self.discharge_loss_kw, self.max_discharge_kw)
        return import_kwh * self.full_charge_efficiency - export_kwh * drawn

    @property
    def fallback_share_kw(self) -> float:
        """Return the fallback power of each EVSE: they share the charger's."""
        return self.fallback_kw / max(len({connector.evse_id for connector in self.connectors.all()}), 1)

    def set_password(self, raw: str) -> None:
        self.password_hash = hash_password(raw)

    def check_password(self, raw: str) -> bool:
        return fits(raw, self.password_hash)

    def clean(self) -> None:
        if self.node_id and self.node.depot_id != self.depot_id:
            raise ValidationError(
                {"node": tr("This node belongs to another depot. Choose a node of this depot.")}
            )
        if self.node_id and self.max_charge_kw is not None and self.max_charge_kw > self.node.import_limit_kw:
            raise ValidationError(
                {
                    "max_charge_kw": tr(
                        "{node} carries {limit_kw:g} kW at most. Enter less, or choose another node.",
                        node=self.node.name,
                        limit_kw=self.node.import_limit_kw,
                    )
                }
            )
        if self.max_charge_kw is not None:
            if self.min_charge_kw and self.min_charge_kw > self.max_charge_kw:
                raise ValidationError(
                    {"min_charge_kw": tr("The least power is above the greatest. Enter less.")}
                )
            if self.fallback_kw and self.fallback_kw > self.max_charge_kw:
                raise ValidationError(
                    {"fallback_kw": tr("The fallback power is above the greatest. Enter less.")}
                )
        for name in ("charge_efficiency", "discharge_efficiency"):
            if getattr(self, name) == 0:
                raise ValidationError({name: tr("An efficiency is above 0, like 0.94.")})
        self._check_losses()

    def _check_losses(self) -> None:
        if self.max_charge_kw and self.charge_loss_kw and self.full_charge_efficiency <= 0.0:
            raise ValidationError({"charge_loss_kw": tr("At full power nothing would be left. Enter less.")})
        if (
            self.max_discharge_kw
            and self.discharge_loss_kw
            and self.discharge_loss_kw >= self.max_discharge_kw
        ):
            raise ValidationError(
                {"discharge_loss_kw": tr("At full power more would be lost than given. Enter less.")}
            )


def drawn_per_kwh(efficiency: float, loss_kw: float, full_kw: float) -> float:
    """Return what leaves a battery for each kWh discharged at full power, where the loss weighs least."""
    return 1.0 / efficiency + (loss_kw / full_kw if full_kw > 0.0 else 0.0)


class Connector(Scoped):
    """One plug of a charger, and the vehicle that parks at it."""

    depot_path = "charger__depot"

    class Status(models.TextChoices):
        UNKNOWN = "unknown", "Not heard of yet"
        AVAILABLE = "available", "Available"
        OCCUPIED = "occupied", "Plugged in"
        RESERVED = "reserved", "Reserved"
        UNAVAILABLE = "unavailable", "Out of service"
        FAULTED = "faulted", "Faulted"

    charger = models.ForeignKey(Charger, on_delete=models.CASCADE, related_name="connectors")
    evse_id = models.PositiveSmallIntegerField(default=1)
    connector_id = models.PositiveSmallIntegerField(default=1)
    bay = models.CharField(max_length=20, blank=True, help_text="The parking bay it serves, like B-07.")
    vehicle = models.ForeignKey(
        Vehicle,
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="connectors",
        help_text="The vehicle that parks here. Chargers that recognise vehicles overrule it.",
    )
    yard_row = models.PositiveSmallIntegerField(
        null=True, blank=True, editable=False, help_text="Which row of the yard it stands in, from 1."
    )
    yard_place = models.PositiveSmallIntegerField(
        null=True, blank=True, editable=False, help_text="Its place in that row, from 1."
    )
    status = models.CharField(max_length=12, choices=Status, default=Status.UNKNOWN, editable=False)
    status_at = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta:
        ordering = ["charger", "evse_id", "connector_id"]
        constraints = [
            models.UniqueConstraint(
                fields=["charger", "evse_id", "connector_id"], name="connector_once_per_charger"
            ),
            models.UniqueConstraint(
                fields=["vehicle"],
                condition=Q(vehicle__isnull=False),
                name="one_home_connector_per_vehicle",
                violation_error_message=_(
                    "This vehicle parks at another connector already. Take it away there first."
                ),
            ),
            models.CheckConstraint(
                condition=Q(yard_row__isnull=True, yard_place__isnull=True)
                | Q(yard_row__isnull=False, yard_place__isnull=False, yard_row__gte=1, yard_place__gte=1),
                name="yard_row_and_place_together",
            ),
        ]

    def __str__(self) -> str:
        return self.bay or f"{self.charger.name}/{self.evse_id}"

    def clean(self) -> None:
        if self.vehicle is not None and self.charger_id and self.vehicle.depot_id != self.charger.depot_id:
            raise ValidationError(
                {"vehicle": tr("This vehicle belongs to another depot. Choose one of this depot.")}
            )


class ChargingSession(Scoped):
    """A vehicle at a plug, from plug-in to unplug. Both registers count up from the session's start."""

    depot_path = "connector__charger__depot"

    connector = models.ForeignKey(Connector, on_delete=models.PROTECT, related_name="sessions")
    vehicle = models.ForeignKey(
        Vehicle, null=True, blank=True, on_delete=models.PROTECT, related_name="sessions"
    )
    transaction_id = models.CharField(max_length=64)
    plugged_in_at = models.DateTimeField()
    unplugged_at = models.DateTimeField(null=True, blank=True)
    soc_in = models.FloatField(null=True, blank=True, validators=FRACTION)
    soc_out = models.FloatField(null=True, blank=True, validators=FRACTION)
    import_kwh = models.FloatField(default=0.0, help_text="Into the vehicle, at the charger's grid side.")
    export_kwh = models.FloatField(default=0.0, help_text="Out of the vehicle, at the charger's grid side.")
    import_start_kwh = models.FloatField(
        null=True, blank=True, editable=False, help_text="Where the import count starts on the register."
    )
    export_start_kwh = models.FloatField(
        null=True, blank=True, editable=False, help_text="Where the export count starts on the register."
    )
    unmanaged_carry_kwh = models.FloatField(
        default=0.0,
        editable=False,
        help_text="What unmanaged charging would still owe this vehicle's battery at plug-in; below zero = ahead.",
    )
    last_sequence = models.IntegerField(default=-1, editable=False)
    missing_events = models.PositiveIntegerField(
        default=0, editable=False, help_text="Messages the charger has numbered and that never came."
    )
    recognised = models.BooleanField(
        default=False,
        editable=False,
        help_text="The vehicle named itself; it is not just the one that parks here.",
    )
    needs = models.JSONField(
        null=True, blank=True, editable=False, help_text="What the vehicle told the charger."
    )
    last_sample_at = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta:
        ordering = ["-plugged_in_at"]
        constraints = [
            models.UniqueConstraint(
                fields=["connector", "transaction_id"], name="one_session_per_transaction"
            ),
            models.UniqueConstraint(
                fields=["connector"],
                condition=Q(unplugged_at__isnull=True),
                name="one_open_session_per_connector",
            ),
        ]
        indexes = [models.Index(fields=["vehicle", "plugged_in_at"], name="sessions_of_vehicle")]

    def __str__(self) -> str:
        return f"{self.transaction_id} ({self.plugged_in_at:%Y-%m-%d %H:%M} UTC)"


class MeterSample(Scoped):
    """What a charger measured in a session: power now, both registers, and the vehicle's SoC if it knows it."""

    depot_path = "session__connector__charger__depot"

    session = models.ForeignKey(ChargingSession, on_delete=models.CASCADE, related_name="samples")
    sampled_at = models.DateTimeField()
    received_at = models.DateTimeField()
    power_kw = models.FloatField(help_text="Above zero into the vehicle, below zero out of it.")
    import_kwh_total = models.FloatField()
    export_kwh_total = models.FloatField(default=0.0)
    soc = models.FloatField(null=True, validators=FRACTION)
    quality = models.CharField(
        max_length=10,
        choices=Quality,
        default=Quality.GOOD,
        help_text="Suspect = its moment or one of its values could not be as it was said.",
    )

    class Meta:
        ordering = ["session", "sampled_at"]
        constraints = [
            models.UniqueConstraint(
                fields=["session", "sampled_at"], name="one_sample_per_session_and_moment"
            ),
        ]
        indexes = [
            models.Index(fields=["sampled_at"], name="samples_by_time"),
            models.Index(fields=["received_at"], name="samples_by_receipt"),
        ]
