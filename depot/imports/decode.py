"""Bytes to text: recognise the encoding, refuse what is no text."""

from __future__ import annotations

import codecs
from dataclasses import dataclass

from depot.imports.table import FileError
from depot.words import mark, tr

MAX_BYTES = 20 * 1024 * 1024

SAVE_AS_CSV = mark("Open it in your spreadsheet program and save it as “CSV (UTF-8)”.")
OTHER_FILES = (
    (b"PK\x03\x04", mark("{name} is a ZIP file or an Excel workbook (.xlsx), not a CSV file. {save_as_csv}")),
    (b"PK\x05\x06", mark("{name} is an empty ZIP file, not a CSV file. Choose the schedule itself.")),
    (b"\xd0\xcf\x11\xe0", mark("{name} is an old Excel workbook (.xls), not a CSV file. {save_as_csv}")),
    (
        b"%PDF",
        mark("{name} is a PDF document. Ask for the schedule as CSV: tables in a PDF cannot be read safely."),
    ),
    (b"\x1f\x8b", mark("{name} is a compressed file (gzip). Unpack it and upload what is inside.")),
    (b"{\\rtf", mark("{name} is a text document (RTF), not a CSV file. {save_as_csv}")),
)
BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig", "UTF-8"),
    (codecs.BOM_UTF16_LE, "utf-16", "UTF-16"),
    (codecs.BOM_UTF16_BE, "utf-16", "UTF-16"),
)
GUESSES = (("utf-8", "UTF-8"), ("cp1252", "Windows-1252"), ("latin-1", "Latin-1"))
ALLOWED_CONTROLS = frozenset("\t\n\r\f")
CONTROLS = frozenset(map(chr, (*range(32), 127))) - ALLOWED_CONTROLS


@dataclass(frozen=True, slots=True)
class Decoded:
    """A file's text, and its encoding as people call it."""

    text: str
    encoding: str


def decode(content: bytes, name: str, max_bytes: int = MAX_BYTES) -> Decoded:
    """Return the text of a file; raise FileError when it is empty, too large or no text.

    A byte order mark decides; else UTF-16 shows by its zero bytes, UTF-8 by being valid, and what is left is
    Windows-1252 (or Latin-1 where that leaves a byte undefined).
    """
    refuse_large(content, name, max_bytes)
    for magic, problem in OTHER_FILES:
        if content.startswith(magic):
            raise FileError(tr(problem, name=name, save_as_csv=tr(SAVE_AS_CSV)))
    decoded = _decoded(content, name)
    if not decoded.text.strip("\ufeff \t\r\n\f,;"):
        raise FileError(tr("{name} is empty. Download the template, fill it in and upload it.", name=name))
    if not CONTROLS.isdisjoint(decoded.text):
        raise _not_text(decoded.text, name)
    return decoded


def refuse_large(content: bytes, name: str, max_bytes: int = MAX_BYTES) -> None:
    """Raise FileError for a file of more than `max_bytes`."""
    if len(content) > max_bytes:
        raise FileError(
            tr(
                "{name} has {mb:.1f} MB; at most {most_mb} MB are read. Split it into several "
                "files, for instance by month.",
                name=name,
                mb=len(content) / 2**20,
                most_mb=max_bytes // 2**20,
            )
        )


def _decoded(content: bytes, name: str) -> Decoded:
    for order_mark, codec, label in BYTE_ORDER_MARKS:
        if content.startswith(order_mark):
            return Decoded(_strict(content, codec, label, name), label)
    sample = content[:4096]
    if len(sample) >= 4 and len(content) % 2 == 0:
        for codec, zeros in (("utf-16-le", sample[1::2]), ("utf-16-be", sample[::2])):
            if zeros.count(0) > 0.6 * len(zeros):
                return Decoded(_strict(content, codec, "UTF-16", name), "UTF-16")
    for codec, label in GUESSES[:-1]:
        try:
            return Decoded(content.decode(codec), label)
        except UnicodeDecodeError:
            continue
    codec, label = GUESSES[-1]
    return Decoded(content.decode(codec), label)


def _strict(content: bytes, codec: str, label: str, name: str) -> str:
    try:
        return content.decode(codec)
    except UnicodeDecodeError as error:
        raise FileError(
            tr(
                "{name} says it is {label} but is damaged at byte {start}. Export it again.",
                name=name,
                label=label,
                start=error.start + 1,
            )
        ) from error


def _not_text(text: str, name: str) -> FileError:
    at = next(index for index, character in enumerate(text) if character in CONTROLS)
    what = (
        tr("a NUL byte")
        if text[at] == "\0"
        else tr("the control character {code}", code=f"{ord(text[at]):#04x}")
    )
    row = text.count("\n", 0, at) + 1
    return FileError(
        tr(
            "{name}, row {row}: there is {what}, so this is no text file. {save_as_csv}",
            name=name,
            row=row,
            what=what,
            save_as_csv=tr(SAVE_AS_CSV),
        )
    )
