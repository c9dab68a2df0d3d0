"""Columns with data of pupils: a file that has them is refused, and not kept."""

from __future__ import annotations

import re

from depot.imports import RowError, Table, plain_title
from depot.words import tr

PERSONAL = re.compile(
    r"(^|_)(student|students|pupil|pupils|child|children|rider|riders|guardian|parent|parents|dob|birth|birthdate"
    r"|grade|first_name|last_name|surname|home_address|home_phone|medical|ssn)(_|$)"
)
COUNTS = re.compile(r"(^|_)(count|number_of|total|load|capacity|seats)(_|$)")


def private_errors(table: Table) -> tuple[RowError, ...]:
    """Return an error for every column that seems to hold data of pupils; counts of them are harmless."""
    titles = [
        title
        for title in table.header.cells
        if PERSONAL.search(plain_title(title)) and not COUNTS.search(plain_title(title))
    ]
    return tuple(
        RowError(
            table.sheet,
            table.header.number,
            title,
            title,
            tr(
                "“{title}” holds data of pupils, which a depot has no business with. Delete the column "
                "and upload the file again; this one was not kept.",
                title=title,
            ),
        )
        for title in titles
    )
