"""Read a schedule file from the command line (INTERFACES section 5)."""

from __future__ import annotations

import json
from argparse import ArgumentTypeError
from datetime import date
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from depot.imports import MAX_BYTES, RowError
from depot.models import Depot
from fleet.formats.preview import Preview
from fleet.formats.ranges import DateRange
from fleet.formats.registry import CHOICES
from fleet.services.schedules import Saved, ScheduleRefused, check, commit, upload


class Command(BaseCommand):
    """Say what a schedule file would change, every mistake in it, and save it only when told to."""

    help = "Check a schedule file against a depot; with --commit save it. Nothing is written otherwise."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("depot", help="The depot's short name.")
        parser.add_argument("file", type=Path)
        parser.add_argument("--format", choices=CHOICES, default="auto")
        parser.add_argument("--from", dest="from_date", type=_day, help="First day, like 2026-03-09.")
        parser.add_argument("--to", dest="to_date", type=_day, help="Last day, like 2026-06-12.")
        parser.add_argument(
            "--replace",
            action="store_true",
            help="Also take what the file does not have out of the schedule, or only out of the days, if given.",
        )
        parser.add_argument("--commit", action="store_true", help="Save the blocks.")
        parser.add_argument("--json", action="store_true", help="Print one JSON document.")

    def handle(self, *_args: Any, **options: Any) -> None:
        depot = _depot(options["depot"])
        days = DateRange(options["from_date"], options["to_date"])
        if days.first_day > days.last_day:
            raise CommandError("--from is after --to. Swap them.", returncode=2)
        content, name = _content(options["file"]), options["file"].name
        found = check(depot, content, name, options["format"], days)
        saved, problems = None, found.problems(options["replace"])
        if options["commit"] and not problems:
            batch = upload(depot, None, content, name, options["format"], days)
            try:
                saved = commit(batch, None, options["replace"])
            except ScheduleRefused as refusal:
                problems = refusal.problems
        answer = _answer(found, problems, options["replace"], saved)
        self.stdout.write(json.dumps(answer, indent=1) if options["json"] else _sentence(answer))
        for warning in () if options["json"] else found.warnings:
            self.stderr.write(f"Warning: {warning.sentence}")
        if problems:
            raise CommandError("\n".join(error.sentence for error in problems), returncode=1)


def _answer(
    found: Preview, problems: tuple[RowError, ...], replace: bool, saved: Saved | None
) -> dict[str, Any]:
    change, missing = found.difference, len(found.difference.missing)
    out = len(found.taken_out)
    return {
        "format": found.reading.file_format,
        "file": dict(found.reading.facts),
        "blocks": len(found.rows),
        "new": saved.new if saved else len(change.new),
        "changed": saved.changed if saved else len(change.changed),
        "unchanged": saved.unchanged if saved else len(change.unchanged),
        "removed": missing if replace else 0,
        "taken_out": out if replace else 0,
        "kept": 0 if replace else missing + out,
        "errors": [error.as_json() for error in problems],
        "warnings": [warning.as_json() for warning in found.warnings],
        "committed": saved is not None,
    }


def _sentence(answer: dict[str, Any]) -> str:
    out = f", {answer['taken_out']:,} taken out of these days" if answer["taken_out"] else ""
    end = "Saved." if answer["committed"] else "Nothing was saved."
    return (
        f"{answer['blocks']:,} blocks: {answer['new']:,} new, {answer['changed']:,} changed, "
        f"{answer['unchanged']:,} unchanged, {answer['removed']:,} removed{out}, {answer['kept']:,} kept that the file "
        f"does not have; {len(answer['errors']):,} errors. {end}"
    )


def _depot(slug: str) -> Depot:
    depot = Depot.objects.filter(slug=slug).first()
    if depot is None:
        known = ", ".join(Depot.objects.values_list("slug", flat=True)) or "none yet"
        raise CommandError(f"There is no depot “{slug}”. Known: {known}.", returncode=1)
    return depot


def _content(path: Path) -> bytes:
    """Return what is in a file, but never more than one byte above what is allowed."""
    try:
        with path.open("rb") as file:
            return file.read(MAX_BYTES + 1)
    except OSError as error:
        raise CommandError(f"{path}: cannot be read ({error.strerror}).", returncode=1) from error


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise ArgumentTypeError(f"“{text}” is not a date. Write it like 2026-03-09.") from None
