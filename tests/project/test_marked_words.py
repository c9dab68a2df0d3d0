"""No template says a word to people that cannot be translated."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "templates"
NAMES = [str(path.relative_to(FOLDER)) for path in sorted(FOLDER.rglob("*.html"))]
SPOKEN_ATTRIBUTES = frozenset({"aria-label", "title", "alt", "placeholder", "data-label", "data-confirm"})
SAME_EVERYWHERE = re.compile(
    r"\b(Depot|CSV|PDF|XLSX|kWh?|SoC|SoH|V|A|km|h|min|s|EVSE|OCPP|API|V2G|V1G|CO2|UTC|kg)\b|&\w+;"
)
MARKED = re.compile(
    r"{%\s*block content_class.*?endblock\s*%}"
    r"|{%\s*blocktranslate.*?%}.*?{%\s*endblocktranslate\s*%}|{%\s*comment.*?endcomment\s*%}",
    re.DOTALL,
)
TAG = re.compile(r"{%.*?%}|{{.*?}}|{#.*?#}", re.DOTALL)
IN_QUOTES = re.compile(
    r"""(?<![_\w])(?:text|action|words|label|title|summary)=["'][^"']*[A-Za-z]{2} [^"']*["']"""
)


class Spoken(HTMLParser):
    """Collect what a page says to people."""

    def __init__(self) -> None:
        super().__init__()
        self.said: list[str] = []
        self.inside = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.inside = tag
        self.said += [value or "" for name, value in attrs if name in SPOKEN_ATTRIBUTES]

    def handle_endtag(self, tag: str) -> None:
        self.inside = ""

    def handle_data(self, data: str) -> None:
        if self.inside not in ("script", "style"):
            self.said.append(data)


def unmarked(source: str) -> list[str]:
    """Return what a template says without looking it up."""
    page = Spoken()
    page.feed(TAG.sub(" ", MARKED.sub(" ", source)))
    words = [SAME_EVERYWHERE.sub(" ", said) for said in page.said]
    in_tags = [part for tag in TAG.findall(source) for part in IN_QUOTES.findall(tag)]
    return [" ".join(said.split()) for said in words if re.search(r"[A-Za-z]{2}", said)] + in_tags


def test_words_are_found_in_text_in_attributes_and_in_what_is_handed_on() -> None:
    assert unmarked('<p aria-label="All of it">Save {{ name }}</p>') == ["All of it", "Save"]
    assert unmarked('{% include "a.html" with text="Nothing yet." %}') == ['text="Nothing yet."']
    assert (
        unmarked(
            '<p>{% translate "Save" %} {{ power }} kW · CSV</p>{% include "a" with text=_("None yet.") %}'
        )
        == []
    )


@pytest.mark.parametrize("name", NAMES)
def test_every_word_of_a_template_is_marked(name: str) -> None:
    assert unmarked((FOLDER / name).read_text()) == []
