"""The parts of a site, edited on the depot's page. The page itself is in the roof: it looks at every app."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.utils.translation import gettext_lazy as _

from depot.admin.base import DepotInline
from depot.models import ElectricalNode, InterconnectionAgreement, Meter, SolarArray, StationaryBattery
from depot.models.nesting import nesting_problems
from depot.words import tr


class NodeFormSet(forms.BaseInlineFormSet):
    """The whole electrical tree at once: a node and the one that feeds it may both change in one go."""

    def _construct_form(self, i: int, **kwargs: Any) -> forms.ModelForm:
        form = super()._construct_form(i, **kwargs)  # type: ignore[misc]
        form.instance.edited_with_its_tree = True
        return form

    def clean(self) -> None:
        super().clean()
        forms_of = {
            id(form.instance): form
            for form in self.forms
            if form not in self.deleted_forms and (form.instance.pk or form.has_changed())
        }
        nodes = [form.instance for form in forms_of.values()]
        for problem in nesting_problems(nodes):
            forms_of[id(problem.node)].add_error(problem.field, problem.message)
        grids = [node for node in nodes if node.kind == ElectricalNode.Kind.GRID]
        for node in grids[1:]:
            message = tr(
                "A depot has one grid connection, and {node} is it. Choose another kind.",
                node=grids[0].name,
            )
            forms_of[id(node)].add_error("kind", message)


class NodeInline(DepotInline):
    model = ElectricalNode
    formset = NodeFormSet
    fields = ["name", "kind", "parent", "import_limit_kw", "export_limit_kw"]
    verbose_name_plural = _("Electrical nodes: the grid connection first, then what it feeds")


class AgreementInline(DepotInline):
    model = InterconnectionAgreement
    fields = ["state", "export_limit_kw", "bidirectional_meter", "reference", "approved_on"]
    verbose_name_plural = _(
        "Interconnection agreement: no export and no V2G to the grid before it is approved"
    )


class MeterInline(DepotInline):
    model = Meter
    fields = ["name", "kind", "node", "serial"]


class SolarArrayInline(DepotInline):
    model = SolarArray
    fields = [
        "name",
        "node",
        "peak_kw",
        "inverter_kw",
        "tilt_degrees",
        "azimuth_degrees",
        "loss_fraction",
        "curtailable",
    ]


class BatteryInline(DepotInline, admin.StackedInline):
    model = StationaryBattery
    template = admin.StackedInline.template
    fields = [
        ("name", "node"),
        ("capacity_kwh", "max_charge_kw", "max_discharge_kw"),
        ("min_soc", "max_soc"),
        ("charge_efficiency", "discharge_efficiency", "wear_cost_per_kwh"),
        ("soc", "soc_observed_at"),
    ]
