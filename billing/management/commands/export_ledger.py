"""Write a month of a depot's ledger as a load that `manage.py bill` reads: a thin door."""

from __future__ import annotations

from argparse import ArgumentTypeError
from datetime import UTC, date, datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from billing.management.commands import depot_named, write
from billing.models import Scenario
from billing.selectors.export import load_csv


def month(text: str) -> date:
    """Return the first day of a month written YYYY-MM; a usage error otherwise."""
    try:
        return datetime.strptime(text, "%Y-%m").replace(tzinfo=UTC).date()
    except ValueError as error:
        raise ArgumentTypeError(f"'{text}' is not a month; write it like 2026-10") from error


class Command(BaseCommand):
    help = "Write a month of the ledger (CSV) as the LOAD of `manage.py bill`."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("depot", help="The depot's short name.")
        parser.add_argument("--month", type=month, required=True, help="Local calendar month, like 2026-10.")
        parser.add_argument(
            "--scenario",
            choices=Scenario.values,
            default=Scenario.ACTUAL,
            help="What was, or what unmanaged charging would have been.",
        )
        parser.add_argument("-o", "--output", help="File to write; default is standard output.")

    def handle(self, *args: Any, **options: Any) -> None:
        depot = depot_named(options["depot"])
        text = load_csv(depot, *depot.cycles.bounds(options["month"]), options["scenario"])
        if text is None:
            raise CommandError(f"The ledger of {depot} has no interval in {options['month']:%B %Y}.")
        write(self, text, options["output"])
