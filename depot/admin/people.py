"""People: log-ins are made by the administrator, roles are given by a depot's owner."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.auth.admin import UserAdmin
from django.core.exceptions import ValidationError
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from depot.admin.base import DepotInline
from depot.models import Membership, User
from depot.words import tr


@admin.register(User)
class Users(UserAdmin):
    """Log-ins. Only the administrator (superuser) makes them; what people may do comes from their roles."""

    list_display = ["username", "first_name", "last_name", "email", "is_active", "is_staff", "last_login"]
    list_filter = ["is_active", "is_staff", "is_superuser"]
    filter_horizontal = []
    fieldsets = [
        (None, {"fields": ["username", "password"]}),
        (_("Person"), {"fields": ["first_name", "last_name", "email"]}),
        (
            _("Access"),
            {
                "fields": ["is_active", "is_staff", "is_superuser"],
                "description": _(
                    "Staff may open this set-up; what they see and change there comes from their role in "
                    "each depot. A superuser may do everything in every depot."
                ),
            },
        ),
        (_("Dates"), {"fields": ["last_login", "date_joined"]}),
    ]

    def has_module_permission(self, request: HttpRequest) -> bool:
        return request.user.is_superuser

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return request.user.is_superuser

    def has_add_permission(self, request: HttpRequest) -> bool:
        return request.user.is_superuser

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return request.user.is_superuser

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return request.user.is_superuser


class MembershipForm(forms.ModelForm):
    """A person, by the user name they log in with, and their role. Nobody can leaf through all users."""

    person = forms.CharField(
        label=_("User name"),
        max_length=150,
        help_text=_("As the person logs in. The administrator makes log-ins."),
    )

    class Meta:
        model = Membership
        fields = ["role"]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.instance.pk:
            self.fields["person"].initial = self.instance.user.username
            self.fields["person"].disabled = True

    def clean_person(self) -> str:
        name = self.cleaned_data["person"]
        if not self.instance.pk:
            user = User.objects.filter(username=name, is_active=True).first()
            if user is None:
                raise ValidationError(
                    tr("There is no log-in “{name}”. Ask the administrator to make it.", name=name)
                )
            self.instance.user = user
        return name


class MembershipFormSet(forms.BaseInlineFormSet):
    """One role for each person."""

    def clean(self) -> None:
        super().clean()
        seen: set[str] = set()
        for form in self.forms:
            name = form.cleaned_data.get("person") if hasattr(form, "cleaned_data") else None
            if not name or form in self.deleted_forms:
                continue
            if name in seen:
                form.add_error("person", tr("{name} has a role here already. Change it instead.", name=name))
            seen.add(name)


class MembershipInline(DepotInline):
    """Who has which role in the depot. Owners alone change it."""

    model = Membership
    form = MembershipForm
    formset = MembershipFormSet
    ability = "manage_people"
    verbose_name = _("person with a role")
    verbose_name_plural = _("People and their roles")

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return ["person" if self.has_change_permission(request, obj) else "user", "role"]
