"""The sentences about money."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

from billing.models import SavingsStatement
from billing.selectors.charge_only import ChargeOnlyBill
from billing.selectors.savings import DataQuality
from depot.models import Depot
from depot.templatetags.depot_pages import local_day, money, number
from depot.words import mark, month_name, tr

INSTANT = timedelta(microseconds=1)
RULES = {
    "unmanaged": mark(
        "Same vehicles, same plug-in and plug-out times, same energy for driving; each charges "
        "at full power from the moment it is plugged in."
    ),
    "energy": mark(
        "Energy lines of the actual bill less those of the unmanaged bill, without what the sun "
        "saved: the same driving, bought in other hours."
    ),
    "solar": mark(
        "Sun that building and vehicles used at once, more than the unmanaged depot would have, "
        "at each interval's frozen price. The credit it would have earned is under export."
    ),
    "demand": mark("Demand lines of both bills, each with its own peaks."),
    "other": mark("Fixed charges, minimum bill and taxes of both bills."),
    "export": mark("Credit for energy that flowed to the grid, in both bills."),
    "programmes": mark(
        "What grid programmes paid outside the bill for delivering more than usual in their "
        "events: against the mean of the ten newest days like it without an event, adjusted by "
        "the hours before."
    ),
    "wear": mark(
        "Every kWh that left a battery through its charger, at that vehicle's marginal wear "
        "cost. The unmanaged depot never discharges."
    ),
    "actual": mark("The actual bill, less programme payments, plus the battery wear."),
}

UNMANAGED = (
    mark("The same vehicles, plugged in and unplugged at the same times, with the same energy for driving."),
    mark(
        "From plug-in each charges at full power, the lower of charger and vehicle, until its "
        "battery has gained what it really gained. Charging losses are kept."
    ),
    mark(
        "What V2G took out is not charged again: the unmanaged vehicle would have stayed that "
        "much fuller. What did not fit before it left is owed to its next stay."
    ),
    mark("Building and sun as measured, the same tariff, its own demand peaks, no discharging."),
    mark(
        "“Charge-only” is the same managed charging with nothing discharged: what V2G took out "
        "is not charged again, the rest of the site is as metered. Its peaks are its own."
    ),
    mark(
        "Grid programmes pay the unmanaged depot nothing, because it answers no call; the "
        "charge-only depot what its own load came to in the event, against its own days: "
        "charging left off counts, discharge does not. Each payment counts once."
    ),
    mark(
        "Prices are frozen when an interval closes, the unmanaged side when the vehicles of that "
        "time have left (after a week at the latest). Neither changes when a tariff is edited "
        "later."
    ),
)
"""What the unmanaged and the charge-only depot are taken to do."""


def answer(depot: Depot, statement: SavingsStatement, *, running: bool) -> str:
    """Answer the page's question: what was saved, net of wear, and by which bill instead of which."""
    currency = statement.currency
    days = depot.cycles.words(statement.start_at, statement.end_at)
    month = f"{month_name(depot.local(statement.start_at).month)}{days}"
    saved, wear = statement.net_saving, statement.wear_added
    last = local_day(statement.actual.covered_to - INSTANT, depot)
    when = (
        tr("So far in {month} (to {last})", month=month, last=last)
        if running
        else tr("In {month}", month=month)
    )
    was, would = (money(bill.total, currency) for bill in (statement.actual, statement.unmanaged))
    bills = (
        tr("bill {was} so far instead of {would}", was=was, would=would)
        if running
        else tr("bill {was} instead of {would}", was=was, would=would)
    )
    with_wear = tr("{wear} of battery wear", wear=money(wear, currency)) if wear else tr("no battery wear")
    if not round(saved):
        return tr(
            "{when} V2G and smart charging saved nothing: {bills}, with {with_wear}.",
            when=when,
            bills=bills,
            with_wear=with_wear,
        )
    if saved < 0:
        return tr(
            "{when} managed charging cost {saved} more than charging at full power on plug-in would "
            "have: {bills}, plus {with_wear}.",
            when=when,
            saved=money(-saved, currency),
            bills=bills,
            with_wear=with_wear,
        )
    pattern = (
        mark("{when} V2G and smart charging have saved {saved} net: {bills}, after {with_wear}.")
        if running
        else mark("{when} V2G and smart charging saved {saved} net: {bills}, after {with_wear}.")
    )
    return tr(
        pattern,
        when=when,
        saved=money(saved, currency),
        bills=bills,
        with_wear=with_wear,
    )


def shares(bill: ChargeOnlyBill, currency: str, programme_revenue: Decimal = Decimal(0)) -> str:
    """Say what smart charging saved, what V2G added to it, and whose part of it grid programmes paid."""
    smart, v2g = (
        tr("saved {amount}", amount=money(amount, currency))
        if amount >= 0
        else tr("cost {amount}", amount=money(-amount, currency))
        for amount in (bill.smart_saving, bill.v2g_saving)
    )
    words = tr("Smart charging alone {smart}; V2G {v2g} more, after its battery wear.", smart=smart, v2g=v2g)
    if not programme_revenue and not bill.programmes:
        return words
    return tr(
        "{words} Grid programmes paid {programme_revenue}, in these amounts: {programmes} of it "
        "the depot without V2G would have been paid.",
        words=words,
        programme_revenue=money(programme_revenue, currency),
        programmes=money(bill.programmes, currency),
    )


def quality_words(quality: DataQuality) -> str:
    """Say how sure a month's numbers are."""
    parts = [tr("{recorded} intervals recorded", recorded=number(quality.recorded))]
    if quality.estimated:
        share = 100 * quality.estimated / quality.recorded
        parts.append(
            tr(
                "{estimated} of them ({share} %) estimated because the grid meter was silent; they are "
                "billed but set no demand peak",
                estimated=number(quality.estimated),
                share=number(share, 1),
            )
        )
    else:
        parts.append(tr("all of them measured"))
    if quality.not_final:
        parts.append(
            tr(
                "the unmanaged side of {not_final} is not final, because vehicles are still plugged in",
                not_final=number(quality.not_final),
            )
        )
    else:
        parts.append(tr("the unmanaged side of all is final"))
    return "; ".join(parts) + "."
