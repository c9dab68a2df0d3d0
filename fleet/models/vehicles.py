"""Vehicles: what they are, and what is known of them now."""

from __future__ import annotations

from django.core.exceptions import ValidationError
from django.core.validators import MinValueValidator
from django.db import models
from django.utils.translation import gettext_lazy as _
from simple_history.models import HistoricalRecords

from depot.models import Depot, Scoped
from depot.models.site import FRACTION, POSITIVE
from depot.words import tr
from fleet.battery.charge_taper import read_charge_taper


class Chemistry(models.TextChoices):
    LFP = "lfp", "LFP (lithium iron phosphate)"
    NMC111 = "nmc111", "NMC 111"
    NMC622 = "nmc622", "NMC 622 or 811"
    NMC = "nmc", "NMC, kind unknown (the worse model counts)"


class VehicleType(Scoped):
    """A make and model: battery, power limits, protocols, consumption."""

    class Kind(models.TextChoices):
        BUS = "bus", "Bus"
        VAN = "van", "Van"

    class Inverter(models.TextChoices):
        NONE = "none", "One-way: cannot discharge"
        ON_BOARD = "on_board", "On board (AC discharge)"
        OFF_BOARD = "off_board", "In the charger (DC discharge)"

    depot = models.ForeignKey(Depot, on_delete=models.CASCADE, related_name="vehicle_types")
    name = models.CharField(max_length=80)
    kind = models.CharField(max_length=5, choices=Kind)
    usable_kwh = models.FloatField(
        validators=[MinValueValidator(1.0)], help_text="Energy between 0 and 100 % shown, when new, in kWh."
    )
    chemistry = models.CharField(max_length=10, choices=Chemistry)
    max_charge_ac_kw = models.FloatField(
        default=0.0, validators=POSITIVE, help_text="On-board charger, in kW. 0 = no AC charging."
    )
    max_charge_dc_kw = models.FloatField(
        default=0.0, validators=POSITIVE, help_text="In kW. 0 = no DC charging."
    )
    charge_taper = models.CharField(
        max_length=120,
        blank=True,
        help_text='Where charging slows down: SoC in % and kW, like "80:150, 100:30". Empty = nowhere.',
    )
    max_discharge_ac_kw = models.FloatField(default=0.0, validators=POSITIVE, help_text="In kW. 0 = none.")
    max_discharge_dc_kw = models.FloatField(default=0.0, validators=POSITIVE, help_text="In kW. 0 = none.")
    inverter = models.CharField(
        max_length=10,
        choices=Inverter,
        default=Inverter.NONE,
        help_text="Where discharged energy becomes alternating current.",
    )
    iso15118_2 = models.BooleanField("ISO 15118-2", default=False, help_text="Speaks ISO 15118-2 (one-way).")
    iso15118_20 = models.BooleanField(
        "ISO 15118-20", default=False, help_text="Speaks ISO 15118-20, which bidirectional charging needs."
    )
    consumption_kwh_per_km = models.FloatField(
        validators=[MinValueValidator(0.01)], help_text="On the road at 20 °C, in kWh per km."
    )
    auxiliary_kw = models.FloatField(
        default=0.0, validators=POSITIVE, help_text="Heating, cooling and lights while away, in kW."
    )
    preconditioning_kwh = models.FloatField(
        "pre-conditioning",
        default=0.0,
        validators=POSITIVE,
        help_text="Heating or cooling the cabin before pull-out, where a block asks for it, in kWh.",
    )
    min_soc = models.FloatField(default=0.1, validators=FRACTION, help_text="Never below this, 0 to 1.")
    max_soc = models.FloatField(default=1.0, validators=FRACTION, help_text="Never above this, 0 to 1.")
    reserve_soc = models.FloatField(
        default=0.1, validators=FRACTION, help_text="Kept on top of a block's need when it returns, 0 to 1."
    )
    pack_price_per_kwh = models.FloatField(
        default=150.0,
        validators=POSITIVE,
        help_text="What a new pack costs per kWh, in the depot's currency.",
    )
    warranty_throughput_kwh = models.FloatField(
        null=True, blank=True, validators=POSITIVE, help_text="Discharged energy the warranty covers, in kWh."
    )
    history = HistoricalRecords()

    class Meta:
        ordering = ["depot", "name"]
        constraints = [
            models.UniqueConstraint(fields=["depot", "name"], name="vehicle_type_name_once_per_depot"),
            models.CheckConstraint(
                condition=models.Q(min_soc__lt=models.F("max_soc")),
                name="vehicle_type_soc_window_open",
                violation_error_message=_("The greatest charge must be above the least."),
            ),
        ]

    def __str__(self) -> str:
        return self.name

    def clean(self) -> None:
        if self.usable_kwh is not None and self.usable_kwh <= 0:
            raise ValidationError({"usable_kwh": tr("A battery holds more than 0 kWh.")})
        try:
            read_charge_taper(self.charge_taper)
        except ValueError as error:
            raise ValidationError({"charge_taper": str(error)}) from error
        if self.inverter == self.Inverter.ON_BOARD and not self.max_discharge_ac_kw:
            raise ValidationError(
                {"max_discharge_ac_kw": tr("An on-board inverter needs its discharge power in kW.")}
            )
        if self.inverter == self.Inverter.OFF_BOARD and not self.max_discharge_dc_kw:
            raise ValidationError({"max_discharge_dc_kw": tr("DC discharge needs its power in kW.")})
        if self.max_charge_ac_kw == 0 and self.max_charge_dc_kw == 0:
            raise ValidationError(
                tr("Enter an AC or a DC charging power: a vehicle that cannot charge cannot run.")
            )


class Vehicle(Scoped):
    """One bus or van of a depot."""

    depot = models.ForeignKey(Depot, on_delete=models.CASCADE, related_name="vehicles")
    type = models.ForeignKey(VehicleType, on_delete=models.PROTECT, related_name="vehicles")
    name = models.CharField(max_length=60, help_text="As dispatchers call it, like Bus 07.")
    vin = models.CharField("VIN", max_length=17, blank=True)
    external_id = models.CharField(max_length=80, blank=True, help_text="Its id in your telematics system.")
    id_token = models.CharField(
        max_length=36, blank=True, help_text="RFID tag or EVCCID by which chargers recognise it."
    )
    v2g_enabled = models.BooleanField(
        "V2G allowed", default=True, help_text="May this vehicle be discharged?"
    )
    v2g_min_soc = models.FloatField(
        "V2G floor", default=0.3, validators=FRACTION, help_text="Never discharge below this, 0 to 1."
    )
    in_service_on = models.DateField(help_text="First day of use: battery ageing counts from here.")
    active = models.BooleanField(default=True, help_text="Off = not planned, not shown, kept in the records.")
    history = HistoricalRecords()

    class Meta:
        ordering = ["depot", "name"]
        constraints = [
            models.UniqueConstraint(fields=["depot", "name"], name="vehicle_name_once_per_depot"),
            models.UniqueConstraint(
                fields=["depot", "vin"],
                condition=~models.Q(vin=""),
                name="vin_once_per_depot",
                violation_error_message=_("Another vehicle of this depot has this VIN already."),
            ),
            models.UniqueConstraint(
                fields=["depot", "external_id"],
                condition=~models.Q(external_id=""),
                name="external_id_once_per_depot",
                violation_error_message=_("Another vehicle of this depot has this external id already."),
            ),
            models.UniqueConstraint(
                fields=["depot", "id_token"],
                condition=~models.Q(id_token=""),
                name="id_token_once_per_depot",
                violation_error_message=_("Another vehicle of this depot has this id token already."),
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def capacity_kwh(self) -> float:
        """Return what the battery holds now: its usable energy when new, less what it has aged."""
        state = getattr(self, "state", None)
        return self.type.usable_kwh * (state.soh if state is not None else 1.0)

    def clean(self) -> None:
        if self.type_id and self.type.depot_id != self.depot_id:
            raise ValidationError(
                {"type": tr("This vehicle type belongs to another depot. Choose one of this depot.")}
            )


class VehicleState(Scoped):
    """The latest known state of a vehicle. It only moves forward in time."""

    depot_path = "vehicle__depot"

    class Source(models.TextChoices):
        CHARGER = "charger", "Charger"
        TELEMATICS = "telematics", "Telematics"
        ESTIMATE = "estimate", "Estimate"

    vehicle = models.OneToOneField(Vehicle, on_delete=models.CASCADE, related_name="state")
    observed_at = models.DateTimeField()
    soc = models.FloatField(validators=FRACTION)
    soc_source = models.CharField(max_length=12, choices=Source)
    soc_observed_at = models.DateTimeField()
    plugged_in = models.BooleanField(default=False)
    charging_power_kw = models.FloatField(default=0.0)
    odometer_km = models.FloatField(null=True, blank=True)
    battery_temp_c = models.FloatField(null=True, blank=True)
    soh = models.FloatField(default=1.0, validators=FRACTION)
    marks = models.JSONField(
        default=dict, editable=False, help_text="When and by whom each value was last said; the newer wins."
    )

    def __str__(self) -> str:
        return f"{self.vehicle}: {self.soc:.0%} at {self.soc_observed_at:%Y-%m-%d %H:%M} UTC"


class TelemetryReading(Scoped):
    """What a vehicle, or the charger it hangs on, said at one moment. Kept as it came."""

    depot_path = "vehicle__depot"

    class Quality(models.TextChoices):
        GOOD = "good", "Plausible"
        SUSPECT = "suspect", "Suspect"

    # Its rows are found by the constraint's index, which begins with the vehicle: one more would only slow inserts.
    vehicle = models.ForeignKey(Vehicle, on_delete=models.CASCADE, related_name="telemetry", db_index=False)
    observed_at = models.DateTimeField()
    received_at = models.DateTimeField()
    source = models.CharField(max_length=20)
    source_event_id = models.CharField(max_length=80, blank=True)
    soc = models.FloatField(null=True)
    odometer_km = models.FloatField(null=True)
    energy_used_kwh_total = models.FloatField(null=True)
    battery_temp_c = models.FloatField(null=True)
    outside_temp_c = models.FloatField(null=True)
    soh = models.FloatField(null=True)
    latitude = models.FloatField(null=True)
    longitude = models.FloatField(null=True)
    plugged_in = models.BooleanField(null=True)
    charging_power_kw = models.FloatField(null=True)
    quality = models.CharField(max_length=8, choices=Quality, default=Quality.GOOD)

    class Meta:
        ordering = ["vehicle", "observed_at"]
        constraints = [
            models.UniqueConstraint(
                fields=["vehicle", "observed_at", "source", "source_event_id"], name="one_reading_per_event"
            ),
        ]


class QuarantinedReading(Scoped):
    """A reading of a vehicle that the depot does not know (yet): kept, so that nothing is lost."""

    depot = models.ForeignKey(Depot, on_delete=models.CASCADE, related_name="quarantined_readings")
    vehicle_ref = models.CharField("vehicle", max_length=80, help_text="What the sender called the vehicle.")
    observed_at = models.DateTimeField()
    received_at = models.DateTimeField()
    source_event_id = models.CharField(max_length=80, blank=True)
    payload = models.JSONField(help_text="The item as it was sent.")

    class Meta:
        ordering = ["depot", "vehicle_ref", "observed_at"]
        constraints = [
            models.UniqueConstraint(
                fields=["depot", "vehicle_ref", "observed_at", "source_event_id"],
                name="one_quarantined_reading_per_event",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.vehicle_ref} at {self.observed_at:%Y-%m-%d %H:%M} UTC"


class BatteryHealth(Scoped):
    """A vehicle's battery at the end of one day, from its own history."""

    depot_path = "vehicle__depot"

    vehicle = models.ForeignKey(Vehicle, on_delete=models.CASCADE, related_name="health")
    date = models.DateField()
    computed_at = models.DateTimeField()
    soh = models.FloatField(help_text="Capacity now as a fraction of when new.")
    soh_uncertainty = models.FloatField(help_text="Half width of the band, as a fraction.")
    calendar_loss = models.FloatField(help_text="Fraction of capacity lost by standing.")
    cycling_loss = models.FloatField(help_text="Fraction of capacity lost by charging and discharging.")
    v2g_loss = models.FloatField(
        help_text="Fraction of capacity that V2G cost, against the same driving without it."
    )
    trend_per_year = models.FloatField(help_text="Loss per year at the recent rate, as a fraction.")
    outlook_per_year = models.FloatField(
        default=0.0,
        help_text="Mean loss per year over the next five years if used as it was, as a fraction.",
    )
    v2g_outlook_per_year = models.FloatField(
        default=0.0, help_text="V2G's part of that, as a fraction; below zero it spares the battery."
    )
    equivalent_full_cycles = models.FloatField()
    throughput_kwh = models.FloatField(help_text="Energy that left the battery, in kWh.")
    v2g_throughput_kwh = models.FloatField(
        help_text="Energy that left the battery through the charger, in kWh."
    )
    hours_above_80 = models.FloatField(help_text="Hours above 80 % SoC, of the hours recorded.")
    recorded_hours = models.FloatField(
        default=0.0, help_text="Hours of SoC history behind it; older use is taken to have been alike."
    )
    wear_cost_per_kwh = models.FloatField(
        help_text="Marginal cost of a kWh discharged, in the depot's currency."
    )
    extrapolated = models.BooleanField(
        default=False, help_text="Outside the range the model was measured in."
    )
    model = models.CharField(max_length=40)
    state = models.JSONField(
        default=dict, help_text="The ageing state, so that tomorrow continues from here."
    )

    class Meta:
        ordering = ["vehicle", "-date"]
        constraints = [
            models.UniqueConstraint(fields=["vehicle", "date"], name="one_health_per_vehicle_and_day")
        ]
        get_latest_by = "date"
