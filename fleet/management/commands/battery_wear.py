"""Age a battery through a use profile from the command line (INTERFACES section 4)."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from fleet.battery.cells import CHEMISTRIES, cell_models
from fleet.battery.study import Study, describe, read_profile, run_study
from fleet.battery.wear import DEFAULT_ALLOWED_LOSS, PackValue


class Command(BaseCommand):
    """Print what years of a use do to a battery, and what a kWh through the charger costs in wear."""

    help = "Age a battery through a profile (CSV: hours, soc[, temperature_c]) and price its wear."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the profile, the cell, the years and the pack."""
        parser.add_argument(
            "profile", type=Path, help="CSV file with the columns hours, soc[, temperature_c]"
        )
        parser.add_argument("--cell", required=True, help=f"one of {', '.join(CHEMISTRIES)}")
        parser.add_argument("--years", type=int, default=1, help="years of 365 days (default 1)")
        parser.add_argument("--temperature", type=float, default=25.0, help="°C where the file has none")
        parser.add_argument(
            "--repeat", action="store_true", help="repeat the profile until the years are full"
        )
        parser.add_argument(
            "--fixed-soc",
            action="store_true",
            help="keep repeated swings as they are while the battery fades",
        )
        parser.add_argument("--pack-price", type=float, default=150.0, help="price per kWh (default 150)")
        parser.add_argument("--pack-kwh", type=float, default=100.0, help="usable kWh (default 100)")
        parser.add_argument("--allowed-loss", type=float, default=DEFAULT_ALLOWED_LOSS, help="default 0.30")
        parser.add_argument("--json", action="store_true", help="print one JSON document")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Print the answer, or end with 1 and a sentence for each problem of the input."""
        path: Path = options["profile"]
        try:
            cell_models(options["cell"])
            text = path.read_text(encoding="utf-8")
            answer = run_study(
                Study(
                    profile=read_profile(text, path.name, options["temperature"]),
                    chemistry=options["cell"],
                    years=options["years"],
                    repeat=options["repeat"],
                    pack=PackValue(options["pack_kwh"], options["pack_price"], options["allowed_loss"]),
                    fixed_soc=options["fixed_soc"],
                )
            )
        except OSError as error:
            raise CommandError(f"{path}: cannot be read ({error.strerror}).", returncode=1) from error
        except UnicodeDecodeError as error:
            raise CommandError(
                f"{path}: is not UTF-8 text; save it as CSV in UTF-8.", returncode=1
            ) from error
        except ValueError as error:
            raise CommandError(str(error), returncode=1) from error
        self.stdout.write(json.dumps(answer, indent=2) if options["json"] else describe(answer))
