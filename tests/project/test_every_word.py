"""On the pages of the demonstration no word is said but what is looked up and what people or tariffs have written."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
import time_machine
from django.apps import apps
from django.test import Client
from django.utils import translation
from django.utils.translation import trans_real
from holidays import country_holidays

from billing.selectors import tariff_bills
from depot import words
from depot.models import Depot, User
from depot.names import APPS
from depot.project.benchmarks import pages_run
from fleet.battery.cells import CELL_MODELS
from tests.project.conftest import NOW
from tests.project.test_marked_words import Spoken

pytestmark = pytest.mark.xdist_group("demo")

LOOKED_UP = "ж"
"""Stands for each letter of what is looked up."""
AS_THEY_ARE = re.compile(r"(\{[^{}]*\}|%\([^)]*\)[a-z]|%[a-z-]|<[^>]*>|&[a-z]+;)")
ENGLISH_WORD = re.compile(r"\b[A-Za-z][a-z]{3,}")
SAME_EVERYWHERE = {"Depot", "English", "Deutsch", "SoC", "SunSpec", "Webhook", "Demo"}


def pseudo(sentence: Any) -> str:
    """Return a sentence as if it were translated, its values' places kept."""
    parts = AS_THEY_ARE.split(str(sentence))
    return "".join(
        part if number % 2 else re.sub(r"[^\W\d_]", LOOKED_UP, part) for number, part in enumerate(parts)
    )


class Pseudo:
    """A catalogue in which everything is found."""

    def gettext(self, sentence: str) -> str:
        return pseudo(sentence)

    def ngettext(self, one: str, many: str, count: int) -> str:
        return pseudo(one if count == 1 else many)


def spoken(html: str) -> list[str]:
    """Return what a page says to people."""
    page = Spoken()
    page.feed(re.sub(r"(?s)<textarea.*?</textarea>", "", html))
    return [" ".join(said.split()) for said in page.said]


@pytest.fixture
def everything_looked_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(words, "_catalogue", lambda language: Pseudo())
    found = {
        "gettext": pseudo,
        "pgettext": lambda context, sentence: pseudo(sentence),
        "ngettext": Pseudo().ngettext,
        "npgettext": lambda context, one, many, count: Pseudo().ngettext(one, many, count),
    }
    for name, look_up in found.items():
        monkeypatch.setattr(translation._trans, name, look_up)  # first: it copies what it is asked for
        monkeypatch.setattr(trans_real, name, look_up)


def written_by_people() -> list[str]:
    """Return every text that is stored, or comes with tariffs, battery models and holidays; the longest first."""
    found = {tariff.name for tariff in tariff_bills._examples().values()} | {
        model.label for model in CELL_MODELS.values()
    }
    found |= set(country_holidays("US", years=NOW.year).values()) | SAME_EVERYWHERE
    for model in (model for model in apps.get_models() if model._meta.app_label in APPS):
        kinds = ("CharField", "TextField", "SlugField", "JSONField")
        names = [field.name for field in model._meta.fields if field.get_internal_type() in kinds]
        for row in model._default_manager.values_list(*names).distinct():
            found |= set(_texts(row))
    return sorted((text for text in found if len(text) > 2), key=len, reverse=True)


def letters(text: str) -> str:
    """Return a text's letters, without what a page adds to a stored sentence: the currency's sign for its code."""
    return re.sub(r"[^a-z]", "", text.replace("USD", "").lower())


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield " ".join(value.split())
    elif isinstance(value, dict):
        yield from (text for part in value.values() for text in _texts(part))
    elif isinstance(value, list | tuple):
        yield from (text for part in value for text in _texts(part))


def test_every_page_says_only_what_is_looked_up(
    demo: Depot, everything_looked_up: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pages_run, "NOW", NOW)
    client = Client(headers={"accept-language": "de"})
    client.force_login(User.objects.get(username="demo"), "django.contrib.auth.backends.ModelBackend")
    own = written_by_people()
    sentences = {letters(part) for text in own for part in (text, text.partition(": ")[2])}
    found: dict[str, list[str]] = {}
    with time_machine.travel(NOW, tick=False):
        for name, address in pages_run.addresses(demo).items():
            answer = client.get(address, follow=True)
            for said in spoken(answer.content.decode()):
                if not ENGLISH_WORD.search(said) or letters(said) in sentences:
                    continue
                rest = said
                for text in own:
                    rest = re.sub(rf"(?<!\w){re.escape(text)}(?!\w)", "", rest) if text in rest else rest
                if ENGLISH_WORD.search(rest):
                    found.setdefault(rest, []).append(name)

    assert found == {}
