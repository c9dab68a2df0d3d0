"""What the depot sells or keeps ready: utility events, backup energy, frequency reserve."""

from typing import Any

import pulp

from charging.planner.reference.model import Model, StoreColumns, switch_of, variable
from charging.planner.reference.site import site_reach_kw
from charging.planner.values import UNLIMITED, Event, Frequency, Reserve


def add_event(model: Model, number: int, event: Event) -> None:
    """Add what is delivered in each step of an event, and its pay; delivering nothing owes nothing."""
    hours, reach = model.case.hours, site_reach_kw(model)
    delivered = []
    for step in range(event.from_step, event.to_step):
        power = variable(f"ev_{number}_{step}")
        taking_part = switch_of(model, f"evs_{number}_{step}")
        baseline = float(event.baseline_kw[step])
        if event.kind == "reduce":
            room: Any = baseline - model.imports[step]
        else:
            room = model.exports[step] - baseline
        most = min(event.cap_kw, reach + abs(baseline))
        model.only_if(taking_part, most, value=power, limit=room, reach=reach + abs(baseline))
        model.add(power >= event.min_kw * taking_part)
        delivered.append(power)
    model.cost.append(-hours * event.pay_per_kwh * pulp.lpSum(delivered))
    model.cost.append(-event.pay_per_kw * (1.0 / len(delivered)) * pulp.lpSum(delivered))


def add_reserve(model: Model, reserve: Reserve) -> None:
    """Add backup energy and frequency reserve."""
    _add_backup(model, reserve)
    if reserve.frequency is not None:
        _add_frequency(model, reserve.frequency)


def _add_backup(model: Model, reserve: Reserve) -> None:
    """Ask at each step's end for energy above the minimum SoC, in what is plugged in and can discharge."""
    for step, wanted in enumerate(reserve.backup_kwh):
        if wanted <= 0.0:
            continue
        ready = []
        for number, store in enumerate(model.stores):
            if store.limits_kw[step][1] > 0.0:
                usable = variable(f"b_{number}_{step}")
                above = switch_of(model, f"bs_{number}_{step}")
                room = store.energy[step + 1] - store.min_kwh
                model.only_if(above, store.capacity_kwh, value=usable, limit=room, reach=_reach_kwh(store))
                ready.append(usable)
        missing = variable(f"bm_{step}")
        model.add(pulp.lpSum(ready) + missing >= float(wanted))
        model.backup_missing.append(model.case.hours * missing)


def _reach_kwh(store: StoreColumns) -> float:
    """Return how far an energy can at most be from a limit: trips may leave less than nothing."""
    return 20.0 * store.capacity_kwh


def _add_frequency(model: Model, frequency: Frequency) -> None:
    """Add the power offered up and down in each step, from every vehicle and battery that is plugged in."""
    case = model.case
    for step in range(case.steps):
        up, down = (variable(f"{way}_{step}", _end(frequency.max_kw)) for way in ("up", "down"))
        if frequency.symmetric:
            model.add(up == down)
        offers = [
            _device_offer(model, store, f"{number}_{step}", step, frequency.hours)
            for number, store in enumerate(model.stores)
            if store.plugged[step]
        ]
        model.add(up == pulp.lpSum(offer for offer, _ in offers))
        model.add(down == pulp.lpSum(offer for _, offer in offers))
        _add_site_headroom(model, step, up, down)
        offered = up if frequency.symmetric else up + down
        model.cost.append(-case.hours * float(frequency.pay_per_kw_h[step]) * offered)


def _end(limit: float) -> float | None:
    return None if limit == UNLIMITED else limit


def _device_offer(model: Model, store: StoreColumns, label: str, step: int, hours: float) -> tuple[Any, Any]:
    """Return what one device offers up and down: power to spare, and energy for `hours` at both ends of the step."""
    most_charge, most_discharge = store.limits_kw[step]
    net = store.charge[step] - store.discharge[step]
    most = most_charge + most_discharge
    up, down = variable(f"u_{label}"), variable(f"n_{label}")
    model.add(up <= most_discharge + net)
    model.add(down <= most_charge - net)
    if store.taken:
        model.add(down <= store.taken[step] - net)
    gives, takes = switch_of(model, f"us_{label}"), switch_of(model, f"ns_{label}")
    for energy in (store.energy[step], store.energy[step + 1]):
        # A call loses all of the loss, whatever it takes.
        above = (energy - store.floor_kwh - hours * store.losses_kw[1]) * (store.efficiency[1] / hours)
        below = (store.max_kwh - energy) * (1.0 / (store.efficiency[0] * hours))
        reach = _reach_kwh(store) / (hours * store.efficiency[0])
        model.only_if(gives, most, value=up, limit=above, reach=reach)
        model.only_if(takes, most, value=down, limit=below, reach=reach)
    return up, down


def _add_site_headroom(model: Model, step: int, up: Any, down: Any) -> None:
    """Keep room at the grid connection for what is offered; where there is none, nothing is offered."""
    site, reach = model.case.site, site_reach_kw(model)
    net = model.imports[step] - model.exports[step]
    for offer, used, limit in (
        (down, net, float(site.import_limit_kw[step])),
        (up, -net, float(site.export_limit_kw[step])),
    ):
        if limit < UNLIMITED:
            offering = switch_of(model, f"site_{offer.name}")
            model.only_if(offering, 2 * reach, value=offer, limit=limit - used, reach=reach)
