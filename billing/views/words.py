"""The sentences about money."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

from billing.models import SavingsStatement
from billing.selectors.charge_only import ChargeOnlyBill
from billing.selectors.savings import DataQuality
from depot.models import Depot
from depot.templatetags.depot_pages import local_day, money, number

INSTANT = timedelta(microseconds=1)
RULES = {
    "unmanaged": "Same vehicles, same plug-in and plug-out times, same energy for driving; each charges at full "
    "power from the moment it is plugged in.",
    "energy": "Energy lines of the actual bill less those of the unmanaged bill, without what the sun saved: the "
    "same driving, bought in other hours.",
    "solar": "Sun that building and vehicles used at once, more than the unmanaged depot would have, at each "
    "interval's frozen price. The credit it would have earned is under export.",
    "demand": "Demand lines of both bills, each with its own peaks.",
    "other": "Fixed charges, minimum bill and taxes of both bills.",
    "export": "Credit for energy that flowed to the grid, in both bills.",
    "programmes": "What grid programmes paid outside the bill for delivering more than usual in their events: against "
    "the mean of the ten newest days like it without an event, adjusted by the hours before.",
    "wear": "Every kWh that left a battery through its charger, at that vehicle's marginal wear cost. The "
    "unmanaged depot never discharges.",
    "actual": "The actual bill, less programme payments, plus the battery wear.",
}

UNMANAGED = (
    "The same vehicles, plugged in and unplugged at the same times, with the same energy for driving.",
    "From plug-in each charges at full power, the lower of charger and vehicle, until its battery has gained "
    "what it really gained. Charging losses are kept.",
    "What V2G took out is not charged again: the unmanaged vehicle would have stayed that much fuller. What "
    "did not fit before it left is owed to its next stay.",
    "Building and sun as measured, the same tariff, its own demand peaks, no discharging.",
    "“Charge-only” is the same managed charging with nothing discharged: what V2G took out is not charged "
    "again, the rest of the site is as metered. Its peaks are its own.",
    "Grid programmes pay the unmanaged depot nothing, because it answers no call; the charge-only depot what "
    "its own load came to in the event, against its own days: charging left off counts, discharge does not. "
    "Each payment counts once.",
    "Prices are frozen when an interval closes, the unmanaged side when the vehicles of that time have left "
    "(after a week at the latest). Neither changes when a tariff is edited later.",
)
"""What the unmanaged and the charge-only depot are taken to do."""


def answer(depot: Depot, statement: SavingsStatement, *, running: bool) -> str:
    """Answer the page's question: what was saved, net of wear, and by which bill instead of which."""
    currency = statement.currency
    days = depot.cycles.words(statement.start_at, statement.end_at)
    month = f"{depot.local(statement.start_at):%B}{days}"
    saved, wear = statement.net_saving, statement.wear_added
    last = local_day(statement.actual.covered_to - INSTANT, depot)
    when = f"So far in {month} (to {last})" if running else f"In {month}"
    bills = (
        f"bill {money(statement.actual.total, currency)}{' so far' if running else ''} instead of "
        f"{money(statement.unmanaged.total, currency)}"
    )
    with_wear = f"{money(wear, currency)} of battery wear" if wear else "no battery wear"
    if not round(saved):
        return f"{when} V2G and smart charging saved nothing: {bills}, with {with_wear}."
    if saved < 0:
        return (
            f"{when} managed charging cost {money(-saved, currency)} more than charging at full power on plug-in "
            f"would have: {bills}, plus {with_wear}."
        )
    have = "have saved" if running else "saved"
    return f"{when} V2G and smart charging {have} {money(saved, currency)} net: {bills}, after {with_wear}."


def shares(bill: ChargeOnlyBill, currency: str, programme_revenue: Decimal = Decimal(0)) -> str:
    """Say what smart charging saved, what V2G added to it, and whose part of it grid programmes paid."""
    smart, v2g = (
        f"{'saved' if amount >= 0 else 'cost'} {money(abs(amount), currency)}"
        for amount in (bill.smart_saving, bill.v2g_saving)
    )
    words = f"Smart charging alone {smart}; V2G {v2g} more, after its battery wear."
    if not programme_revenue and not bill.programmes:
        return words
    return (
        f"{words} Grid programmes paid {money(programme_revenue, currency)}, in these amounts: "
        f"{money(bill.programmes, currency)} of it the depot without V2G would have been paid."
    )


def quality_words(quality: DataQuality) -> str:
    """Say how sure a month's numbers are."""
    parts = [f"{number(quality.recorded)} intervals recorded"]
    if quality.estimated:
        share = 100 * quality.estimated / quality.recorded
        parts.append(
            f"{number(quality.estimated)} of them ({number(share, 1)} %) estimated because the grid meter was silent; "
            "they are billed but set no demand peak"
        )
    else:
        parts.append("all of them measured")
    if quality.not_final:
        parts.append(
            f"the unmanaged side of {number(quality.not_final)} is not final, because vehicles are still plugged in"
        )
    else:
        parts.append("the unmanaged side of all is final")
    return "; ".join(parts) + "."
