"""Bill a load with a tariff, from two files: a thin door to `billing.tariff.answer`."""

import json
import sys
from argparse import ArgumentTypeError
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from django.core.management.base import BaseCommand, CommandParser

from billing.tariff.answer import WRONG_INPUT, bill_texts, table


def zone(name: str) -> ZoneInfo:
    """Return a time zone by its name; a usage error otherwise."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ArgumentTypeError(f"'{name}' is not a time zone; write one such as America/New_York") from error


class Command(BaseCommand):
    """Print the bill of LOAD under TARIFF; exit code 0 = done, 1 = an input is wrong, 2 = usage."""

    help = "Bill a load (CSV) with a tariff (OpenEI URDB JSON or the product's own format)."
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("tariff", type=Path, metavar="TARIFF.json")
        parser.add_argument("load", type=Path, metavar="LOAD.csv")
        parser.add_argument(
            "--timezone", type=zone, help="Zone of local times, and of a tariff that names none."
        )
        parser.add_argument("--json", action="store_true", help="Print one JSON document.")

    def handle(self, *args: Any, **options: Any) -> None:
        tariff_text, load_text = self._text(options["tariff"]), self._text(options["load"])
        if tariff_text is None or load_text is None:
            sys.exit(WRONG_INPUT)
        answer = bill_texts(
            tariff_text,
            load_text,
            tariff_file=options["tariff"].name,
            load_file=options["load"].name,
            time_zone=options["timezone"],
        )
        if answer.result is not None:
            result = answer.result
            self.stdout.write(json.dumps(result.as_json(), indent=1) if options["json"] else table(result))
        for sentence in answer.errors:
            self.stderr.write(sentence)
        if answer.exit_code:
            sys.exit(answer.exit_code)

    def _text(self, path: Path) -> str | None:
        try:
            return path.read_text(encoding="utf-8-sig")
        except (OSError, UnicodeDecodeError) as error:
            self.stderr.write(f"{path}: it cannot be read ({error}). Give a readable text file in UTF-8.")
            return None
