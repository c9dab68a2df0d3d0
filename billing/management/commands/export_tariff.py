"""Write the tariff of a depot as the TARIFF of `manage.py bill`: a thin door."""

from __future__ import annotations

import json
from argparse import ArgumentTypeError
from datetime import date
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from billing.management.commands import depot_named, write
from billing.selectors.tariffs import tariff_on
from depot import clock


def day(text: str) -> date:
    """Return a date written YYYY-MM-DD; a usage error otherwise."""
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise ArgumentTypeError(f"'{text}' is not a date; write it like 2026-10-31") from error


class Command(BaseCommand):
    help = "Write the tariff version that is valid on a day (default today), as it was entered."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("depot", help="The depot's short name.")
        parser.add_argument("--on", type=day, help="Local day, like 2026-10-31.")
        parser.add_argument("-o", "--output", help="File to write; default is standard output.")

    def handle(self, *args: Any, **options: Any) -> None:
        depot = depot_named(options["depot"])
        on = options["on"] or depot.local(clock.now()).date()
        row = tariff_on(depot, on)
        if row is None:
            raise CommandError(f"{depot} has no tariff that is valid on {on}. Enter one in the set-up.")
        write(self, json.dumps(row.definition, indent=1) + "\n", options["output"])
