"""Who may set up what: the admin asks the table of roles, depot by depot, and shows nothing of others."""

from __future__ import annotations

from typing import Any, cast

from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.contrib.admin.utils import unquote
from django.db.models import ForeignKey, Model, QuerySet
from django.forms import ModelChoiceField, ModelForm
from django.http import HttpRequest
from django.utils import translation

from depot import audit
from depot.access.roles import depots_where
from depot.jobs import enqueue
from depot.jobs.registry import KINDS
from depot.models import Depot, Scoped, User
from depot.words import ENGLISH, mark, speaking, tr

ACTS = {
    "added": mark("{who} added {kind} {row}: {changes}"),
    "changed": mark("{who} changed {kind} {row}: {changes}"),
    "deleted": mark("{who} deleted {kind} {row}."),
}
OWN_DEPOTS = ("depot", admin.RelatedOnlyFieldListFilter)


def depots_of(request: HttpRequest, ability: str) -> frozenset[int]:
    """Return the ids of the depots in which the request's user may do `ability`; asked once a request."""
    known: dict[str, frozenset[int]] = request.__dict__.setdefault("depots_by_ability", {})
    if ability not in known:
        known[ability] = frozenset(depots_where(request.user, ability))
    return known[ability]


def depot_id_of(row: Any) -> Any:
    """Return the id of the depot that a scoped row belongs to; None for a record that belongs to none."""
    *way, last = row.depot_path.split("__")
    for name in way:
        row = getattr(row, name)
    return getattr(row, "pk" if last == "pk" else f"{last}_id")


class ByRole:
    """An admin class whose rows are those of the user's depots, and whose permissions are their roles there.

    `view_ability` is needed to see a row, `ability` to add, change or delete it (keys of `ABILITIES`).
    """

    view_ability = "set_up_site"
    ability = "set_up_site"
    model: type[Model]
    admin_site: admin.AdminSite

    def allowed(self, request: HttpRequest, ability: str, row: Any = None) -> bool:
        """Tell whether the user may do `ability` to `row`, or to any row when there is none yet."""
        user = request.user
        if not (user.is_active and user.is_staff):
            return False
        if user.is_superuser:
            return True
        depots = depots_of(request, ability)
        return bool(depots) if row is None else depot_id_of(row) in depots

    def has_module_permission(self, request: HttpRequest) -> bool:
        return self.allowed(request, self.view_ability)

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self.allowed(request, self.view_ability, obj)

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self.allowed(request, self.ability, obj)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self.allowed(request, self.ability, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self.allowed(request, self.ability, obj)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        rows = super().get_queryset(request)  # type: ignore[misc]
        if request.user.is_superuser:
            return rows
        return rows.of_depots(depots_of(request, self.view_ability))

    def formfield_for_foreignkey(
        self, db_field: ForeignKey, request: HttpRequest, **kwargs: Any
    ) -> ModelChoiceField | None:
        """Offer only rows of the depot being edited, or of depots in which the user may write."""
        related = db_field.remote_field.model
        if isinstance(related, type) and issubclass(related, Scoped):
            edited = self._edited(request)
            depots = depots_of(request, self.ability) if edited is None else [depot_id_of(edited)]
            kwargs["queryset"] = related.objects.of_depots(depots)
        return super().formfield_for_foreignkey(db_field, request, **kwargs)  # type: ignore[misc]

    def _edited(self, request: HttpRequest) -> Any:
        """Return the saved row that the page edits (for an inline, the row it hangs on)."""
        key = request.resolver_match.kwargs.get("object_id") if request.resolver_match else None
        if key is None:
            return None
        edited: dict[str, Any] = request.__dict__.setdefault("edited_rows", {})
        if key not in edited:
            owner = self.admin_site.get_model_admin(getattr(self, "parent_model", self.model))
            edited[key] = owner.get_object(request, unquote(key))
        return edited[key]


class UniqueInDepot:
    """A form that checks what is unique in a depot also where the row's depot is fixed and so no field."""

    instance: Any

    def _get_validation_exclusions(self) -> set[str]:
        excluded: set[str] = super()._get_validation_exclusions()  # type: ignore[misc]
        return excluded - {"depot"} if self.instance.pk else excluded


class DepotAdmin(ByRole, admin.ModelAdmin):
    """The set-up of one kind of row; every change goes to the audit trail."""

    list_per_page = 50
    save_on_top = True

    def get_form(
        self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any
    ) -> type[ModelForm]:
        form = super().get_form(request, obj, change, **kwargs)
        return type(form.__name__, (UniqueInDepot, form), {})

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        fixed = ("depot",) if obj is not None and obj.depot_path == "depot" else ()
        return (*super().get_readonly_fields(request, obj), *fixed)

    def log_addition(self, request: HttpRequest, obj: Any, message: Any) -> LogEntry:
        entry = super().log_addition(request, obj, message)
        self._audit(request, obj, "added", entry)
        return entry

    def log_change(self, request: HttpRequest, obj: Any, message: Any) -> LogEntry:
        entry = super().log_change(request, obj, message)
        self._audit(request, obj, "changed", entry)
        return entry

    def log_deletions(self, request: HttpRequest, queryset: QuerySet[Any]) -> Any:
        for row in queryset:
            self._audit(request, row, "deleted")
        return super().log_deletions(request, queryset)

    def _audit(self, request: HttpRequest, row: Any, verb: str, entry: LogEntry | None = None) -> None:
        gone = verb == "deleted" and isinstance(row, Depot)
        depot = None if gone else Depot.objects.get(pk=depot_id_of(row))
        language = depot.language if depot else ENGLISH
        with translation.override(language), speaking(language):
            kind, changes = str(self.opts.verbose_name), entry.get_change_message() if entry else ""
            sentence = tr(ACTS[verb], who=request.user, kind=kind, row=row, changes=changes)
            trigger = tr("The set-up changed: {kind} {row}", kind=kind, row=row)
        event = audit.record(depot, request.user, f"{self.opts.model_name}.{verb}", sentence, id=str(row.pk))
        if depot is not None and "plan" in KINDS:
            enqueue("plan", depot, f"set-up {event.pk}", {"trigger": trigger}, cast(User, request.user))


class DepotInline(ByRole, admin.TabularInline):
    """Rows edited on the page of the row they hang on."""

    extra = 0
    show_change_link = False


class Records(ByRole, admin.ModelAdmin):
    """Rows that the program writes and nobody edits."""

    list_per_page = 50
    show_full_result_count = False

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class RecordsInline(DepotInline):
    """Rows of a record, shown with it."""

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False
