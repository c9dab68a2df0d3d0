"""Languages: what is looked up, what stays English, and that every sentence that is marked has its translation."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from string import Formatter

import polib
import pytest
from django.utils import translation

from billing.models import PriceSeries
from billing.services.market import set_source
from depot import audit
from depot.jobs import enqueue
from depot.jobs.registry import KINDS, JobKind
from depot.jobs.services import run
from depot.models import Alert, AuditEvent
from depot.money import format_money
from depot.names import names_of
from depot.templatetags.depot_pages import cents, kw, money, percent
from depot.words import LOCALE, day_words, figures, later, speaking, spoken, tr, trn, weekday_time
from fleet.models import ServiceCalendar
from fleet.services.calendars import save_calendar

CATALOGUE = LOCALE / "de" / "LC_MESSAGES" / "django.po"


def fields_of(sentence: str) -> set[str]:
    """Return the names that a sentence fills in, as Python's {name} or as Django's %(name)s."""
    braces = {name for _, name, _, _ in Formatter().parse(sentence) if name}
    return braces | {part.partition(")")[0] for part in sentence.split("%(")[1:]}


def test_a_sentence_is_said_in_the_language_spoken_and_filled_in() -> None:
    assert tr("{seconds:.0f} s ago", seconds=12.2) == "12 s ago"
    with speaking("de"):
        assert spoken() == "de"
        assert tr("{seconds:.0f} s ago", seconds=12.2) == "vor 12 s"
        assert (
            trn("{count} alert of {depot}:", "{count} alerts of {depot}:", 1, depot="Ost")
            == "1 Meldung von Ost:"
        )
        assert tr("No translation has this {word}.", word="one") == "No translation has this one."
    assert spoken() == "en"


def test_a_language_that_is_not_spoken_is_answered_in_english() -> None:
    with speaking("fr"):
        assert tr("never") == "never"


def test_a_sentence_for_later_is_said_in_the_language_of_then() -> None:
    sentence = later("{minutes:.0f} min ago", minutes=3)
    assert str(sentence) == "3 min ago"
    with speaking("de"):
        assert str(sentence) == "vor 3 min"


def test_numbers_money_and_days_are_written_as_the_language_does() -> None:
    assert (figures("1,234.5"), kw(12.5), percent(0.845, 1)) == ("1,234.5", "12.5 kW", "84.5 %")
    with speaking("de"):
        assert (figures("1,234.5"), kw(12.5), percent(0.845, 1)) == ("1.234,5", "12,5 kW", "84,5 %")
        assert format_money(Decimal("1234.5"), "EUR") == "1.234,50\u00a0€"
        assert cents(Decimal("-3"), "USD") == "−3,00\u00a0$"
        assert money(Decimal("1940.2"), "EUR") == "1.940\u00a0€"
        assert day_words(date(2026, 11, 24)) == "Di 24. Nov"
        assert weekday_time(datetime(2026, 11, 24, 6, 10, tzinfo=UTC)) == "Di 06:10"


def test_every_translation_is_there_and_fills_in_the_same_values() -> None:
    faults = []
    for entry in polib.pofile(str(CATALOGUE)):
        wanted = fields_of(entry.msgid) | fields_of(entry.msgid_plural)
        for said in entry.msgstr_plural.values() or [entry.msgstr]:
            if not said or entry.fuzzy:
                faults.append(f"not translated: {entry.msgid}")
            elif not fields_of(said) <= wanted or (not entry.msgid_plural and fields_of(said) != wanted):
                faults.append(f"other values: {entry.msgid}")
    assert faults == []


def test_the_catalogue_that_is_read_is_the_one_that_is_written() -> None:
    entries = polib.pofile(str(CATALOGUE)).translated_entries()
    written = {entry.msgid: entry.msgstr or entry.msgstr_plural for entry in entries}
    read = polib.mofile(str(CATALOGUE.with_suffix(".mo")))
    assert {entry.msgid: entry.msgstr or entry.msgstr_plural for entry in read} == written


def test_models_bear_their_names_in_the_readers_language() -> None:
    with translation.override(None):
        assert {"alert", "level", "Act now"} <= set(names_of(Alert))
    with translation.override("de"):
        assert Alert(level="critical").get_level_display() == "Sofort handeln"


@pytest.mark.django_db
def test_what_is_written_down_is_said_in_the_depots_language(depot, monkeypatch) -> None:
    depot.language = "de"
    depot.save()
    event = audit.record(depot, "Ana", "alert.snoozed", later("{minutes:.0f} min ago", minutes=3))
    assert AuditEvent.objects.get(pk=event.pk).sentence == "vor 3 min"
    heard: list[str] = []
    monkeypatch.setitem(KINDS, "spoken", JobKind("spoken", "Listen", lambda *_: heard.append(spoken())))
    run(str(enqueue("spoken", depot, "now").pk))
    assert heard == ["de"]


@pytest.mark.django_db
def test_a_page_speaks_as_the_browser_asks_and_the_api_english(client) -> None:
    german = {"headers": {"accept-language": "de-DE,de;q=0.9"}}
    page = client.get("/log-in/", **german)
    assert '<html lang="de">' in page.text
    assert "Anmelden" in page.text
    assert "Log in" in client.get("/log-in/").text
    answer = client.get("/api/v1/depots", **german)
    assert "Authentication credentials were not provided." in answer.text


@pytest.mark.django_db
def test_a_person_chooses_the_language(client, login, viewer, depot) -> None:
    browser = login(viewer)
    assert "Deutsch" in browser.get(f"/{depot.slug}/").text
    browser.post("/language/", {"language": "de", "next": f"/{depot.slug}/"})
    assert "Abmelden" in browser.get(f"/{depot.slug}/").text


@pytest.mark.django_db
def test_what_a_reader_of_another_language_does_is_written_in_the_depots(depot) -> None:
    series = PriceSeries(depot=depot, kind="market", source="nordpool", area="SE3")
    with speaking("de"), translation.override("de"):
        set_source(series, "Ana")
        save_calendar(ServiceCalendar(depot=depot, name="School"), "Ana")
    assert list(AuditEvent.objects.order_by("pk").values_list("sentence", flat=True)) == [
        "New prices come from Nord Pool SE3.",
        "Saved the calendar School: no holidays.",
    ]
