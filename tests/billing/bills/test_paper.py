"""What goes on paper: letters that the fonts have, text that is never markup, numbers without needless zeros."""

from __future__ import annotations

from decimal import Decimal

import pytest
from reportlab.pdfbase import pdfmetrics

from billing.views import paper
from depot.templatetags.depot_pages import exact

LETTERS = (
    "Zażółć gęślą jaźń ŁÓDŹ, příliš žluťoučký kůň, árvíztűrő, țară, größer, Ελλάδα, Київ, zł € kW² CO₂ ≥ ½"
)


def test_the_fonts_have_the_letters_of_europe() -> None:
    assert paper.printable(LETTERS) == LETTERS
    for name in paper.FONTS:
        glyphs = pdfmetrics.getFont(name).face.charToGlyph
        assert all(glyphs.get(ord(letter)) for letter in LETTERS), name


def test_what_the_fonts_lack_is_marked() -> None:
    assert paper.printable("1−2\u00a0kW") == "1-2 kW"
    assert paper.printable("電") == "?"


def test_text_is_never_markup() -> None:
    words = paper.text("<b>bold</b> & <font size=90>")
    assert words.getPlainText() == "<b>bold</b> & <font size=90>"
    assert paper.render("A & B", "<foot>", [words, paper.ruled([[words]], (1,))]).startswith(b"%PDF-")


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("1550.000000", "1,550"),
        ("0.1812900000", "0.18129"),
        ("-0.050000", "−0.05"),
        ("0.000", "0"),
        ("100", "100"),
    ],
)
def test_decimals_are_written_without_zeros_at_their_end(value: str, shown: str) -> None:
    assert exact(Decimal(value)) == shown
    assert exact(None) == "–"
