"""Bill a load with a tariff, from files: a thin door to `billing.tariff.answer`."""

import json
import sys
from argparse import ArgumentTypeError
from datetime import date
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from django.core.management.base import BaseCommand, CommandParser

from billing.tariff.answer import WRONG_INPUT, Question, Source, bill_texts, table


def zone(name: str) -> ZoneInfo:
    """Return a time zone by its name; a usage error otherwise."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ArgumentTypeError(f"'{name}' is not a time zone; write one such as America/New_York") from error


def day(text: str) -> date:
    """Return a date written YYYY-MM-DD; a usage error otherwise."""
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise ArgumentTypeError(f"'{text}' is not a date; write it like 2026-10-31") from error


class Command(BaseCommand):
    """Print the bill of LOAD under TARIFF; exit code 0 = done, 1 = an input is wrong, 2 = usage."""

    help = "Bill a load (CSV) with a tariff (OpenEI URDB JSON, or the product's own format in JSON or YAML)."
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("tariff", type=Path, metavar="TARIFF.json")
        parser.add_argument("load", type=Path, metavar="LOAD.csv")
        zone_help = "Zone of local times, and of a tariff that names none."
        parser.add_argument("--timezone", type=zone, help=zone_help)
        parser.add_argument(
            "--then",
            type=Path,
            action="append",
            default=[],
            metavar="TARIFF",
            help="Another version of the tariff; each day is billed by the newest version valid on it.",
        )
        history_help = "Demand peaks from before the load: CSV with the columns month, charge, kw."
        parser.add_argument("--history", type=Path, metavar="PEAKS.csv", help=history_help)
        carried_help = "What the billing period before the load handed on: JSON, `carried` of its bill."
        parser.add_argument("--carried", type=Path, metavar="CARRIED.json", help=carried_help)
        cycle_help = (
            "First day of a billing cycle, once for each and one after the last; else calendar months."
        )
        parser.add_argument("--cycle-start", type=day, action="append", default=[], help=cycle_help)
        compare_help = "Bill the load with this tariff too, and list the totals."
        parser.add_argument(
            "--compare", type=Path, action="append", default=[], metavar="TARIFF", help=compare_help
        )
        parser.add_argument("--json", action="store_true", help="Print one JSON document.")

    def handle(self, *args: Any, **options: Any) -> None:
        paths = [options["tariff"], options["load"], *options["then"], *options["compare"]]
        paths += [path for path in (options["history"], options["carried"]) if path]
        read = {path: self._text(path) for path in paths}
        if None in read.values():
            sys.exit(WRONG_INPUT)
        source = {path: Source(path.name, text or "") for path, text in read.items()}
        answer = bill_texts(
            source[options["tariff"]].text,
            source[options["load"]].text,
            tariff_file=options["tariff"].name,
            load_file=options["load"].name,
            time_zone=options["timezone"],
            question=Question(
                tuple(source[path] for path in options["then"]),
                tuple(source[path] for path in options["compare"]),
                source.get(options["history"]),
                tuple(options["cycle_start"]),
                source.get(options["carried"]),
            ),
        )
        if answer.result is not None:
            self.stdout.write(json.dumps(answer.as_json(), indent=1) if options["json"] else table(answer))
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
