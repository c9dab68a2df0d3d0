"""The sentences about batteries."""

from __future__ import annotations

from collections.abc import Sequence

from depot.templatetags.depot_pages import number, percent
from depot.words import tr
from fleet.selectors.battery import Advice, Battery

LITTLE = 0.0005
"""Less than this a year (as a fraction) is not worth an advice."""


def fleet_answer(batteries: Sequence[Battery]) -> str:
    """Answer whether the batteries are all right, and which ages fastest."""
    if not batteries:
        return tr("No battery has been assessed yet.")
    fastest = max(batteries, key=lambda battery: battery.health.outlook_per_year)
    return tr(
        "{batteries} The fastest ageing is {name} at {outlook_per_year} a year.",
        batteries=_warranty_words(batteries),
        name=fastest.vehicle.name,
        outlook_per_year=percent(fastest.health.outlook_per_year, 1),
    )


def _warranty_words(batteries: Sequence[Battery]) -> str:
    worn = [battery for battery in batteries if battery.concern == "critical"]
    covered = [battery for battery in batteries if battery.warranty_share is not None]
    if worn:
        name = worn[0].vehicle.name
        if len(worn) == 1:
            return tr("{name} is beyond warranty or below 80 % of capacity.", name=name)
        return tr(
            "{name} and {count} more are beyond warranty or below 80 % of capacity.",
            name=name,
            count=len(worn) - 1,
        )
    if not covered:
        return tr(
            "No vehicle has a warranty limit on record; all {batteries} are above 80 % of their capacity.",
            batteries=len(batteries),
        )
    if len(covered) == len(batteries):
        return tr("All {batteries} batteries are within warranty.", batteries=len(batteries))
    return tr(
        "All {covered} batteries with a warranty limit are within it; {others} have none on record.",
        covered=len(covered),
        others=len(batteries) - len(covered),
    )


def vehicle_answer(battery: Battery) -> str:
    """Answer how much capacity is left, how fast it goes, and whose doing that is."""
    health = battery.health
    points = tr("{v2g_points} points", v2g_points=number(abs(battery.v2g_points), 1))
    if not health.v2g_throughput_kwh:
        part = tr("none of that from V2G")
    elif battery.v2g_points >= 0:
        part = tr("{points} of that from V2G", points=points)
    else:
        part = tr("{points} less than without V2G, which keeps it from standing full", points=points)
    return tr(
        "{name} has {soh} of its capacity left and will lose {outlook_per_year} a year if it is "
        "used as now, {part}.",
        name=battery.vehicle.name,
        soh=percent(health.soh, 1),
        outlook_per_year=percent(health.outlook_per_year, 1),
        part=part,
    )


def advice_words(advice: Advice | None) -> str:
    """Say what would help, from the numbers of the last week."""
    if advice is None:
        return tr("There is less than a day of charge history, too little to say what would help.")
    hours = number(advice.hours_a_week, 0)
    if advice.hours_a_week < 1:
        return tr(
            "It does not stand above 80 % for longer than it must; nothing in its charging needs a change."
        )
    if advice.saved_per_year < LITTLE:
        return tr(
            "It is above 80 % for {hours} hours a week; for this kind of cell that makes no "
            "difference worth mentioning.",
            hours=hours,
        )
    return tr(
        "It is above 80 % for {hours} hours a week. Charging beyond 80 % only where a block "
        "needs it, and late, would save up to {saved_per_year} of its capacity a year.",
        hours=hours,
        saved_per_year=percent(advice.saved_per_year, 1),
    )
