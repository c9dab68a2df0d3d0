"""Webhooks: set up here by an owner, their secret shown once, their deliveries looked at and sent again."""

from __future__ import annotations

from typing import Any, cast

from django import forms
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext_lazy as _

from depot.admin.base import OWN_DEPOTS, DepotAdmin, Records
from depot.admin.keys import show_once
from depot.models import User, Webhook, WebhookDelivery
from depot.webhooks import signing
from depot.webhooks.services import renew_secret, send_again
from depot.words import tr


class WebhookForm(forms.ModelForm):
    """Name, address and topics of a webhook."""

    topics = forms.MultipleChoiceField(
        label=_("Topics"), choices=Webhook.Topic.choices, widget=forms.CheckboxSelectMultiple
    )

    class Meta:
        model = Webhook
        fields = ["depot", "name", "url", "topics", "active"]


@admin.register(Webhook)
class Webhooks(DepotAdmin):
    """Addresses of other programs that are told of alerts, plans and readiness."""

    form = WebhookForm
    view_ability = ability = "manage_people"
    list_display = ["name", "depot", "url", "topics", "active"]
    list_filter = [OWN_DEPOTS, "active"]
    search_fields = ["name", "url"]
    actions = ["renew"]

    def save_model(self, request: HttpRequest, obj: Webhook, form: Any, change: bool) -> None:
        if not change:
            obj.created_by = cast(User, request.user)
        super().save_model(request, obj, form, change)

    def response_add(self, request: HttpRequest, obj: Webhook, post_url_continue: Any = None) -> HttpResponse:
        secrets = [(tr("{name} of {depot}", name=obj.name, depot=obj.depot), signing.readable(obj.secret))]
        return show_once(request, tr("The webhook's secret"), secrets, "admin:depot_webhook_changelist")

    @admin.action(description=_("Make a new secret; the old one ends at once"), permissions=["change"])
    def renew(self, request: HttpRequest, queryset: QuerySet[Webhook]) -> HttpResponse:
        secrets = [
            (
                tr("{name} of {depot}", name=webhook.name, depot=webhook.depot),
                renew_secret(webhook, cast(User, request.user)),
            )
            for webhook in queryset.select_related("depot")
            if self.allowed(request, self.ability, webhook)
        ]
        return show_once(request, tr("New secrets"), secrets, "admin:depot_webhook_changelist")


@admin.register(WebhookDelivery)
class WebhookDeliveries(Records):
    """What webhooks were told in the last 14 days, and what they answered."""

    view_ability = ability = "manage_people"
    list_display = ["created_at", "webhook", "event", "state", "attempts", "status", "answer", "next_at"]
    list_filter = ["state", "event", ("webhook", admin.RelatedOnlyFieldListFilter)]
    list_select_related = ["webhook"]
    actions = ["again"]

    def has_send_permission(self, request: HttpRequest) -> bool:
        return self.allowed(request, self.ability)

    @admin.action(description=_("Send again what was heard or given up"), permissions=["send"])
    def again(self, request: HttpRequest, queryset: QuerySet[WebhookDelivery]) -> None:
        for delivery in queryset.select_related("webhook__depot"):
            if self.allowed(request, self.ability, delivery):
                send_again(delivery, cast(User, request.user))
        self.message_user(request, tr("The selected deliveries are sent again."))
