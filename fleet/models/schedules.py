"""What vehicles must do: blocks, the days they run, and who drives which."""

from __future__ import annotations

from datetime import date, datetime

from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import F, Q
from simple_history.models import HistoricalRecords

from depot.models import Depot, ImportBatch, Scoped, User
from depot.models.site import FRACTION, POSITIVE
from depot.timegrid import local_to_utc
from fleet.models.vehicles import Vehicle, VehicleType


class ServiceCalendar(Scoped):
    """Days on which the usual weekday rule does not hold: holidays, half days, extra service."""

    depot = models.ForeignKey(Depot, on_delete=models.CASCADE, related_name="calendars")
    name = models.CharField(max_length=60)

    class Meta:
        ordering = ["depot", "name"]
        constraints = [
            models.UniqueConstraint(fields=["depot", "name"], name="calendar_name_once_per_depot"),
        ]

    def __str__(self) -> str:
        return self.name


class CalendarException(Scoped):
    """One day that differs: no service, or service although the weekday says none."""

    depot_path = "calendar__depot"

    calendar = models.ForeignKey(ServiceCalendar, on_delete=models.CASCADE, related_name="exceptions")
    date = models.DateField()
    runs = models.BooleanField(default=False, help_text="On = service on this day; off = no service.")
    note = models.CharField(max_length=80, blank=True)

    class Meta:
        ordering = ["calendar", "date"]
        constraints = [models.UniqueConstraint(fields=["calendar", "date"], name="one_exception_per_day")]

    def __str__(self) -> str:
        return f"{self.date}: {'service' if self.runs else 'no service'} {self.note}".strip()


class Block(Scoped):
    """A vehicle's piece of work between leaving the depot and coming back.

    It runs on `service_date` alone, or on the weekdays of `weekdays` between `valid_from` and `valid_to`.
    Times are minutes after local midnight of the service day; above 1,440 they fall on the next day.
    """

    depot = models.ForeignKey(Depot, on_delete=models.CASCADE, related_name="blocks")
    key = models.CharField(
        max_length=120, editable=False, help_text="Names the block and its days; one row each."
    )
    block_id = models.CharField(max_length=60)
    calendar = models.ForeignKey(
        ServiceCalendar, null=True, blank=True, on_delete=models.PROTECT, related_name="blocks"
    )
    service_date = models.DateField(null=True, blank=True)
    weekdays = models.PositiveSmallIntegerField(
        default=0, validators=[MaxValueValidator(127)], help_text="Bit 0 = Monday … bit 6 = Sunday."
    )
    valid_from = models.DateField(null=True, blank=True)
    valid_to = models.DateField(null=True, blank=True)
    depart_minute = models.PositiveSmallIntegerField(validators=[MaxValueValidator(2880)])
    return_minute = models.PositiveSmallIntegerField(
        validators=[MinValueValidator(1), MaxValueValidator(4320)]
    )
    distance_km = models.FloatField(null=True, blank=True, validators=POSITIVE)
    energy_kwh = models.FloatField(
        null=True, blank=True, validators=POSITIVE, help_text="Used on the road; empty = from the distance."
    )
    min_soc_departure = models.FloatField(
        null=True, blank=True, validators=FRACTION, help_text="Leave with at least this, 0 to 1."
    )
    precondition = models.BooleanField(
        default=False, help_text="Heat or cool the cabin on the plug before pull-out."
    )
    vehicle = models.ForeignKey(
        Vehicle, null=True, blank=True, on_delete=models.PROTECT, related_name="blocks"
    )
    vehicle_type = models.ForeignKey(
        VehicleType, null=True, blank=True, on_delete=models.PROTECT, related_name="blocks"
    )
    batch = models.ForeignKey(
        ImportBatch, null=True, blank=True, on_delete=models.SET_NULL, related_name="blocks"
    )
    history = HistoricalRecords()

    class Meta:
        ordering = ["depot", "depart_minute", "block_id"]
        constraints = [
            models.UniqueConstraint(fields=["depot", "key"], name="one_block_per_key"),
            models.CheckConstraint(
                condition=Q(return_minute__gt=F("depart_minute")), name="block_returns_after_leaving"
            ),
            models.CheckConstraint(
                condition=Q(service_date__isnull=False, weekdays=0)
                | Q(service_date__isnull=True, weekdays__gt=0),
                name="block_runs_on_a_date_or_on_weekdays",
            ),
        ]

    def __str__(self) -> str:
        return self.block_id

    def clean(self) -> None:
        for name in ("vehicle", "vehicle_type", "calendar"):
            other = getattr(self, name)
            if other is not None and other.depot_id != self.depot_id:
                raise ValidationError({name: "This belongs to another depot. Choose one of this depot."})

    def runs_on(self, day: date, exceptions: dict[date, bool]) -> bool:
        """Tell whether the block runs on `day`; `exceptions` are its calendar's days that differ."""
        if self.service_date is not None:
            return day == self.service_date
        if (self.valid_from and day < self.valid_from) or (self.valid_to and day > self.valid_to):
            return False
        return exceptions.get(day, bool(self.weekdays >> day.weekday() & 1))

    def pull_out_at(self, day: date) -> datetime:
        return local_to_utc(day, self.depart_minute, self.depot.tz)

    def pull_in_at(self, day: date) -> datetime:
        return local_to_utc(day, self.return_minute, self.depot.tz)


class Assignment(Scoped):
    """For one day, another vehicle than the block's usual one; no vehicle = the block does not run."""

    depot_path = "block__depot"

    block = models.ForeignKey(Block, on_delete=models.CASCADE, related_name="assignments")
    service_date = models.DateField()
    vehicle = models.ForeignKey(
        Vehicle, null=True, blank=True, on_delete=models.PROTECT, related_name="assignments"
    )
    reason = models.CharField(max_length=200, blank=True)
    made_by = models.ForeignKey(User, null=True, on_delete=models.SET_NULL, related_name="+")
    made_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["block", "service_date"], name="one_assignment_per_block_and_day"
            ),
        ]

    def clean(self) -> None:
        if self.vehicle is not None and self.vehicle.depot_id != self.block.depot_id:
            raise ValidationError(
                {"vehicle": "This vehicle belongs to another depot. Choose one of this depot."}
            )
