"""Small random depots for the planner's tests."""

from typing import Any

from hypothesis import strategies as st

powers = st.sampled_from([0.0, 5.0, 11.0, 22.0, 50.0])
efficiencies = st.sampled_from([0.8, 0.9, 0.95, 1.0])
prices = st.sampled_from([-0.1, 0.0, 0.05, 0.1, 0.2, 0.2, 0.45])
fractions = st.sampled_from([0.0, 0.1, 0.2, 0.35, 0.5, 0.65, 0.8, 0.9, 1.0])


def series(steps: int, values: st.SearchStrategy[float]) -> st.SearchStrategy[Any]:
    """A constant number or one value a step."""
    return st.one_of(values, st.lists(values, min_size=steps, max_size=steps))


@st.composite
def nodes(draw: st.DrawFn) -> list[dict[str, Any]]:
    count = draw(st.integers(0, 2))
    limits = st.one_of(st.none(), st.sampled_from([0.0, 10.0, 30.0, 60.0]))
    return [
        {
            "id": f"n{i}",
            "parent": draw(st.sampled_from([None, *[f"n{j}" for j in range(i)]])),
            "import_limit_kw": draw(limits),
            "export_limit_kw": draw(limits),
        }
        for i in range(count)
    ]


@st.composite
def demand_charges(draw: st.DrawFn, steps: int, step_minutes: int) -> list[dict[str, Any]]:
    charges = []
    for i in range(draw(st.integers(0, 2))):
        charge: dict[str, Any] = {"id": f"d{i}", "price_per_kw": draw(st.sampled_from([0.0, 2.0, 10.0]))}
        if draw(st.booleans()):
            charge["window"] = draw(st.lists(st.integers(0, 1), min_size=steps, max_size=steps))
        if draw(st.booleans()):
            turn = draw(st.integers(0, steps))
            charge["period"] = [0 if step < turn else 1 for step in range(steps)]
            charge["billed_kw_so_far"] = [draw(powers), draw(powers)]
        elif draw(st.booleans()):
            charge["billed_kw_so_far"] = draw(powers)
        if draw(st.booleans()):
            charge["metering_minutes"] = step_minutes * draw(st.integers(1, 4))
        charges.append(charge)
    return charges


@st.composite
def overrides(draw: st.DrawFn, steps: int, max_soc: float) -> list[dict[str, Any]]:
    orders = []
    for _ in range(draw(st.integers(0, 2))):
        start = draw(st.integers(0, steps - 1))
        order: dict[str, Any] = {
            "kind": draw(st.sampled_from(["charge_now", "hold", "no_discharge", "limit"]))
        }
        order |= {"from_step": start, "to_step": draw(st.integers(start + 1, steps))}
        if order["kind"] == "limit":
            order["max_kw"] = draw(powers)
        if order["kind"] == "charge_now" and draw(st.booleans()):
            order["soc"] = min(max_soc, draw(fractions))
        orders.append(order)
    return orders


@st.composite
def vehicles(draw: st.DrawFn, number: int, steps: int, charger_ids: list[str]) -> dict[str, Any]:
    low, high = sorted(draw(st.lists(fractions, min_size=2, max_size=2)))
    away, boundary = [], 0
    for _ in range(draw(st.integers(0, 2))):
        if boundary >= steps:
            break
        start = draw(st.integers(boundary, steps - 1))
        end = draw(st.integers(start + 1, steps))
        away.append(
            {"from_step": start, "to_step": end, "energy_kwh": draw(st.sampled_from([0.0, 4.0, 15.0, 40.0]))}
        )
        boundary = end
    targets = []
    for place in draw(st.lists(st.integers(0, steps), max_size=3, unique=True)):
        tier = draw(st.sampled_from(["must", "should"]))
        target = {"boundary": place, "soc": draw(fractions), "tier": tier}
        if tier == "should":
            target["price_per_kwh"] = draw(st.sampled_from([0.0, 0.15, 1.0]))
        targets.append(target)
    vehicle: dict[str, Any] = {
        "id": f"v{number}",
        "capacity_kwh": draw(st.sampled_from([20.0, 60.0])),
        "initial_soc": draw(fractions),
        "min_soc": low,
        "max_soc": high,
        "charger": draw(st.sampled_from(charger_ids)),
        "v2g": draw(st.booleans()),
        "wear_cost_per_kwh": draw(st.sampled_from([0.0, 0.03])),
        "away": away,
        "targets": targets,
    }
    if draw(st.booleans()):
        vehicle["v2g_min_soc"] = draw(fractions)
    if draw(st.booleans()):
        vehicle["max_charge_kw"] = draw(powers)
        vehicle["max_discharge_kw"] = draw(powers)
    if draw(st.booleans()):
        vehicle["overrides"] = draw(overrides(steps, high))
    return vehicle


@st.composite
def depots(draw: st.DrawFn, most_steps: int = 10, most_vehicles: int = 3) -> dict[str, Any]:
    """A depot case as JSON, hard on every rule at once."""
    steps = draw(st.integers(1, most_steps))
    step_minutes = draw(st.sampled_from([15, 30, 60]))
    site_nodes = draw(nodes())
    names = st.sampled_from([None, *[node["id"] for node in site_nodes]])
    charger_ids = [f"c{i}" for i in range(draw(st.integers(1, most_vehicles)))]
    low, high = sorted(draw(st.lists(fractions, min_size=2, max_size=2)))
    battery = {
        "id": "battery",
        "node": draw(names),
        "capacity_kwh": 30.0,
        "initial_soc": draw(fractions),
        "min_soc": low,
        "max_soc": high,
        "max_charge_kw": draw(powers),
        "max_discharge_kw": draw(powers),
        "charge_efficiency": draw(efficiencies),
        "discharge_efficiency": draw(efficiencies),
        "wear_cost_per_kwh": 0.02,
        "final_soc": draw(fractions),
    }
    return {
        "version": 1,
        "name": "random",
        "start": draw(st.sampled_from(["2026-03-10T00:00:00-05:00", "2026-03-10T06:07:00+05:30"])),
        "step_minutes": step_minutes,
        "steps": steps,
        "currency": "USD",
        "site": {
            "import_limit_kw": draw(st.sampled_from([0.0, 20.0, 60.0, 200.0])),
            "export_limit_kw": draw(st.sampled_from([0.0, 20.0, 100.0])),
            "building_load_kw": draw(series(steps, st.sampled_from([0.0, 5.0, 15.0, 40.0]))),
            "solar_kw": draw(series(steps, st.sampled_from([0.0, 0.0, 10.0, 60.0]))),
            "solar_curtailable": draw(st.booleans()),
            "nodes": site_nodes,
        },
        "prices": {
            "import_per_kwh": draw(series(steps, prices)),
            "export_per_kwh": draw(series(steps, prices)),
        },
        "demand_charges": draw(demand_charges(steps, step_minutes)),
        "chargers": [
            {
                "id": name,
                "node": draw(names),
                "max_charge_kw": draw(powers),
                "max_discharge_kw": draw(powers),
                "charge_efficiency": draw(efficiencies),
                "discharge_efficiency": draw(efficiencies),
            }
            for name in charger_ids
        ],
        "vehicles": [
            draw(vehicles(number, steps, charger_ids))
            for number in range(draw(st.integers(0, most_vehicles)))
        ],
        "storage": [battery] if draw(st.booleans()) else [],
    }


@st.composite
def returning_depots(draw: st.DrawFn, most_vehicles: int = 3) -> dict[str, Any]:
    """A depot whose buses come back around their discharge floor while the energy price has a peak."""
    steps = draw(st.integers(8, 12))
    count = draw(st.integers(1, most_vehicles))
    export_share = draw(st.sampled_from([0.0, 0.8, 1.0]))
    price = draw(st.lists(st.sampled_from([0.05, 0.1, 0.3, 0.5]), min_size=steps, max_size=steps))
    demand = {"id": "peak", "price_per_kw": draw(st.sampled_from([0.0, 1.0, 4.0])), "billed_kw_so_far": 20.0}
    limit = draw(st.sampled_from([25.0, 40.0, 200.0]))
    buses = []
    for number in range(count):
        start = draw(st.integers(1, steps - 5))
        end = draw(st.integers(start + 1, start + 3))
        tier = draw(st.sampled_from(["must", "should"]))
        priced = {"price_per_kwh": 0.2} if tier == "should" else {}
        buses.append(
            {
                "id": f"v{number}",
                "capacity_kwh": 60.0,
                "initial_soc": draw(st.sampled_from([0.2, 0.35, 0.5, 0.8])),
                "min_soc": 0.1,
                "max_soc": 1.0,
                "charger": f"c{number}",
                "v2g": True,
                "v2g_min_soc": draw(st.sampled_from([0.2, 0.35, 0.5, 0.65])),
                "wear_cost_per_kwh": 0.02,
                "away": [
                    {"from_step": start, "to_step": end, "energy_kwh": draw(st.sampled_from([6.0, 18.0]))}
                ],
                "targets": [
                    {"boundary": start, "soc": draw(st.sampled_from([0.4, 0.5, 0.6])), "tier": "must"},
                    {"boundary": steps, "soc": draw(st.sampled_from([0.2, 0.4])), "tier": tier, **priced},
                ],
            }
        )
    return {
        "version": 1,
        "name": "returning",
        "start": "2026-03-10T00:00:00-05:00",
        "step_minutes": 60,
        "steps": steps,
        "currency": "USD",
        "site": {
            "import_limit_kw": limit,
            "export_limit_kw": 30.0,
            "building_load_kw": draw(series(steps, st.sampled_from([0.0, 10.0, 20.0]))),
            "solar_kw": 0.0,
        },
        "prices": {"import_per_kwh": price, "export_per_kwh": [export_share * item for item in price]},
        "demand_charges": [demand],
        "chargers": [
            {
                "id": f"c{number}",
                "node": None,
                "max_charge_kw": draw(st.sampled_from([11.0, 22.0])),
                "max_discharge_kw": 15.0,
                "charge_efficiency": 0.95,
                "discharge_efficiency": 0.95,
            }
            for number in range(count)
        ],
        "vehicles": buses,
    }
