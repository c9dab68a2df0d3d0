"""Small random depots that mix everything a case may price, ask for or sell."""

import os
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from tests.charging.planner.cases import depots, fractions, powers, prices, series

# PLANNER_EXAMPLES=5000 makes a long run of the property tests that use this profile.
EXAMPLES = int(os.environ.get("PLANNER_EXAMPLES", "0"))
profile = settings(
    max_examples=EXAMPLES or 150,
    deadline=None,
    derandomize=EXAMPLES == 0,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)

rising = st.lists(st.sampled_from([5.0, 12.0, 30.0]), max_size=2, unique=True).map(sorted)


@st.composite
def tiers(draw: st.DrawFn) -> list[dict[str, float]]:
    """Prices of a peak that rise, the first from 0."""
    edges = [0.0, *draw(rising)]
    costs = sorted(draw(st.lists(st.sampled_from([0.0, 1.0, 4.0, 9.0]), min_size=3, max_size=3)))
    return [{"from_kw": edge, "price_per_kw": cost} for edge, cost in zip(edges, costs, strict=False)]


@st.composite
def wear_bands(draw: st.DrawFn) -> list[dict[str, float]]:
    """Wear that falls with SoC."""
    edges = [*sorted(draw(st.sets(st.sampled_from([0.2, 0.4, 0.7]), max_size=2))), 1.0]
    costs = sorted(draw(st.lists(st.sampled_from([0.0, 0.02, 0.1, 0.3]), min_size=3, max_size=3)))[::-1]
    return [{"below_soc": edge, "cost_per_kwh": cost} for edge, cost in zip(edges, costs, strict=False)]


@st.composite
def throughput(draw: st.DrawFn) -> list[dict[str, float | None]]:
    """A price on use that rises."""
    ends = [*draw(rising), None]
    costs = sorted(draw(st.lists(st.sampled_from([0.0, 0.05, 0.2]), min_size=3, max_size=3)))
    return [{"up_to_kwh": end, "price_per_kwh": cost} for end, cost in zip(ends, costs, strict=False)]


@st.composite
def taper(draw: st.DrawFn) -> list[dict[str, float]]:
    """A charge power that bends down towards a full battery, and may end before it is full."""
    knee = draw(st.sampled_from([0.1, 0.5, 0.8]))
    full = draw(st.sampled_from([5.0, 22.0, 50.0]))
    last = full * draw(st.sampled_from([0.0, 0.3, 1.0]))
    end = draw(st.sampled_from([1.0, 1.0, 0.9]))
    return [{"soc": knee, "max_charge_kw": full}, {"soc": end, "max_charge_kw": last}]


@st.composite
def window(draw: st.DrawFn, steps: int) -> dict[str, int]:
    """Half-open steps."""
    start = draw(st.integers(0, steps - 1))
    return {"from_step": start, "to_step": draw(st.integers(start + 1, steps))}


@st.composite
def events(draw: st.DrawFn, steps: int) -> list[dict[str, Any]]:
    """Up to two events, some with a baseline below what the depot draws anyway."""
    return [
        {
            "id": f"e{number}",
            "kind": draw(st.sampled_from(["reduce", "export"])),
            draw(st.sampled_from(["pay_per_kwh", "pay_per_kw"])): draw(st.sampled_from([0.0, 0.3, 2.0])),
            "baseline_kw": draw(series(steps, st.sampled_from([0.0, 10.0, 40.0]))),
            "cap_kw": draw(st.sampled_from([None, 0.0, 8.0, 30.0])),
            "min_kw": draw(st.sampled_from([0.0, 0.0, 5.0, 20.0])),
            **draw(window(steps)),
        }
        for number in range(draw(st.integers(0, 2)))
    ]


@st.composite
def reserves(draw: st.DrawFn, steps: int) -> dict[str, Any]:
    """Backup, frequency reserve, or both."""
    reserve: dict[str, Any] = {}
    if draw(st.booleans()):
        reserve["backup_kwh"] = draw(series(steps, st.sampled_from([0.0, 5.0, 25.0, 90.0])))
    if draw(st.booleans()):
        reserve["frequency"] = {
            "pay_per_kw_h": draw(series(steps, st.sampled_from([0.0, 0.02, 0.5]))),
            "symmetric": draw(st.booleans()),
            "hours": draw(st.sampled_from([0.25, 1.0])),
            "max_kw": draw(st.sampled_from([None, 0.0, 10.0])),
        }
    return reserve


@st.composite
def priced(draw: st.DrawFn, vehicle: dict[str, Any]) -> None:
    """Give a vehicle wear, standing and taper of its own."""
    if draw(st.booleans()):
        del vehicle["wear_cost_per_kwh"]
        vehicle["wear_bands"] = draw(wear_bands())
    if draw(st.booleans()):
        vehicle["throughput"] = draw(throughput())
    if draw(st.booleans()):
        vehicle["standing"] = {"above_soc": draw(fractions), "cost_per_kwh_h": draw(prices.map(abs))}
    if draw(st.booleans()):
        vehicle["taper"] = draw(taper())


@st.composite
def featured_depots(draw: st.DrawFn, most_steps: int = 6, most_vehicles: int = 2) -> dict[str, Any]:
    """A depot case as JSON with every feature that may stand in one, each present about half of the time."""
    data = draw(depots(most_steps, most_vehicles))
    steps = data["steps"]
    names = [None, *(node["id"] for node in data["site"]["nodes"])]
    for charge in data["demand_charges"]:
        if draw(st.booleans()):
            del charge["price_per_kw"]
            charge["tiers"] = draw(tiers())
    for node in data["site"]["nodes"]:
        node["phase_limit_kw"] = draw(st.sampled_from([None, 0.0, 6.0, 20.0]))
    for charger in data["chargers"]:
        charger["phase"] = draw(st.sampled_from([None, 1, 2, 3]))
    for vehicle in data["vehicles"]:
        draw(priced(vehicle))
    data["flexible_loads"] = [
        {
            "id": f"f{number}",
            "node": draw(st.sampled_from(names)),
            "energy_kwh": draw(st.sampled_from([0.0, 3.0, 20.0])),
            "max_kw": draw(powers),
            **draw(window(steps)),
        }
        for number in range(draw(st.integers(0, 2)))
    ]
    data["events"] = draw(events(steps))
    data["reserve"] = draw(reserves(steps))
    if draw(st.sampled_from([False, False, False, True])):
        # A power cut from the first step to the last.
        data["site"]["import_limit_kw"] = data["site"]["export_limit_kw"] = 0.0
    return data
