"""Set-up of the fleet: vehicle types, vehicles, calendars, blocks; and readings of unknown vehicles."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from depot import clock
from depot.admin.base import OWN_DEPOTS, DepotAdmin, DepotInline, Records
from depot.imports import CellError, parse_clock
from depot.words import day_words, tr
from fleet.formats.blocks import BlockRow
from fleet.formats.clock import clock as clock_text
from fleet.formats.service_days import describe_service_days, parse_service_days
from fleet.models import (
    Block,
    CalendarException,
    ChargingRequest,
    IngestBatch,
    Outage,
    QuarantinedReading,
    ScheduleSettings,
    ServiceCalendar,
    TelematicsFeed,
    Vehicle,
    VehicleType,
)
from fleet.services.quarantine import adopt
from fleet.services.telematics import forget


@admin.register(VehicleType)
class VehicleTypes(DepotAdmin):
    """Makes and models: battery, power limits, protocols, consumption."""

    list_display = ["name", "depot", "kind", "usable_kwh", "chemistry", "inverter", "iso15118_20", "vehicles"]
    list_filter = [OWN_DEPOTS, "kind", "chemistry", "inverter"]
    search_fields = ["name"]
    fieldsets = [
        (None, {"fields": ["depot", "name", "kind"]}),
        (
            _("Battery"),
            {
                "fields": [
                    "usable_kwh",
                    "chemistry",
                    ("min_soc", "max_soc", "reserve_soc"),
                    "pack_price_per_kwh",
                    "warranty_throughput_kwh",
                ]
            },
        ),
        (_("Charging"), {"fields": [("max_charge_ac_kw", "max_charge_dc_kw"), "charge_taper", "iso15118_2"]}),
        (
            _("Discharging (V2G)"),
            {
                "fields": ["inverter", ("max_discharge_ac_kw", "max_discharge_dc_kw"), "iso15118_20"],
                "description": _(
                    "Leave as it is for a one-way vehicle. V2G also needs a bidirectional charger and an "
                    "approved interconnection agreement."
                ),
            },
        ),
        (_("On the road"), {"fields": ["consumption_kwh_per_km", "auxiliary_kw", "preconditioning_kwh"]}),
    ]

    @admin.display(description=_("vehicles"))
    def vehicles(self, kind: VehicleType) -> int:
        return len(kind.vehicles.all())

    def get_queryset(self, request: HttpRequest) -> QuerySet[VehicleType]:
        return super().get_queryset(request).select_related("depot").prefetch_related("vehicles")


@admin.register(Vehicle)
class Vehicles(DepotAdmin):
    """Buses and vans."""

    list_display = ["name", "depot", "type", "vin", "external_id", "v2g_enabled", "active", "known_soc"]
    list_filter = [OWN_DEPOTS, ("type", admin.RelatedOnlyFieldListFilter), "active", "v2g_enabled"]
    list_select_related = ["depot", "type", "state"]
    search_fields = ["name", "vin", "external_id", "id_token"]
    readonly_fields = ["known_soc"]
    fieldsets = [
        (None, {"fields": ["depot", "name", "type", "in_service_on", "active", "known_soc"]}),
        (
            _("How others call it"),
            {
                "fields": ["vin", "external_id", "id_token"],
                "description": _("By these names telematics, schedules and chargers recognise the vehicle."),
            },
        ),
        ("V2G", {"fields": ["v2g_enabled", "v2g_min_soc"]}),
    ]

    @admin.display(description=_("last known SoC"))
    def known_soc(self, vehicle: Vehicle) -> str:
        state = getattr(vehicle, "state", None)
        if state is None:
            return tr("never heard of")
        at = vehicle.depot.local(state.soc_observed_at)
        return f"{state.soc:.0%} ({state.get_soc_source_display()}, {day_words(at)} {at:%H:%M %Z})"


class CalendarExceptions(DepotInline):
    model = CalendarException
    fields = ["date", "runs", "like_weekday", "early_minutes", "note"]


@admin.register(ServiceCalendar)
class Calendars(DepotAdmin):
    """Days on which the usual weekday rule does not hold: holidays, half days, extra service."""

    list_display = ["name", "depot", "days"]
    list_filter = [OWN_DEPOTS]
    search_fields = ["name"]
    inlines = [CalendarExceptions]

    @admin.display(description=_("days that differ"))
    def days(self, calendar: ServiceCalendar) -> int:
        return len(calendar.exceptions.all())

    def get_queryset(self, request: HttpRequest) -> QuerySet[ServiceCalendar]:
        return super().get_queryset(request).select_related("depot").prefetch_related("exceptions")


@admin.register(ScheduleSettings)
class ScheduleSettingsAdmin(DepotAdmin):
    """What schedule files leave out: the way from the depot to the first stop, and when a bus comes home."""

    ability = "write_schedules"
    list_display = ["depot", "deadhead_minutes", "deadhead_km", "split_gap_minutes", "calendar"]
    list_filter = [OWN_DEPOTS]


class AsWritten(forms.CharField):
    """A number that people read and write as words, like 06:30 for 390 minutes."""

    def __init__(self, read: Callable[[str], int], write: Callable[[int], str], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.read, self.write = read, write

    def prepare_value(self, value: Any) -> Any:
        return self.write(value) if isinstance(value, int) else value

    def clean(self, value: Any) -> int | None:
        text = super().clean(value)
        if not text:
            return None
        try:
            return self.read(text)
        except CellError as error:
            raise ValidationError(str(error)) from error


def _days(bits: int) -> str:
    return describe_service_days(bits) if bits else ""


class BlockForm(forms.ModelForm):
    """A block with times and days as dispatchers write them."""

    weekdays = AsWritten(
        parse_service_days,
        _days,
        label=_("Weekdays"),
        required=False,
        help_text=_("Like Mon-Fri or Mon,Wed; empty for one day alone."),
    )
    depart_minute = AsWritten(
        parse_clock,
        clock_text,
        label=_("Pull-out"),
        help_text=_("Local time, like 06:30 or 01:10+1 on the next day."),
    )
    return_minute = AsWritten(
        parse_clock, clock_text, label=_("Pull-in"), help_text=_("Local time, like 08:45.")
    )

    class Meta:
        model = Block
        exclude = ["key", "batch"]  # noqa: DJ006 - the admin's fieldsets name the fields

    def clean_weekdays(self) -> int:
        return self.cleaned_data["weekdays"] or 0

    def clean(self) -> dict[str, Any]:
        values = super().clean() or self.cleaned_data
        leave, back = values.get("depart_minute"), values.get("return_minute")
        if leave is not None and back is not None and back <= leave:
            self.add_error(
                "return_minute", tr("The pull-in is not after the pull-out. Past midnight write 01:10+1.")
            )
        if "weekdays" in values and bool(values["weekdays"]) == bool(values.get("service_date")):
            self.add_error("weekdays", tr("Enter either weekdays or one service date."))
        if not self.errors:
            self._name_it(values)
        return values

    def _name_it(self, values: dict[str, Any]) -> None:
        """Give the block the key that a schedule file with the same block has, so that both are one row."""
        self.instance.key = BlockRow(
            block_id=values["block_id"],
            depart_minute=values["depart_minute"],
            return_minute=values["return_minute"],
            service_date=values.get("service_date"),
            weekdays=values["weekdays"],
            valid_from=values.get("valid_from"),
        ).key
        depot = values.get("depot") or self.instance.depot
        same = Block.objects.of_depot(depot).filter(key=self.instance.key).exclude(pk=self.instance.pk)
        if same.exists():
            self.add_error("block_id", tr("This block runs on these days already. Change that one."))


@admin.register(Block)
class Blocks(DepotAdmin):
    """What vehicles must do. Most come from schedule files; here single ones are entered or mended."""

    form = BlockForm
    ability = "write_schedules"
    list_display = ["block_id", "depot", "days", "pull_out", "pull_in", "distance_km", "vehicle"]
    list_filter = [OWN_DEPOTS, ("calendar", admin.RelatedOnlyFieldListFilter), "precondition"]
    list_select_related = ["depot", "vehicle"]
    search_fields = ["block_id", "vehicle__name"]
    fieldsets = [
        (None, {"fields": ["depot", "block_id", ("vehicle", "vehicle_fixed"), "vehicle_type"]}),
        (
            _("When it runs"),
            {
                "fields": [
                    "weekdays",
                    "service_date",
                    ("valid_from", "valid_to"),
                    "calendar",
                    ("depart_minute", "return_minute"),
                ]
            },
        ),
        (
            _("What it needs"),
            {"fields": [("distance_km", "energy_kwh"), "min_soc_departure", "precondition"]},
        ),
    ]

    @admin.display(description=_("days"), ordering="weekdays")
    def days(self, block: Block) -> str:
        return str(block.service_date or _days(block.weekdays))

    @admin.display(description=_("pull-out"), ordering="depart_minute")
    def pull_out(self, block: Block) -> str:
        return clock_text(block.depart_minute)

    @admin.display(description=_("pull-in"), ordering="return_minute")
    def pull_in(self, block: Block) -> str:
        return clock_text(block.return_minute)


@admin.register(Outage)
class Outages(Records):
    """When vehicles could not run; dispatchers enter and end this on the Day page."""

    list_display = ["vehicle", "from_at", "to_at", "reason", "made_by"]
    list_select_related = ["vehicle", "made_by"]
    search_fields = ["vehicle__name", "reason"]


@admin.register(QuarantinedReading)
class QuarantinedReadings(Records):
    """Readings of vehicles that the depot does not know. Enter the vehicle, then take them over."""

    list_display = ["vehicle_ref", "depot", "observed_at", "received_at"]
    list_filter = [OWN_DEPOTS]
    search_fields = ["vehicle_ref"]
    actions = ["take_over"]

    def has_set_up_permission(self, request: HttpRequest) -> bool:
        return self.allowed(request, self.ability)

    @admin.action(description=_("Take over what now belongs to a vehicle"), permissions=["set_up"])
    def take_over(self, request: HttpRequest, queryset: QuerySet[QuarantinedReading]) -> None:
        taken, left = adopt(queryset, request.user, clock.now())
        level = messages.WARNING if left else messages.SUCCESS
        self.message_user(
            request,
            tr(
                "{taken} readings taken over, {left} left: no vehicle of the depot has their name.",
                taken=taken,
                left=left,
            ),
            level,
        )


@admin.register(IngestBatch)
class IngestLog(Records):
    """What became of every batch of telemetry in the last two weeks, for those who write the sending program."""

    list_display = [
        "received_at",
        "depot",
        "sender",
        "items",
        "accepted",
        "late",
        "duplicate",
        "implausible",
        "quarantined",
        "rejected",
        "first_problem",
    ]
    list_filter = [OWN_DEPOTS, ("first_problem", admin.EmptyFieldListFilter), "received_at"]
    search_fields = ["sender", "first_problem"]


@admin.register(ChargingRequest)
class ChargingRequests(Records):
    """What presystems ask for over VDV 463, as their last lists say, and what was rejected."""

    list_display = [
        "request_id",
        "depot",
        "presystem",
        "vehicle_ref",
        "departs_at",
        "min_soc",
        "rejected_because",
    ]
    list_filter = [OWN_DEPOTS, "presystem", ("rejected_because", admin.EmptyFieldListFilter)]
    search_fields = ["request_id", "vehicle_ref"]


class TelematicsFeedForm(forms.ModelForm):
    """A feed; its key can be set and is never shown."""

    new_secret = forms.CharField(
        label=_("Token or password"),
        required=False,
        max_length=400,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
        help_text=_("Empty: the one that is set stays."),
    )

    class Meta:
        model = TelematicsFeed
        fields = ["depot", "kind", "enabled", "server", "database", "user_name"]

    def clean(self) -> dict[str, Any]:
        """Ask for the key where there is none, and again before it goes to another account."""
        data = super().clean() or {}
        elsewhere = {"kind", "server", "database", "user_name"} & set(self.changed_data)
        if not data.get("new_secret") and (elsewhere or not self.instance.sealed_secret):
            self.add_error("new_secret", tr("Enter the token or password of this account."))
        return data


@admin.register(TelematicsFeed)
class TelematicsFeeds(DepotAdmin):
    """Makers' feeds that are asked every minute for what vehicles say."""

    form = TelematicsFeedForm
    list_display = ["kind", "depot", "enabled", "server", "heard_at", "trouble"]
    list_filter = [OWN_DEPOTS, "kind", "enabled"]
    list_select_related = ["depot"]
    readonly_fields = ["heard_at", "trouble"]
    fieldsets = [
        (None, {"fields": ["depot", "kind", "enabled", "heard_at", "trouble"]}),
        (_("Account"), {"fields": ["server", ("database", "user_name"), "new_secret"]}),
    ]

    def save_model(self, request: HttpRequest, obj: TelematicsFeed, form: Any, change: bool) -> None:
        secret = form.cleaned_data["new_secret"]
        if secret:
            obj.secret = secret
            forget(obj)
        super().save_model(request, obj, form, change)
