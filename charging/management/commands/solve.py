"""Plan a case file without the database: manage.py solve CASE.json [-o PLAN.json] [--time-limit SECONDS]."""

import argparse
import math
import sys
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from charging.planner.case import CaseError
from charging.planner.door import solve_text
from charging.planner.solve import TIME_LIMIT_SECONDS


def seconds(text: str) -> float:
    """Read a time limit; argparse turns the error into a usage message."""
    value = float(text)
    if not (math.isfinite(value) and value > 0.0):
        raise argparse.ArgumentTypeError(f"{text} is not a time limit; give seconds above 0")
    return value


class Command(BaseCommand):
    help = "Plan a depot case file (JSON) and print the plan as JSON. Exit code 0: done, 1: wrong input, 2: usage."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("case", metavar="CASE.json", help="the case to plan")
        parser.add_argument(
            "-o", "--output", metavar="PLAN.json", help="write the plan here instead of printing it"
        )
        parser.add_argument(
            "--time-limit",
            type=seconds,
            default=TIME_LIMIT_SECONDS,
            metavar="SECONDS",
            help="use the best verified plan found by then (default: %(default)s)",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        source = options["case"]
        try:
            text = Path(source).read_text(encoding="utf-8")
            document = solve_text(text, source, options["time_limit"], self.stderr.write)
            if options["output"]:
                Path(options["output"]).write_text(document + "\n", encoding="utf-8")
            else:
                self.stdout.write(document)
        except CaseError as error:
            self._give_up(error.problems)
        except UnicodeDecodeError:
            self._give_up([f"{source}: is not text in UTF-8; save the case as UTF-8 JSON"])
        except OSError as error:
            self._give_up([f"{error.filename}: {error.strerror}; give a file that can be read and written"])

    def _give_up(self, problems: list[str]) -> None:
        for problem in problems:
            self.stderr.write(problem)
        sys.exit(1)
