"""The depot's page of the set-up. It is in the roof because it looks at every app for what is missing."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from depot import clock
from depot.admin.base import DepotAdmin
from depot.admin.people import MembershipInline
from depot.admin.site import AgreementInline, BatteryInline, MeterInline, NodeInline, SolarArrayInline
from depot.models import Depot
from depot.project.checklist import missing


@admin.register(Depot)
class Depots(DepotAdmin):
    """A site with its electrical tree, agreement, meters, sun, storage and people."""

    list_display = ["name", "slug", "time_zone", "currency", "dispatch_enabled", "gaps"]
    search_fields = ["name", "slug"]
    prepopulated_fields = {"slug": ["name"]}
    readonly_fields = ["still_missing"]
    fieldsets = [
        ("What is still missing", {"fields": ["still_missing"]}),
        (None, {"fields": ["name", "slug", "time_zone", "currency"]}),
        ("Place", {"fields": [("latitude", "longitude", "elevation_m")]}),
        ("Planning", {"fields": ["dispatch_enabled", "horizon_hours", "step_minutes"]}),
    ]

    def get_inlines(
        self, request: HttpRequest, obj: Depot | None
    ) -> list[type[admin.options.InlineModelAdmin]]:
        first: list[type[admin.options.InlineModelAdmin]] = [NodeInline, AgreementInline]
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

    @admin.display(description="")
    def still_missing(self, depot: Depot) -> SafeString:
        gaps = missing(depot, clock.now())
        if not gaps:
            return format_html("{}", "Nothing: this depot can be planned, charged and billed.")
        items = format_html_join(
            "", '<li>{} <a href="{}">Mend it</a></li>', ((gap.sentence, gap.address) for gap in gaps)
        )
        return format_html("<ul>{}</ul>", items)

    @admin.display(description="still missing")
    def gaps(self, depot: Depot) -> str:
        count = len(missing(depot, clock.now()))
        return f"{count} things" if count > 1 else ("1 thing" if count else "nothing")
