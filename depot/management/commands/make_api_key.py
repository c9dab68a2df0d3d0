"""Make an API key of a depot: a thin door to `depot.access.keys`."""

from argparse import ArgumentTypeError
from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from depot import clock
from depot.access.keys import LIFETIME, LONGEST_LIFETIME, make_key
from depot.models import Depot, Scope


def days(raw: str) -> int:
    """Return a number of days from 1 to 3,650; a usage error otherwise."""
    if not raw.isdecimal() or not 1 <= int(raw) < LONGEST_LIFETIME.days:
        raise ArgumentTypeError(f"'{raw}' is not a number of days from 1 to 3650")
    return int(raw)


class Command(BaseCommand):
    """Print a new API key on standard output; exit code 0 = done, 1 = no such depot, 2 = usage."""

    help = "Make an API key. It is printed once and cannot be read again."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("depot", metavar="DEPOT", help="Short name of the depot.")
        parser.add_argument("name", metavar="NAME", help="What the key is for, like “Telematics”.")
        parser.add_argument(
            "--scope",
            action="append",
            choices=Scope.values,
            required=True,
            help="May be given several times.",
        )
        parser.add_argument("--days", type=days, default=LIFETIME.days, help="Days until it expires.")

    def handle(self, *args: Any, **options: Any) -> None:
        depot = Depot.objects.filter(slug=options["depot"]).first()
        if depot is None:
            known = ", ".join(Depot.objects.values_list("slug", flat=True)) or "none"
            raise CommandError(f"There is no depot “{options['depot']}”. Known: {known}.")
        expires_at = clock.wall_now() + timedelta(days=options["days"])
        _, raw = make_key(depot, options["name"], options["scope"], expires_at=expires_at)
        self.stderr.write("Keep this key: it cannot be shown again.")
        self.stdout.write(raw)
