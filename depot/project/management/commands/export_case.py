"""Write the planner's case of a depot, as `manage.py solve` reads it."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from charging.assemble import assemble
from depot import clock
from depot.models import Depot


class Command(BaseCommand):
    help = "Write the case of a depot as it is known at a time (default now), for `manage.py solve`."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("depot", help="The depot's short name.")
        parser.add_argument("--at", help="ISO 8601 with offset, like 2026-03-10T06:00-04:00.")
        parser.add_argument("-o", "--output", help="File to write; default is standard output.")

    def handle(self, *args: Any, **options: Any) -> None:
        depot = Depot.objects.filter(slug=options["depot"]).first()
        if depot is None:
            known = ", ".join(Depot.objects.values_list("slug", flat=True)) or "none yet"
            raise CommandError(f"There is no depot “{options['depot']}”. Known: {known}.")
        document = json.dumps(assemble(depot, _moment(options["at"])).case, indent=1)
        if options["output"]:
            Path(options["output"]).write_text(document + "\n")
        else:
            self.stdout.write(document)


def _moment(text: str | None) -> datetime:
    if text is None:
        return clock.now()
    try:
        at = datetime.fromisoformat(text)
    except ValueError as error:
        raise CommandError(
            f"--at {text}: write ISO 8601 with offset, like 2026-03-10T06:00-04:00."
        ) from error
    if at.tzinfo is None:
        raise CommandError(f"--at {text}: add the offset from UTC, like {text}-04:00.")
    return at
