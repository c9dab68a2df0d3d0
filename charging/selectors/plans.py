"""The plan that counts now, what it costs, and the sentences that say so."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any

from django.core.cache import cache

from charging.models import Plan
from charging.planner.baseline import unmanaged
from charging.planner.case import case_from_json
from charging.planner.plan import Cost, DepotPlan
from depot.models import Depot
from depot.templatetags.depot_pages import kw, local_day, local_time, money
from depot.timegrid import TimeGrid
from depot.words import tr

A_DAY_S = 86_400
DOCUMENTS_KEPT = 8
"""The plan of 100 vehicles takes some megabytes; of more depots at once each look reads its plan anew."""
WORTH_SAYING = 0.2


@dataclass(frozen=True, slots=True)
class Unmanaged:
    """What charging everything on arrival would cost over a plan's span, and what it would do to the site."""

    cost: Cost
    peak_kw: float
    stored_kwh: float


def latest_plan(depot: Depot, now: datetime) -> Plan | None:
    """Return the newest plan made at or before `now`, from one query and one more for a plan not seen before."""
    known = Plan.objects.filter(depot=depot, made_at__lte=now).defer("case", "answer")
    plan = known.order_by("-made_at", "-pk").first()
    if plan is None:
        return None
    try:
        plan.case, plan.answer = plan_documents(plan.pk, plan.made_at)
    except Plan.DoesNotExist:  # an old one, deleted meanwhile
        return latest_plan(depot, now)
    return plan


@lru_cache(maxsize=DOCUMENTS_KEPT)
def plan_documents(plan_id: int, made_at: datetime) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return case and answer of a plan, read once: they never change, and nobody may change what is returned."""
    case, answer = Plan.objects.values_list("case", "answer").get(pk=plan_id, made_at=made_at)
    return case, answer


def running_plan(depot: Depot, now: datetime) -> Plan | None:
    """Return the newest plan if it still says what happens now."""
    plan = latest_plan(depot, now)
    return plan if plan is not None and grid_of(plan).end_at > now else None


_grid = lru_cache(TimeGrid)
"""Pages ask for the same few grids for every vehicle."""


def grid_of(plan: Plan) -> TimeGrid:
    """Return the steps of a plan."""
    return _grid(plan.start_at, plan.step_minutes, plan.steps)


def unmanaged_of(plan: Plan) -> Unmanaged:
    """Return the unmanaged case of a plan; it is computed once, for a plan never changes."""
    key = f"unmanaged:{plan.pk}"
    found: Unmanaged | None = cache.get(key)
    if found is None:
        case = case_from_json(plan.case)
        answer = unmanaged(case)
        stored = sum(answer.vehicles[row.id].soc[-1] * row.capacity_kwh for row in case.vehicles)
        found = Unmanaged(answer.cost, _peak_kw(answer), float(stored))
        cache.set(key, found, A_DAY_S)
    return found


def _peak_kw(answer: DepotPlan) -> float:
    return float(answer.site.import_kw.max(initial=0.0))


def stored_kwh(plan: Plan) -> float:
    """Return the energy that a plan leaves in the vehicles at its end, in kWh."""
    answers = plan.answer["vehicles"]
    return float(sum(answers[row["id"]]["soc"][-1] * row["capacity_kwh"] for row in plan.case["vehicles"]))


def later_price(plan: Plan) -> float:
    """Return what a kWh costs after the plan's end, as the plan's own last targets value it."""
    prices = [
        target["price_per_kwh"]
        for row in plan.case["vehicles"]
        for target in row["targets"]
        if target["tier"] == "should"
    ]
    return max(prices, default=0.0)


def cost_sentence(depot: Depot, plan: Plan) -> str:
    """Say what the plan costs until when, and what charging everything on arrival would cost for the same energy.

    Energy that charging on arrival leaves in the vehicles beyond the plan's is taken off at its later price, and
    what a new demand peak would cost is said apart: it is paid once a month, not every day.
    """
    end_at = grid_of(plan).end_at
    until = f"{local_day(end_at, depot)[:3]} {local_time(end_at, depot)}"
    other = unmanaged_of(plan)
    peak = sum(other.cost.demand.values())
    same_energy = plan.unmanaged_cost - peak - (other.stored_kwh - stored_kwh(plan)) * later_price(plan)
    new_peak = (
        tr(
            ", and {peak} more for a new peak of {peak_kw}",
            peak=money(peak, plan.currency),
            peak_kw=kw(round(other.peak_kw)),
        )
        if peak > WORTH_SAYING * abs(same_energy)
        else ""
    )
    return tr(
        "The plan until {until} costs about {objective}; charging everything on arrival would "
        "cost {same_energy}{new_peak}.",
        until=until,
        objective=money(plan.objective, plan.currency),
        same_energy=money(same_energy, plan.currency),
        new_peak=new_peak,
    )


def proof_words(plan: Plan) -> str:
    """Say how good the plan is proven to be."""
    if plan.status == Plan.Status.FALLBACK:
        return tr("made by rule, because no better plan was found in time")
    if plan.gap < 1e-6:
        return tr("proven the best possible")
    return tr("proven within {gap:.2g} % of the best possible", gap=plan.gap * 100)
