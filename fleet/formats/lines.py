"""What a file would do to a schedule as rows of words, so that a preview can be kept and shown later."""

from __future__ import annotations

from typing import Any

from depot.words import figures, mark, tr
from fleet.formats.blocks import BlockRow
from fleet.formats.clock import clock, day_text
from fleet.formats.preview import Preview
from fleet.formats.service_days import say_service_days

SHOWN_FIELDS = (
    ("depart_minute", mark("pull-out")),
    ("return_minute", mark("pull-in")),
    ("valid_from", mark("valid from")),
    ("valid_to", mark("valid to")),
    ("distance_km", "km"),
    ("energy_kwh", "kWh"),
    ("min_soc_departure", mark("leave with")),
    ("vehicle", mark("vehicle")),
    ("vehicle_type", mark("type")),
    ("precondition", mark("precondition")),
)


def lines_of(found: Preview, most: int) -> dict[str, list[dict[str, Any]]]:
    """Return the first `most` blocks that are new, changed, missing from the file, or lose days, as JSON values."""
    change = found.difference
    return {
        "new": [line_of(row) for row in change.new[:most]],
        "changed": [
            {"block": line_of(after), "what": what_changed(before, after)}
            for before, after in change.changed[:most]
        ],
        "missing": [line_of(row) for row in change.missing[:most]],
        "taken_out": [line_of(before) for before, _ in found.taken_out[:most]],
    }


def line_of(row: BlockRow) -> dict[str, Any]:
    """Return a block in the words of the page."""
    return {
        "block_id": row.block_id,
        "vehicle": row.vehicle,
        "days": day_text(row.service_date) if row.service_date else say_service_days(row.weekdays),
        "differing": len(row.exceptions),
        "pull_out": clock(row.depart_minute),
        "pull_in": clock(row.return_minute),
    }


def what_changed(before: BlockRow, after: BlockRow) -> list[str]:
    """Say each field that differs as “pull-out 06:30 → 06:45”."""
    pairs = [(label, name, getattr(before, name), getattr(after, name)) for name, label in SHOWN_FIELDS]
    return [
        f"{tr(label)} {_shown(name, old)} → {_shown(name, new)}"
        for label, name, old, new in pairs
        if old != new
    ]


def _shown(name: str, value: Any) -> str:
    if value in (None, ""):
        return tr("none")
    if name.endswith("_minute"):
        return clock(value)
    if name == "min_soc_departure":
        return figures(f"{value * 100:g} %")
    if isinstance(value, bool):
        return tr("yes") if value else tr("no")
    return figures(f"{value:g}") if isinstance(value, float) else str(value)
