"""The depot's page of the set-up. It is in the roof because it looks at every app for what is missing."""

from __future__ import annotations

from datetime import date
from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import Max
from django.http import HttpRequest
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from billing.models import Interval, Tariff
from billing.selectors.cycles import billed_otherwise
from billing.services.close import drop_estimates
from billing.tariff import TariffError, read_tariff
from charging.models import Charger
from charging.services.standing_down import stand_down
from depot import clock
from depot.admin.base import DepotAdmin
from depot.admin.people import MembershipInline
from depot.admin.site import (
    AgreementInline,
    BatteryInline,
    MeterInline,
    NodeFormSet,
    NodeInline,
    SolarArrayInline,
)
from depot.cycles import Cycles, reading_problems
from depot.models import Depot
from depot.models.site import validate_time_zone
from depot.project.checklist import missing
from depot.words import tr, trn

CYCLE_FIELDS = {"meter_reading_day", "meter_read_since", "meter_read_on"}


class Days(forms.CharField):
    """Days as they are written, one a line or parted by commas; kept as a list of ISO dates."""

    widget = forms.Textarea

    def prepare_value(self, value: Any) -> Any:
        return "\n".join(value) if isinstance(value, list) else value

    def to_python(self, value: Any) -> Any:
        found = []
        for word in str(value or "").replace(",", " ").split():
            try:
                found.append(date.fromisoformat(word).isoformat())
            except ValueError as error:
                raise forms.ValidationError(
                    tr("“{word}” is not a day. Write it like 2026-03-11.", word=word)
                ) from error
        return found

    def has_changed(self, initial: Any, data: Any) -> bool:
        try:
            return bool(self.to_python(data) != (initial or []))
        except forms.ValidationError:
            return True


class DepotForm(forms.ModelForm):
    """The depot itself; refuses what would contradict its ledger or its tariffs."""

    meter_read_on = Days(
        label=_("meter read on"),
        required=False,
        widget=forms.Textarea(attrs={"rows": 4, "cols": 24}),
        help_text=Depot._meta.get_field("meter_read_on").help_text,
    )

    class Meta:
        model = Depot
        fields = "__all__"  # noqa: DJ007 - the admin's fieldsets choose

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "time_zone" in self.fields:  # refused before it is the depot's: the page tells the depot's time
            self.fields["time_zone"].validators.append(validate_time_zone)

    def clean_step_minutes(self) -> int:
        """Keep the step of a depot that has a ledger: intervals of two lengths would overlap."""
        minutes: int = self.cleaned_data["step_minutes"]
        kept = self.instance.pk and "step_minutes" in self.changed_data
        if kept and Interval.objects.filter(depot=self.instance).exists():
            raise forms.ValidationError(
                tr(
                    "The ledger already has intervals of {minutes} min, so their length is fixed. "
                    "Choose {minutes} min again.",
                    minutes=self.initial["step_minutes"],
                )
            )
        return minutes

    def clean(self) -> dict[str, Any]:
        """Keep the cycles of final bills, and of the utility's own that were entered beside them."""
        cleaned: dict[str, Any] = super().clean() or {}
        changed = CYCLE_FIELDS & set(self.changed_data)
        day, read_on = cleaned.get("meter_reading_day"), cleaned.get("meter_read_on")
        if not self.instance.pk or not changed or not day or read_on is None:
            return cleaned
        days = tuple(map(date.fromisoformat, read_on))
        cycles = Cycles(self.instance.tz, day, cleaned.get("meter_read_since"), days)
        for problem in reading_problems(cycles):
            self.add_error("meter_read_on", problem)
        if not self.errors and (billed := billed_otherwise(self.instance, cycles)):
            single = changed == {"meter_read_on"}
            self.add_error(
                "meter_read_on" if single else "meter_read_since",
                tr("{billed} was billed by other cycles, and that stays.", billed=billed)
                + " "
                + (tr("Leave its days as they are.") if single else tr("Choose a later month.")),
            )
        return cleaned

    def clean_currency(self) -> str:
        """Keep the currency in which the depot's tariffs are."""
        currency: str = self.cleaned_data["currency"]
        if not self.instance.pk or "currency" not in self.changed_data:
            return currency
        for tariff in Tariff.objects.filter(depot=self.instance):
            other = _currency_of(tariff)
            if other not in (None, currency):
                raise forms.ValidationError(
                    tr(
                        "{tariff} is in {other}. Choose {other}, or delete the tariffs in {other} first.",
                        tariff=tariff,
                        other=other,
                    )
                )
        return currency


def _currency_of(tariff: Tariff) -> str | None:
    try:
        return read_tariff(tariff.definition).currency
    except TariffError:
        return None


class SiteNodeFormSet(NodeFormSet):
    """The electrical tree, which must also carry each charger at its nodes."""

    def clean(self) -> None:
        super().clean()
        at_nodes = Charger.objects.filter(node__in=[form.instance.pk for form in self.initial_forms])
        largest = dict(at_nodes.values_list("node").annotate(Max("max_charge_kw")))
        for form in self.initial_forms:
            most_kw, limit_kw = largest.get(form.instance.pk), form.cleaned_data.get("import_limit_kw")
            if form in self.deleted_forms or most_kw is None or limit_kw is None:
                continue
            if most_kw > limit_kw:
                form.add_error(
                    "import_limit_kw",
                    tr(
                        "A charger at {node} draws up to {most_kw:g} kW. Enter {most_kw:g} kW or more, "
                        "or lower the charger first.",
                        node=form.instance.name,
                        most_kw=most_kw,
                    ),
                )


class SiteNodeInline(NodeInline):
    formset = SiteNodeFormSet


@admin.register(Depot)
class Depots(DepotAdmin):
    """A site with its electrical tree, agreement, meters, sun, storage and people."""

    form = DepotForm
    list_display = ["name", "slug", "time_zone", "currency", "dispatch_enabled", "gaps"]
    search_fields = ["name", "slug"]
    prepopulated_fields = {"slug": ["name"]}
    readonly_fields = ["still_missing"]
    fieldsets = [
        (_("What is still missing"), {"fields": ["still_missing"]}),
        (None, {"fields": ["name", "slug", "time_zone", "currency", "units", "language"]}),
        (
            _("Billing cycles"),
            {
                "fields": ["meter_reading_day", "meter_read_since", "meter_read_on"],
                "description": _("A cycle is named by the month in which it begins."),
            },
        ),
        (_("Place"), {"fields": [("latitude", "longitude", "elevation_m")]}),
        (
            _("Planning"),
            {
                "fields": ["dispatch_enabled", "horizon_hours", "step_minutes"],
                "description": _(
                    "When dispatch is switched off every charger is sent its safe level at once."
                ),
            },
        ),
    ]

    def get_inlines(
        self, request: HttpRequest, obj: Depot | None
    ) -> list[type[admin.options.InlineModelAdmin]]:
        first: list[type[admin.options.InlineModelAdmin]] = [SiteNodeInline, AgreementInline]
        if obj is None:
            return [*first, MembershipInline]
        return [*first, MeterInline, SolarArrayInline, BatteryInline, MembershipInline]

    def get_fieldsets(self, request: HttpRequest, obj: Depot | None = None) -> Any:
        fieldsets = super().get_fieldsets(request, obj)
        return fieldsets if obj is not None else fieldsets[1:]

    def get_prepopulated_fields(self, request: HttpRequest, obj: Depot | None = None) -> dict[str, Any]:
        return {} if obj is not None else super().get_prepopulated_fields(request, obj)

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return request.user.is_superuser

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return request.user.is_superuser

    def save_model(self, request: HttpRequest, obj: Depot, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
        if change and "dispatch_enabled" in form.changed_data and not obj.dispatch_enabled:
            stand_down(obj, request.user)
        if change and CYCLE_FIELDS & set(form.changed_data):
            drop_estimates(obj)

    @admin.display(description="")
    def still_missing(self, depot: Depot) -> SafeString:
        gaps = missing(depot, clock.now())
        if not gaps:
            return format_html("{}", tr("Nothing: this depot can be planned, charged and billed."))
        items = format_html_join(
            "",
            '<li>{} <a href="{}">{}</a></li>',
            ((gap.sentence, gap.address, tr("Mend it")) for gap in gaps),
        )
        return format_html("<ul>{}</ul>", items)

    @admin.display(description=_("still missing"))
    def gaps(self, depot: Depot) -> str:
        count = len(missing(depot, clock.now()))
        return trn("{count} thing", "{count} things", count) if count else tr("nothing")
