"""Start web, worker, beat and gateway together on the existing database."""

from __future__ import annotations

import sys
import threading
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connection

from depot.models import Depot, MeterSource
from depot.project import processes, start
from depot.project.demo.site import demo_log_in


class Command(BaseCommand):
    help = "Start web, worker, beat and gateway together (the commands of the Procfile)."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--speed", type=float, default=1.0, help="How much faster than real time (default 1)."
        )

    def handle(self, *args: Any, **options: Any) -> None:
        call_command("migrate", verbosity=0)
        host = settings.WEB_HOST
        port = start.free_port(host, settings.WEB_PORT)
        gateway_port = start.free_port(settings.GATEWAY_HOST, settings.GATEWAY_PORT)
        try:
            clock = start.clock_settings(options["speed"])
        except ValueError as error:
            raise CommandError(str(error)) from error
        env = clock | {
            "DEPOT_WEB_HOST": host,
            "DEPOT_WEB_PORT": str(port),
            "DEPOT_GATEWAY_PORT": str(gateway_port),
        }
        commands = processes.procfile(settings.BASE_DIR)
        for depot in Depot.objects.filter(demo=True):
            commands["chargers"] = (
                f"python manage.py simulate_chargers {depot.slug} --truth depot.project.demo.truth.live"
            )
        if any(source.fetched for source in MeterSource.objects.all()):
            commands["meters"] = "python manage.py read_meters"
        self.stdout.write(f"Starting {', '.join(commands)} …")
        log_ins = [demo_log_in(settings.VAR_DIR)] if Depot.objects.filter(demo=True).exists() else []
        threading.Thread(target=self._announce, args=(f"http://{host}:{port}/", log_ins), daemon=True).start()
        sys.exit(processes.run(commands, env, settings.BASE_DIR))

    def _announce(self, address: str, log_ins: list[tuple[str, str]]) -> None:
        if not start.wait_until_ready(f"{address}health/ready", seconds=60):
            self.stderr.write("The web server did not answer within 60 s; see its messages above.")
            return
        start.wait_for_chargers(
            seconds=15
        )  # their notices would push the address and the log-in out of sight
        connection.close()
        lines = ["", "=" * 64, f"  Ready: {address}"]
        lines += [f"  Log in as {name} with the password {password}" for name, password in log_ins]
        lines += ["  Ctrl-C stops everything; the same command goes on from here.", "=" * 64, ""]
        self.stdout.write("\n".join(lines))
