"""Who should drive what on a day: worked out at once in a small depot, in the background in a large one."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import date
from typing import Any

from charging.selectors.dispatching import Situation, Suggestion, suggest
from depot.jobs import enqueue
from depot.models import Job, User
from depot.timegrid import floor_to_step
from depot.words import mark, tr
from fleet.selectors.duties import Duty
from fleet.services.assignments import AssignmentRefused, choice_of, read_choice

JOB = "proposal"
MOST_AT_ONCE = 1_600
"""Pairs of vehicle and block up to which a page waits for the answer: 40 vehicles and 40 blocks."""
ANEW_MINUTES = 15
"""Charge and time move on: a proposal that is older is worked out anew when it is asked for."""
STALE = mark("The day has changed since these vehicles were proposed. Ask for a new proposal.")


@dataclass(frozen=True, slots=True)
class Proposal:
    """The changes proposed for a day, with a digest of the duties that they were worked out for."""

    suggestions: list[Suggestion]
    proven: bool
    digest: str


def digest_of(known: Situation) -> str:
    """Return what differs when a duty of the day or a vehicle in service does: who drives what, when, and what is out.

    Only duties of the day itself count, so that a pull-out of the day before does not make a proposal stale.
    """
    text = repr([_facts(duty) for duty in known.of_day]) + repr(sorted(one.pk for one in known.vehicles))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _facts(duty: Duty) -> tuple[Any, ...]:
    vehicle, outage = (row.pk if row else None for row in (duty.vehicle, duty.outage))
    return duty.key, vehicle, duty.pull_out_at, duty.pull_in_at, outage, duty.fixed


def is_large(known: Situation, day: date) -> bool:
    """Tell whether the proposal of a day is too much work for a page that somebody waits for."""
    blocks = sum(duty.pull_out_at > known.now and duty.service_date <= day for duty in known.coming)
    return blocks * len(known.vehicles) > MOST_AT_ONCE


def work_out(known: Situation, day: date) -> Proposal:
    """Return the proposal of a day; raises CannotProposeError after ten seconds."""
    suggestions, found = suggest(known, day)
    return Proposal(suggestions, found.proven, digest_of(known))


def ask_for(known: Situation, day: date, user: Any) -> Job:
    """Ask for the proposal of a day in the background; the same day as it stands is asked for once a quarter hour."""
    since = floor_to_step(known.now, ANEW_MINUTES)
    asker = user if isinstance(user, User) else None
    window = f"{day} {digest_of(known)} {since:%d %H:%M}"
    return enqueue(JOB, known.depot, window, {"date": str(day)}, asker)


def as_result(proposal: Proposal) -> dict[str, Any]:
    """Return a proposal as a job keeps it."""
    rows = [{"choice": one.choice.as_text, "because": one.because} for one in proposal.suggestions]
    return {"digest": proposal.digest, "proven": proposal.proven, "rows": rows}


def from_result(result: dict[str, Any], known: Situation) -> Proposal | None:
    """Return the proposal that a job worked out; None where the day is not as it was any more."""
    if result.get("digest") != digest_of(known):
        return None
    duties = {duty.key: duty for duty in known.coming}
    vehicles = {vehicle.pk: vehicle for vehicle in known.vehicles}
    suggestions = []
    for row in result["rows"]:
        choice = read_choice(row["choice"])
        duty, vehicle = duties.get(choice.key), vehicles.get(choice.vehicle_id or 0)
        if duty is None or choice_of(duty, vehicle) != choice:
            return None
        suggestions.append(Suggestion(duty, vehicle, row["because"], choice))
    return Proposal(suggestions, result["proven"], result["digest"])


def check_as_proposed(digest: str, known: Situation) -> None:
    """Raise AssignmentRefused when a proposal was worked out for another day than the one that is now."""
    if digest != digest_of(known):
        raise AssignmentRefused(tr("Nothing was changed. {reason}", reason=tr(STALE)))
