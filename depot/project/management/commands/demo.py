"""Make the demonstration depot with its computed history, then start everything."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandParser
from django.db import transaction

from charging.services.planning import plan_and_dispatch
from depot import clock
from depot.models import Depot
from depot.project.demo import history, site
from depot.timegrid import local_to_utc


class Command(BaseCommand):
    help = (
        "Make the demonstration depot (once), then start web, worker, beat, gateway and simulated chargers."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--speed", type=float, default=1.0, help="60 = a day passes in 24 minutes.")
        parser.add_argument("--days", type=int, default=60, help="Days of history to compute (default 60).")
        parser.add_argument("--no-run", action="store_true", help="Only make the depot and its history.")

    def handle(self, *args: Any, **options: Any) -> None:
        self.began = time.monotonic()
        call_command("migrate", verbosity=0)
        depot = Depot.objects.filter(slug=site.SLUG).first()
        if depot is None:
            self._make(options["days"])
        else:
            self._say(1.0, f"{depot} is there already; going on from its records")
        if not options["no_run"]:
            call_command("run", speed=options["speed"])

    def _make(self, days: int) -> None:
        now = clock.now()
        with transaction.atomic():
            first = (now - timedelta(days=days)).date()
            depot = site.make_site(first)
            self._say(0.0, f"{depot}: {depot.vehicles.count()} vehicles, {depot.chargers.count()} chargers")
            from_at = local_to_utc(depot.local(now).date() - timedelta(days=days), 0, depot.tz)
            history.compute_history(depot, from_at, now, self._say)
        site.make_log_in(depot, settings.VAR_DIR)
        site.charger_passwords(depot, settings.VAR_DIR)
        plan = plan_and_dispatch(depot, "First plan of the demonstration")
        self._say(1.0, f"Today is planned: {plan.get_status_display().lower()} in {plan.seconds:.1f} s")

    def _say(self, fraction: float, text: str) -> None:
        self.stdout.write(f"[{time.monotonic() - self.began:5.1f} s] {fraction:4.0%}  {text}")
        self.stdout.flush()
