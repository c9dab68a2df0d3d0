"""Calendars in: which days differ, who follows which calendar, how cold a day is expected to be."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from typing import Any

from django.db import transaction
from simple_history.utils import bulk_update_with_history

from depot import audit, clock
from depot.measures import temperature
from depot.models import Depot
from depot.words import Sentence, later, speaking, tr
from fleet.calendars.rules import DayRule
from fleet.models import Block, CalendarException, DayTemperature, ServiceCalendar
from fleet.services.departures import ask_for_plan
from fleet.services.schedules import BULK, settings_of

MOST_DAYS = 366


def save_calendar(calendar: ServiceCalendar, user: Any) -> None:
    """Keep a new or changed calendar, and plan again."""
    calendar.save()
    place = "-".join(part for part in (calendar.country, calendar.subdivision) if part)
    holidays = (
        later(
            "holidays of {place}, {rule}",
            place=place,
            rule=calendar.get_on_holidays_display().lower(),
        )
        if place
        else later("no holidays")
    )
    _tell(
        calendar.depot,
        user,
        "calendar.saved",
        later("Saved the calendar {name}: {holidays}.", name=calendar.name, holidays=holidays),
    )


def set_days(
    calendar: ServiceCalendar, user: Any, on: Iterable[date], rule: DayRule | None, note: str = ""
) -> int:
    """Let days differ by a rule, or be as usual again where it is None, and plan again; return how many days.

    Raises ValueError for more than a year of days.
    """
    chosen = sorted(set(on))
    if len(chosen) > MOST_DAYS:
        raise ValueError(tr("Nothing was changed: more than a year of days. Enter them in parts."))
    with transaction.atomic():
        CalendarException.objects.filter(calendar=calendar, date__in=chosen).delete()
        if rule is not None:
            CalendarException.objects.bulk_create(
                [
                    CalendarException(
                        calendar=calendar,
                        date=day,
                        runs=rule.runs is not False,
                        like_weekday=rule.like_weekday,
                        early_minutes=rule.early_minutes or None,
                        note=note,
                    )
                    for day in chosen
                ]
            )
        with speaking(calendar.depot.language):
            first, last = chosen[0], chosen[-1]
            span = tr("{first} to {last}", first=first, last=last) if len(chosen) > 1 else f"{first}"
            words = rule.in_words() if rule is not None else tr("as usual")
            sentence = f"{calendar.name}, {span}: {words}{f' ({note})' if note else ''}."
        _tell(calendar.depot, user, "calendar.days", sentence)
    return len(chosen)


def follow(depot: Depot, user: Any, calendar: ServiceCalendar) -> int:
    """Let all blocks that recur and have no calendar follow one, also those of later files; return how many do now."""
    with transaction.atomic():
        settings = settings_of(depot)
        settings.calendar = calendar
        settings.save()
        blocks = list(Block.objects.of_depot(depot).filter(calendar__isnull=True, service_date__isnull=True))
        for block in blocks:
            block.calendar = calendar
        bulk_update_with_history(blocks, Block, ["calendar"], batch_size=BULK, default_date=clock.now())
        sentence = later(
            "{blocks:,} blocks without a calendar now follow {name}, and so do new ones.",
            blocks=len(blocks),
            name=calendar.name,
        )
        _tell(depot, user, "calendar.followed", sentence)
    return len(blocks)


def expect_temperature(depot: Depot, user: Any, day: date, outside_temp_c: float | None) -> None:
    """Keep how cold or warm a day will be (None = as on the last days), and plan again.

    What vehicles told of a day that is over stays.
    """
    told = DayTemperature.objects.of_depot(depot).filter(date=day, source=DayTemperature.Source.TOLD)
    if told.exists():
        raise ValueError(
            tr("Nothing was changed: vehicles have told the temperature of {day} already.", day=day)
        )
    if outside_temp_c is None:
        DayTemperature.objects.of_depot(depot).filter(date=day).delete()
        sentence = later("{day} is taken to be as on the last days.", day=day)
    else:
        values = {"outside_temp_c": outside_temp_c, "source": DayTemperature.Source.ENTERED}
        DayTemperature.objects.update_or_create(depot=depot, date=day, defaults=values)
        told_temperature = temperature(outside_temp_c, depot.units)
        sentence = later("{day} is expected with {temperature}.", day=day, temperature=told_temperature)
    _tell(depot, user, "calendar.temperature", sentence)


def _tell(depot: Depot, user: Any, verb: str, sentence: str | Sentence) -> None:
    event = audit.record(depot, user, verb, sentence)
    ask_for_plan(depot, f"calendar {event.pk}", user)
