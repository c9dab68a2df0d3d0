"""Run simulated chargers and vehicles for a depot, against the real gateway."""

from __future__ import annotations

import asyncio
import json
import signal
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils.module_loading import import_string

from charging.ocpp.simulator.faults import KINDS, faults_of
from charging.ocpp.simulator.world import Truth, World, load
from depot import clock
from depot.models import Depot

PASSWORDS = "charger_passwords.json"
METER_S = 10.0
WALL_S = 2.0


class Command(BaseCommand):
    help = "Simulate the chargers, vehicles and site meters of a depot; they speak real OCPP to the gateway."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("depot", help="The depot's short name.")
        parser.add_argument(
            "--meter-seconds",
            type=float,
            help="Seconds of the depot's time between meter values "
            f"(default {METER_S:g}; on a fast clock so that {WALL_S:g} s pass on the wall).",
        )
        parser.add_argument("--ocpp-version", choices=["1.6", "2.0.1", "2.1"], default="2.1")
        parser.add_argument(
            "--url", default=f"ws://{settings.GATEWAY_HOST}:{settings.GATEWAY_PORT}/ocpp", help="The gateway."
        )
        parser.add_argument(
            "--truth",
            metavar="MODULE.FUNCTION",
            help="A function that takes the depot and returns the Truth about sun, building and trips "
            "(default: no sun, 40 kW of building, trips as estimated).",
        )

        parser.add_argument(
            "--fault",
            action="append",
            choices=sorted(KINDS),
            default=[],
            help="What every station does wrong; may be repeated (default: nothing).",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        depot = Depot.objects.filter(slug=options["depot"]).first()
        if depot is None:
            known = ", ".join(Depot.objects.values_list("slug", flat=True)) or "none yet"
            raise CommandError(f"There is no depot {options['depot']!r}. Known: {known}.")
        passwords = read_passwords(settings.VAR_DIR / PASSWORDS)
        truth = import_string(options["truth"])(depot) if options["truth"] else Truth()
        try:
            faults = faults_of(options["fault"])
            world = load(depot, options["url"], options["ocpp_version"], passwords, truth, faults)
        except ValueError as error:
            raise CommandError(str(error)) from error
        meter_seconds = options["meter_seconds"] or max(METER_S, WALL_S * clock.clock().speed)
        self.stdout.write(f"{len(world.bays)} simulated chargers of {depot}, OCPP {options['ocpp_version']}")
        asyncio.run(_run(world, meter_seconds))


def read_passwords(path: Path) -> dict[str, str]:
    """Return the chargers' passwords by identity from a file that only its owner may read."""
    try:
        mode = path.stat().st_mode
        found = json.loads(path.read_text())
    except FileNotFoundError as error:
        raise CommandError(
            f"There is no {path}. It holds the simulated chargers' passwords (identity: password, as JSON)."
        ) from error
    except ValueError as error:
        raise CommandError(f"{path} is not JSON. Write {{identity: password}}.") from error
    if mode & 0o077:
        raise CommandError(f"Others may read {path}. Make it private: chmod 600 {path}")
    if not isinstance(found, dict):
        raise CommandError(f"{path} must hold one JSON object: {{identity: password}}.")
    return found


async def _run(world: World, meter_seconds: float) -> None:
    work = asyncio.create_task(world.run(meter_seconds))
    loop = asyncio.get_running_loop()
    for name in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(name, work.cancel)
    await asyncio.wait([work])
    if not work.cancelled():
        work.result()
