"""Read a file of prices per interval into a depot: a thin door."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from billing.management.commands import depot_named
from billing.models import PriceSeries
from billing.services.market import PriceFileError, check_file, import_file
from billing.sources import FACTORS
from depot import clock
from depot.imports import MAX_BYTES


class Command(BaseCommand):
    help = (
        "Save prices (or CO2 factors) per interval from a CSV file or workbook: all, or none if any is wrong."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("depot", help="The depot's short name.")
        parser.add_argument("file", type=Path)
        parser.add_argument("--kind", choices=PriceSeries.Kind.values, default=PriceSeries.Kind.MARKET)
        parser.add_argument("--column", default="", help="Title of the price column, or how it begins.")
        parser.add_argument("--unit", choices=tuple(FACTORS), default="", help="Where no title names it.")
        parser.add_argument("--dry-run", action="store_true", help="Check the file and save nothing.")
        parser.add_argument("--json", action="store_true", help="Print one JSON document.")

    def handle(self, *_args: Any, **options: Any) -> None:
        depot, path = depot_named(options["depot"]), options["file"]
        try:
            with path.open("rb") as file:
                content = file.read(MAX_BYTES + 1)
        except OSError as error:
            raise CommandError(f"{path} cannot be read: {error.strerror}.", returncode=1) from error
        asked = (content, path.name)
        chosen = {"column": options["column"], "unit": options["unit"]}
        try:
            if options["dry_run"]:
                reading, saved = check_file(depot, options["kind"], *asked, **chosen), None
                if reading.errors:
                    raise PriceFileError(reading.errors)
            else:
                reading, saved = import_file(depot, None, options["kind"], *asked, clock.now(), **chosen)
        except PriceFileError as error:
            raise CommandError(str(error), returncode=1) from error
        answer = {
            "intervals": len(reading.points),
            "first": reading.points[0].start_at.isoformat() if reading.points else None,
            "last_end": reading.points[-1].end_at.isoformat() if reading.points else None,
            "new": saved.new if saved else None,
            "changed": saved.changed if saved else None,
            "unchanged": saved.unchanged if saved else None,
            "facts": dict(reading.facts),
            "warnings": [warning.as_json() for warning in reading.warnings],
        }
        if options["json"]:
            self.stdout.write(json.dumps(answer, indent=1))
            return
        for warning in reading.warnings:
            self.stderr.write(f"Warning: {warning.sentence}")
        done = f"{saved.new:,} new, {saved.changed:,} changed" if saved else "nothing was saved (dry run)"
        self.stdout.write(
            f"{len(reading.points):,} intervals from {answer['first']} to {answer['last_end']}: {done}."
        )
