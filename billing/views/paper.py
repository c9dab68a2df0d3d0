"""Documents on paper: fonts, page frame and tables of every PDF. Text is text here, never markup."""

from __future__ import annotations

import io
import unicodedata
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

from reportlab.lib import colors
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFont
from reportlab.platypus import Flowable, Paragraph, SimpleDocTemplate, Spacer, Table

from depot.words import tr

FONTS = {"Roboto": "Roboto-Regular.ttf", "Roboto-Bold": "Roboto-Bold.ttf"}
FOLDER = Path(__file__).parents[1] / "fonts"
MARGIN = 18 * mm
FRAME_PADDING = 6  # of reportlab's frame, on each side
WIDTH = A4[0] - 2 * MARGIN - 2 * FRAME_PADDING
RULE, MUTED = colors.HexColor("#c4ccd4"), colors.HexColor("#4c5866")


def _fonts() -> frozenset[int]:
    """Register the fonts; return the characters that both have (Latin of all Europe, Greek, Cyrillic)."""
    for name, file in FONTS.items():
        if name not in pdfmetrics.getRegisteredFontNames():
            pdfmetrics.registerFont(TTFont(name, str(FOLDER / file)))
    return frozenset.intersection(*(frozenset(pdfmetrics.getFont(name).face.charToGlyph) for name in FONTS))


KNOWN = _fonts()
PLAIN = ParagraphStyle("plain", fontName="Roboto", fontSize=8.5, leading=12)
SMALL = ParagraphStyle("small", parent=PLAIN, fontSize=7, leading=9.5, textColor=MUTED)
NUMBER = ParagraphStyle("number", parent=PLAIN, alignment=2)
BOLD = ParagraphStyle("bold", parent=PLAIN, fontName="Roboto-Bold")
BOLD_NUMBER = ParagraphStyle("bold number", parent=BOLD, alignment=2)
TITLE = ParagraphStyle("title", parent=BOLD, fontSize=15, leading=20)
HEADING = ParagraphStyle("heading", parent=BOLD, fontSize=10.5, leading=15, spaceBefore=10, spaceAfter=3)


def printable(text: str) -> str:
    """Return text in characters that the fonts have: a letter whose mark they lack goes without it, others as “?”."""
    found = []
    for character in text.replace("−", "-").replace("\u00a0", " "):
        if ord(character) in KNOWN or character == "\n":
            found.append(character)
            continue
        base = unicodedata.normalize("NFKD", character)[0]
        found.append(base if ord(base) in KNOWN else "?")
    return "".join(found)


def text(words: str, style: ParagraphStyle = PLAIN) -> Paragraph:
    """Return a paragraph of plain words."""
    return Paragraph(escape(printable(words)), style)


def ruled(rows: Sequence[Sequence[Flowable | Sequence[Flowable]]], widths: Sequence[float]) -> Table:
    """Return a table with a rule below each row; its first row is repeated on every page. `widths` are shares."""
    table = Table([list(row) for row in rows], colWidths=[WIDTH * share for share in widths], repeatRows=1)
    table.setStyle(
        [
            ("VALIGN", (0, 0), (-1, -1), "TOP"),
            ("LINEBELOW", (0, 0), (-1, -1), 0.4, RULE),
            ("LEFTPADDING", (0, 0), (0, -1), 0),
            ("RIGHTPADDING", (-1, 0), (-1, -1), 0),
            ("TOPPADDING", (0, 0), (-1, -1), 3),
            ("BOTTOMPADDING", (0, 0), (-1, -1), 3),
        ]
    )
    return table


def space(height_mm: float) -> Spacer:
    return Spacer(0, height_mm * mm)


def render(title: str, footer: str, parts: Sequence[Flowable]) -> bytes:
    """Return the PDF of some parts, with a footer and the page's number on every page."""
    out = io.BytesIO()
    paper = SimpleDocTemplate(
        out,
        pagesize=A4,
        leftMargin=MARGIN,
        rightMargin=MARGIN,
        topMargin=MARGIN,
        bottomMargin=MARGIN,
        title=printable(title),
        author="Depot",
        lang="en",
        invariant=1,
    )

    def foot(canvas: Any, _document: Any) -> None:
        canvas.saveState()
        canvas.setFont("Roboto", 7)
        canvas.setFillColor(MUTED)
        canvas.drawString(MARGIN, 10 * mm, printable(footer))
        canvas.drawRightString(
            A4[0] - MARGIN, 10 * mm, tr("Page {getPageNumber}", getPageNumber=canvas.getPageNumber())
        )
        canvas.restoreState()

    paper.build(list(parts), onFirstPage=foot, onLaterPages=foot)
    return out.getvalue()
