"""API keys: made here by an owner, shown once, ended at once."""

from __future__ import annotations

from datetime import datetime
from typing import Any, cast

from django import forms
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils.translation import gettext_lazy as _

from depot.access.keys import expiry_problem, make_key, revoke
from depot.admin.base import OWN_DEPOTS, DepotAdmin
from depot.models import ApiKey, Scope, User
from depot.words import tr


def show_once(request: HttpRequest, title: str, secrets: list[tuple[str, str]], back: str) -> HttpResponse:
    """Show new secrets on a page that is kept nowhere: `secrets` are (what for, secret)."""
    context = {**admin.site.each_context(request), "title": title, "secrets": secrets, "back": back}
    response = TemplateResponse(request, "admin/secrets.html", context)
    response["Cache-Control"] = "no-store"
    return response


def _person(request: HttpRequest) -> User:
    return cast(User, request.user)  # the admin lets nobody in without a log-in


class ApiKeyForm(forms.ModelForm):
    """Name, scopes and last day of a key."""

    scopes = forms.MultipleChoiceField(
        label=_("Scopes"), choices=Scope.choices, widget=forms.CheckboxSelectMultiple
    )

    class Meta:
        model = ApiKey
        fields = ["depot", "name", "scopes", "expires_at"]

    def clean_expires_at(self) -> datetime:
        expires_at: datetime = self.cleaned_data["expires_at"]
        problem = expiry_problem(expires_at)
        if problem:
            raise forms.ValidationError(problem)
        return expires_at


@admin.register(ApiKey)
class ApiKeys(DepotAdmin):
    """Credentials of programs. A key belongs to one depot and does what its scopes say."""

    form = ApiKeyForm
    view_ability = ability = "manage_people"
    list_display = ["name", "depot", "prefix", "scopes", "expires_at", "revoked_at", "last_used_at"]
    list_filter = [OWN_DEPOTS, ("revoked_at", admin.EmptyFieldListFilter)]
    search_fields = ["name", "prefix"]
    actions = ["end"]

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def save_model(self, request: HttpRequest, obj: ApiKey, form: Any, change: bool) -> None:
        key, raw = make_key(
            obj.depot,
            obj.name,
            form.cleaned_data["scopes"],
            _person(request),
            form.cleaned_data["expires_at"],
        )
        obj.__dict__.update(key.__dict__)
        request.new_secret = raw  # type: ignore[attr-defined]

    def response_add(self, request: HttpRequest, obj: ApiKey, post_url_continue: Any = None) -> HttpResponse:
        secrets = [(tr("{name} of {depot}", name=obj.name, depot=obj.depot), request.new_secret)]  # type: ignore[attr-defined]
        return show_once(request, tr("The new API key"), secrets, "admin:depot_apikey_changelist")

    @admin.action(description=_("End the selected keys at once"), permissions=["add"])
    def end(self, request: HttpRequest, queryset: QuerySet[ApiKey]) -> None:
        for key in queryset.select_related("depot"):
            if self.allowed(request, self.ability, key):
                revoke(key, _person(request))
        self.message_user(request, tr("The selected keys have ended."))
