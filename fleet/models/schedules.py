"""What vehicles must do: blocks, the days they run, and who drives which."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime

from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _
from simple_history.models import HistoricalRecords

from depot.models import Depot, ImportBatch, Scoped, User
from depot.models.base import person_of
from depot.models.site import FRACTION, POSITIVE
from depot.timegrid import local_to_utc
from depot.words import tr
from fleet.calendars.public_holidays import UnknownPlace, check_place, holidays_of
from fleet.calendars.rules import USUAL, DayRule
from fleet.models.vehicles import Vehicle, VehicleType


class ServiceCalendar(Scoped):
    """Days on which the usual weekday rule does not hold: holidays, half days, extra service."""

    class Holidays(models.TextChoices):
        CLOSED = "closed", "No service on holidays"
        SUNDAY = "sunday", "Holidays as on Sundays"

    depot = models.ForeignKey(Depot, on_delete=models.CASCADE, related_name="calendars")
    name = models.CharField(max_length=60)
    country = models.CharField(
        max_length=2, blank=True, help_text="Whose public holidays count, like US or DE; empty = none."
    )
    subdivision = models.CharField(
        "state or region", max_length=6, blank=True, help_text="With its own holidays, like NC or BY."
    )
    on_holidays = models.CharField(max_length=8, choices=Holidays, default=Holidays.CLOSED)

    class Meta:
        ordering = ["depot", "name"]
        constraints = [
            models.UniqueConstraint(fields=["depot", "name"], name="calendar_name_once_per_depot"),
        ]

    def __str__(self) -> str:
        return self.name

    def clean(self) -> None:
        self.country, self.subdivision = self.country.upper(), self.subdivision.upper()
        try:
            if self.country:
                check_place(self.country, self.subdivision)
            elif self.subdivision:
                raise UnknownPlace("country", tr("Enter the country of this state or region, too."))
        except UnknownPlace as problem:
            raise ValidationError({problem.field: str(problem)}) from problem

    def holidays(self, year: int) -> Mapping[date, str]:
        """Return the holidays of a year that count here."""
        return holidays_of(self.country, self.subdivision, year) if self.country else {}

    @property
    def holiday_rule(self) -> DayRule:
        """Return what a holiday means here."""
        return DayRule(like_weekday=6) if self.on_holidays == self.Holidays.SUNDAY else DayRule(runs=False)


class CalendarException(Scoped):
    """One day that differs: no service, service although the weekday says none, or a half day.

    It goes before a public holiday of the calendar.
    """

    depot_path = "calendar__depot"

    calendar = models.ForeignKey(ServiceCalendar, on_delete=models.CASCADE, related_name="exceptions")
    date = models.DateField()
    runs = models.BooleanField(default=False, help_text="On = service on this day; off = no service.")
    like_weekday = models.PositiveSmallIntegerField(
        null=True,
        blank=True,
        validators=[MaxValueValidator(6)],
        help_text="Runs the blocks of this weekday, 0 = Monday; empty = all blocks.",
    )
    early_minutes = models.PositiveSmallIntegerField(
        null=True,
        blank=True,
        validators=[MinValueValidator(1), MaxValueValidator(480)],
        help_text="Half day: the day's usual blocks, those from noon on so many minutes earlier.",
    )
    note = models.CharField(max_length=80, blank=True)

    class Meta:
        ordering = ["calendar", "date"]
        constraints = [
            models.UniqueConstraint(fields=["calendar", "date"], name="one_exception_per_day"),
            models.CheckConstraint(
                condition=Q(early_minutes__isnull=True, like_weekday__isnull=True)
                | Q(runs=True, early_minutes__isnull=True)
                | Q(runs=True, like_weekday__isnull=True),
                name="exception_is_of_one_kind",
                violation_error_message=_("A day is closed, or like a weekday, or a half day: one of them."),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.date}: {'service' if self.runs else 'no service'} {self.note}".strip()

    @property
    def rule(self) -> DayRule:
        """Return what the day means for blocks."""
        if self.early_minutes:
            return DayRule(early_minutes=self.early_minutes, note=self.note)
        return DayRule(self.runs, self.like_weekday, note=self.note)


class ScheduleSettings(Scoped):
    """What the schedule files of a depot leave out."""

    depot = models.OneToOneField(Depot, on_delete=models.CASCADE, related_name="schedule_settings")
    deadhead_minutes = models.PositiveSmallIntegerField(
        default=0,
        validators=[MaxValueValidator(180)],
        help_text="Minutes from the depot to the first stop, and from the last stop back.",
    )
    deadhead_km = models.FloatField(
        default=0, validators=POSITIVE, help_text="Kilometres from the depot to the first stop, and back."
    )
    split_gap_minutes = models.PositiveSmallIntegerField(
        null=True,
        blank=True,
        validators=[MinValueValidator(30)],
        help_text="A bus that waits this long between two trips comes home meanwhile; empty = it stays out.",
    )

    calendar = models.ForeignKey(
        ServiceCalendar,
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="+",
        help_text="Blocks that recur and have no calendar of their own follow it, also those of later files.",
    )
    columns = models.JSONField(
        default=dict, blank=True, help_text="What titles of other systems mean here; empty = left out."
    )

    class Meta:
        verbose_name_plural = "schedule settings"

    def __str__(self) -> str:
        return tr("Schedule settings of {depot}", depot=self.depot)


class Block(Scoped):
    """A vehicle's piece of work between leaving the depot and coming back.

    It runs on `service_date` alone, or on the weekdays of `weekdays` between `valid_from` and `valid_to`.
    `exceptions` (ISO date -> runs) are its own days that differ; they go before those of its calendar.
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
    exceptions = models.JSONField(default=dict, blank=True, editable=False)
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
    vehicle_fixed = models.BooleanField(
        "vehicle stays", default=False, help_text="Proposals leave this block with its vehicle."
    )
    vehicle_type = models.ForeignKey(
        VehicleType, null=True, blank=True, on_delete=models.PROTECT, related_name="blocks"
    )
    batch = models.ForeignKey(
        ImportBatch, null=True, blank=True, on_delete=models.SET_NULL, related_name="blocks"
    )
    history = HistoricalRecords(get_user=person_of)

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
                raise ValidationError({name: tr("This belongs to another depot. Choose one of this depot.")})

    def runs_on(self, day: date, differing: Mapping[date, DayRule]) -> bool:
        """Tell whether the block runs on `day`; `differing` are the days of its calendar that differ."""
        if self.service_date is not None:
            return day == self.service_date
        if (self.valid_from and day < self.valid_from) or (self.valid_to and day > self.valid_to):
            return False
        usual = differing.get(day, USUAL).lets_run(self.weekdays, day)
        return bool(self.exceptions.get(day.isoformat(), usual))

    def earlier_on(self, day: date, differing: Mapping[date, DayRule]) -> int:
        """Return by how many minutes the block is pulled forward on `day`: what a dated block says is the truth."""
        return 0 if self.service_date else differing.get(day, USUAL).earlier(self.depart_minute)

    def pull_out_at(self, day: date, earlier_minutes: int = 0) -> datetime:
        return local_to_utc(day, self.depart_minute - earlier_minutes, self.depot.tz)

    def pull_in_at(self, day: date, earlier_minutes: int = 0) -> datetime:
        return local_to_utc(day, self.return_minute - earlier_minutes, self.depot.tz)


class Assignment(Scoped):
    """For one day: the vehicle of a block and a pull-in that differs.

    Without a vehicle the block does not run, unless it is `open`: then it waits for one.

    `fixed` = a person chose the vehicle, so proposals leave it.
    """

    depot_path = "block__depot"

    block = models.ForeignKey(Block, on_delete=models.CASCADE, related_name="assignments")
    service_date = models.DateField()
    vehicle = models.ForeignKey(
        Vehicle, null=True, blank=True, on_delete=models.PROTECT, related_name="assignments"
    )
    return_minute = models.PositiveSmallIntegerField(
        null=True,
        blank=True,
        validators=[MinValueValidator(1), MaxValueValidator(4320)],
        help_text="Comes back then, in minutes after midnight of the service day; empty = as the block says.",
    )
    fixed = models.BooleanField(default=False)
    open = models.BooleanField(default=False, help_text="Runs, and nobody has it yet.")
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
                {"vehicle": tr("This vehicle belongs to another depot. Choose one of this depot.")}
            )


class Outage(Scoped):
    """A span in which a vehicle cannot run: broken down, in the workshop. Open-ended until somebody ends it."""

    depot_path = "vehicle__depot"

    vehicle = models.ForeignKey(Vehicle, on_delete=models.CASCADE, related_name="outages")
    from_at = models.DateTimeField()
    to_at = models.DateTimeField(
        null=True, blank=True, help_text="Runs again from then on; empty = not known."
    )
    reason = models.CharField(max_length=200, blank=True)
    made_by = models.ForeignKey(User, null=True, on_delete=models.SET_NULL, related_name="+")
    made_at = models.DateTimeField()

    class Meta:
        ordering = ["vehicle", "-from_at"]
        constraints = [
            models.CheckConstraint(
                condition=Q(to_at__isnull=True) | Q(to_at__gt=F("from_at")),
                name="outage_ends_after_it_begins",
            ),
        ]

    def __str__(self) -> str:
        return tr(
            "{vehicle} out of service from {from_at:%Y-%m-%d %H:%M} UTC",
            vehicle=self.vehicle,
            from_at=self.from_at,
        )

    def covers(self, from_at: datetime, to_at: datetime) -> bool:
        """Tell whether the vehicle cannot run at some moment of `[from_at, to_at)`."""
        return self.from_at < to_at and (self.to_at is None or self.to_at > from_at)
