"""The sentences about batteries."""

from __future__ import annotations

from collections.abc import Sequence

from depot.templatetags.depot_pages import number, percent
from fleet.selectors.battery import Advice, Battery

LITTLE = 0.0005
"""Less than this a year (as a fraction) is not worth an advice."""


def fleet_answer(batteries: Sequence[Battery]) -> str:
    """Answer whether the batteries are all right, and which ages fastest."""
    if not batteries:
        return "No battery has been assessed yet."
    fastest = max(batteries, key=lambda battery: battery.health.outlook_per_year)
    return (
        f"{_warranty_words(batteries)} The fastest ageing is {fastest.vehicle.name} at "
        f"{percent(fastest.health.outlook_per_year, 1)} a year."
    )


def _warranty_words(batteries: Sequence[Battery]) -> str:
    worn = [battery for battery in batteries if battery.concern == "critical"]
    covered = [battery for battery in batteries if battery.warranty_share is not None]
    if worn:
        first = worn[0]
        others = f" and {len(worn) - 1} more" if len(worn) > 1 else ""
        verb = "are" if len(worn) > 1 else "is"
        return f"{first.vehicle.name}{others} {verb} beyond warranty or below 80 % of capacity."
    if not covered:
        return f"No vehicle has a warranty limit on record; all {len(batteries)} are above 80 % of their capacity."
    if len(covered) == len(batteries):
        return f"All {len(batteries)} batteries are within warranty."
    return (
        f"All {len(covered)} batteries with a warranty limit are within it; "
        f"{len(batteries) - len(covered)} have none on record."
    )


def vehicle_answer(battery: Battery) -> str:
    """Answer how much capacity is left, how fast it goes, and whose doing that is."""
    health = battery.health
    points = f"{number(abs(battery.v2g_points), 1)} points"
    if not health.v2g_throughput_kwh:
        part = "none of that from V2G"
    elif battery.v2g_points >= 0:
        part = f"{points} of that from V2G"
    else:
        part = f"{points} less than without V2G, which keeps it from standing full"
    return (
        f"{battery.vehicle.name} has {percent(health.soh, 1)} of its capacity left and will lose "
        f"{percent(health.outlook_per_year, 1)} a year if it is used as now, {part}."
    )


def advice_words(advice: Advice | None) -> str:
    """Say what would help, from the numbers of the last week."""
    if advice is None:
        return "There is less than a day of charge history, too little to say what would help."
    hours = number(advice.hours_a_week, 0)
    if advice.hours_a_week < 1:
        return "It does not stand above 80 % for longer than it must; nothing in its charging needs a change."
    if advice.saved_per_year < LITTLE:
        return (
            f"It is above 80 % for {hours} hours a week; for this kind of cell that makes no difference "
            "worth mentioning."
        )
    return (
        f"It is above 80 % for {hours} hours a week. Charging beyond 80 % only where a block needs it, and late, "
        f"would save up to {percent(advice.saved_per_year, 1)} of its capacity a year."
    )
