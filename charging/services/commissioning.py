"""Take a charger into service: order its tests, and sign it off. The audit trail keeps what was found by whom."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from charging.models import Charger, ChargingSession
from charging.permission import discharge_limit_kw, discharge_permission
from charging.selectors.commissioning import LASTS, SIGNED, TEST, Kind, commissioning
from charging.selectors.links import is_linked
from charging.selectors.site_now import site_limits, site_now
from charging.services.commands import send
from depot import audit
from depot.models import AuditEvent, InterconnectionAgreement
from depot.templatetags.depot_pages import kw, percent
from depot.words import later, tr

STEP_S = 60
AFTER_STEPS = 57
"""After the test the charger keeps to its safe level until the next plan, an hour at most."""
GENTLE = 0.1
SPARE_SOC = 0.05


class CannotTestError(Exception):
    """A test or a sign-off that is refused, with what to do."""


def order_test(
    charger: Charger, session: ChargingSession | None, kind: Kind, by: Any, now: datetime
) -> AuditEvent:
    """Send a limit or a discharge of three minutes to the plug of a session, and write down that it was ordered.

    The limit is the charger's safe level, which every other limit of the site leaves room for. Raises
    CannotTestError where the test could not show anything or must not be done.
    """
    if not is_linked(charger, now):
        raise CannotTestError(tr("{name} is not connected.", name=charger.name))
    if session is None or session.vehicle is None:
        raise CannotTestError(tr("Plug in a vehicle of the depot first, and choose its connector."))
    power_kw = _limit_kw(charger) if kind == "limit" else -_discharge_kw(charger, session, now)
    connector, steps = session.connector, int(LASTS.total_seconds()) // STEP_S
    command = send(
        charger,
        "set_schedule",
        {
            "evse_id": connector.evse_id,
            "start_at": now.isoformat(),
            "step_seconds": STEP_S,
            "max_offline_s": STEP_S,
            "vehicle_id": session.vehicle.pk,
            "power_kw": [power_kw] * steps + [charger.fallback_share_kw] * AFTER_STEPS,
        },
        connector=connector,
        coalesce=f"schedule:{connector.pk}",
        priority=0,
    )
    what = later("keep to") if kind == "limit" else later("give back")
    sentence = later(
        "{by} let charger {name} {what} {power_kw} for a test at {connector}.",
        by=by,
        name=charger.name,
        what=what,
        power_kw=kw(abs(power_kw)),
        connector=connector,
    )
    facts: dict[str, Any] = {
        "charger": charger.pk, "connector": connector.pk, "kind": kind, "power_kw": power_kw,
        "firmware": charger.firmware,
    }  # fmt: skip
    return audit.record(charger.depot, by, TEST, sentence, commands=[str(command.pk)], **facts)


def _limit_kw(charger: Charger) -> float:
    limit_kw = max(charger.fallback_share_kw, charger.min_charge_kw)
    if limit_kw <= 0:
        raise CannotTestError(
            tr("{name} has no safe level to test: enter its fallback power in the set-up.", name=charger.name)
        )
    return round(limit_kw, 1)


def _discharge_kw(charger: Charger, session: ChargingSession, now: datetime) -> float:
    vehicle = session.vehicle
    if vehicle is None:
        raise CannotTestError(tr("Nobody knows which vehicle hangs there, so it is not discharged."))
    agreement = InterconnectionAgreement.objects.filter(depot=charger.depot).first()
    permission = discharge_permission(vehicle, charger, agreement)
    if not permission.allowed:
        raise CannotTestError(permission.reason)
    state = getattr(vehicle, "state", None)
    floor = vehicle.v2g_min_soc + SPARE_SOC
    if state is None or state.soc < floor:
        raise CannotTestError(
            tr("{name} needs at least {floor} charge for this test.", name=vehicle.name, floor=percent(floor))
        )
    power_kw = round(
        min(
            max(GENTLE * charger.max_discharge_kw, charger.min_discharge_kw),
            discharge_limit_kw(vehicle, charger),
        ),
        1,
    )
    if site_limits(charger.depot).export_kw < power_kw:
        net = site_now(charger.depot, now, None).net
        if net is None or net.stale or net.power_kw < power_kw:
            raise CannotTestError(
                tr(
                    "The site may not export, and does not draw the {power_kw} that would flow back. Try "
                    "again later.",
                    power_kw=kw(power_kw),
                )
            )
    return power_kw


def sign_off(charger: Charger, by: Any, now: datetime) -> AuditEvent:
    """Write down that a charger passed its steps; CannotTestError names the first that it has not."""
    steps = commissioning(charger, now)[:-1]
    missing = next((step for step in steps if not step.passed), None)
    if missing is not None:
        raise CannotTestError(tr("“{title}” is not done: {words}", title=missing.title, words=missing.words))
    return audit.record(
        charger.depot,
        by,
        SIGNED,
        later("{by} signed off charger {name}.", by=by, name=charger.name),
        charger=charger.pk,
        firmware=charger.firmware,
        steps={step.key: step.words for step in steps},
    )
