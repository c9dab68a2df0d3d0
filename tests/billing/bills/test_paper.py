"""What goes on paper: letters that the fonts have, text that is never markup, numbers without needless zeros."""

from __future__ import annotations

from decimal import Decimal

import pytest

from billing.views import paper
from depot.templatetags.depot_pages import exact


def test_letters_that_the_fonts_lack_go_without_their_mark() -> None:
    assert paper.printable("Łódź, größer, 1−2\u00a0kW ≥ 3") == "Łódz, größer, 1-2 kW ≥ 3"
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
