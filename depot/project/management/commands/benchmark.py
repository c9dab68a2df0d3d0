"""Measure the product on this machine: manage.py benchmark planner|billing|depots [--json] [--peer NAME]."""

import argparse
import json
import os
from dataclasses import asdict
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from depot.project.benchmarks import billing, depots, peers, planner

SUBJECTS = ("planner", "billing", "depots")
OWNERS = {
    "vehicles": ("planner", "depots"),
    "peer": ("planner",),
    "classes": ("planner",),
    "replan": ("planner",),
    "depots": ("depots",),
    "workers": ("depots",),
}
NOT_YET = ("ocpp", "telemetry", "pages")


def subject(name: str) -> str:
    """Read what to measure; argparse turns the error into a usage message."""
    if name in NOT_YET:
        raise argparse.ArgumentTypeError(f"{name} is not measured yet; use {_or(SUBJECTS)}")
    if name not in SUBJECTS:
        raise argparse.ArgumentTypeError(f"{name} is not known; use {_or(SUBJECTS)}")
    return name


def _or(names: tuple[str, ...]) -> str:
    return f"{', '.join(names[:-1])} or {names[-1]}"


def fleet(text: str) -> int:
    """Read a number of vehicles; argparse turns the error into a usage message."""
    return _count(text, "vehicles")


def depot_count(text: str) -> int:
    """Read a number of depots; argparse turns the error into a usage message."""
    return _count(text, "depots")


def worker_count(text: str) -> int:
    """Read a number of workers; argparse turns the error into a usage message."""
    return _count(text, "workers")


def _count(text: str, what: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text} is no number of {what}; give a whole number from 1")
    return int(text)


class Command(BaseCommand):
    help = (
        "Measure the planner, billing, or many depots planned by real workers on this machine and print the "
        "figures. Exit code 0: done, 1: the measurement failed, 2: usage."
    )
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("subject", type=subject, metavar="|".join(SUBJECTS), help="what to measure")
        parser.add_argument(
            "--vehicles",
            type=fleet,
            action="append",
            metavar="N",
            help="planner: size of the fleet; may be repeated (default: 10, 36, 50; with --peer 10, 50); "
            "depots: vehicles each (50)",
        )
        parser.add_argument(
            "--peer",
            choices=peers.PEERS,
            help="planner: solve depots of like buses with this planner too and print cost and time ratio",
        )
        parser.add_argument(
            "--depots", type=depot_count, metavar="N", help=f"depots: how many (default: {depots.DEPOTS})"
        )
        parser.add_argument(
            "--workers",
            type=worker_count,
            metavar="N",
            help=f"depots: Celery workers of one process each (default: {depots.WORKERS})",
        )
        parser.add_argument(
            "--classes",
            type=fleet,
            metavar="K",
            help="planner: as many kinds of like vehicles (--vehicles is then 5000 unless given)",
        )
        parser.add_argument(
            "--replan",
            action="store_true",
            help="planner: plan again one step later too, cold and from the plan before",
        )
        parser.add_argument("--seed", type=int, default=1, help="seed of the random inputs (default: 1)")
        parser.add_argument("--json", action="store_true", help="print one JSON document")

    def handle(self, *args: Any, **options: Any) -> None:
        subject = options["subject"]
        for name, owners in OWNERS.items():
            if options[name] and subject not in owners:
                raise CommandError(
                    f"--{name} belongs to benchmark {' or '.join(owners)}; leave it out.", returncode=2
                )
        if subject == "depots":
            self._depots(options)
        elif subject == "billing":
            self._billing(options["seed"], options["json"])
        elif options["peer"]:
            self._peer(options["vehicles"] or list(peers.VEHICLES), options["json"])
        else:
            self._planner(options)

    def _planner(self, options: dict[str, Any]) -> None:
        seed, classes, as_json = options["seed"], options["classes"], options["json"]
        vehicles = options["vehicles"] or list(
            planner.VEHICLES if classes is None else planner.CLASS_VEHICLES
        )
        if classes is not None and min(vehicles) < classes:
            raise CommandError(f"{classes} classes need {classes} vehicles; raise --vehicles.", returncode=2)
        if not as_json:
            self.stdout.write(
                "vehicles steps  build s  solve s  total s  status       gap  sound  plain PuLP + HiGHS s  times faster"
                + ("  later cold s  re-planned s  times faster" if options["replan"] else "")
            )
        figures = []
        for figure in planner.measure(vehicles, seed, classes, options["replan"]):
            figures.append(asdict(figure))
            if not as_json:
                self.stdout.write(_line(figure))
        if as_json:
            self.stdout.write(json.dumps({"benchmark": "planner", "seed": seed, "cases": figures}))

    def _peer(self, vehicles: list[int], as_json: bool) -> None:
        if not peers.installed():
            raise CommandError(peers.HOW_TO_INSTALL)
        if not as_json:
            self.stdout.write(
                "vehicles steps       cost  peer's cost  cost ratio       gap  sound  total s  peer s  "
                "times faster  peer says"
            )
        figures = []
        for figure in peers.measure(vehicles):
            figures.append(asdict(figure))
            if not as_json:
                self.stdout.write(_peer_line(figure))
        if as_json:
            self.stdout.write(json.dumps({"benchmark": "planner", "peer": "flexmeasures", "cases": figures}))

    def _depots(self, options: dict[str, Any]) -> None:
        if len(options["vehicles"] or []) > 1:
            raise CommandError("benchmark depots takes one --vehicles.", returncode=2)
        size = depots.Size(
            depots=options["depots"] or depots.DEPOTS,
            vehicles=(options["vehicles"] or [depots.VEHICLES])[0],
            workers=options["workers"] or depots.WORKERS,
            seed=options["seed"],
        )
        try:
            found = depots.measure(size, os.environ.get("DATABASE_URL", ""), settings.REDIS_URL)
        except depots.BenchmarkError as error:
            raise CommandError(str(error)) from error
        if options["json"]:
            self.stdout.write(json.dumps({"benchmark": "depots", **found}))
            return
        self.stdout.write(
            f"{found['plans']} depots, {found['planned_vehicles']} vehicles, {found['workers']} workers, "
            f"{found['database']}, broker {found['broker']}: {found['seconds']} s, "
            f"{found['plans_per_minute']} plans a minute, {found['unsound']} unsound, {found['status']}"
        )

    def _billing(self, seed: int, as_json: bool) -> None:
        figure = billing.measure(seed)
        if as_json:
            self.stdout.write(json.dumps({"benchmark": "billing", "seed": seed, **asdict(figure)}))
            return
        self.stdout.write(f"tariff read in {figure.read_seconds:.4f} s")
        self.stdout.write(
            f"{figure.steps} quarter hours billed in {figure.bill_seconds:.3f} s: "
            f"{figure.periods} bills, {figure.total}"
        )
        self.stdout.write(
            f"price curve of {figure.curve_steps} quarter hours in {figure.curve_seconds:.4f} s"
        )


def _line(figure: planner.PlannerFigure) -> str:
    beside = (
        "          not run             -"
        if figure.plain_seconds is None or figure.times_faster is None
        else f"{figure.plain_seconds:20.2f}  {figure.times_faster:12.1f}"
    )
    if figure.replan_times_faster is not None:
        beside += f"  {figure.later_seconds:12.3f}  {figure.replan_seconds:12.3f}  {figure.replan_times_faster:12.1f}"
    sound = "yes" if figure.sound else "NO"
    return (
        f"{figure.vehicles:8d} {figure.steps:5d} {figure.build_seconds:8.3f} {figure.solve_seconds:8.3f} "
        f"{figure.total_seconds:8.3f}  {figure.status:8s} {figure.gap:7.1e}  {sound:5s}  {beside}"
    )


def _peer_line(figure: peers.PeerFigure) -> str:
    sound = "yes" if figure.sound else "NO"
    return (
        f"{figure.vehicles:8d} {figure.steps:5d} {figure.cost:10.3f} {figure.peer_cost:12.3f} "
        f"{figure.cost_ratio:11.6f} {figure.gap:9.1e}  {sound:5s} {figure.seconds:8.3f} "
        f"{figure.peer_seconds:7.2f} {figure.times_faster:13.1f}  {figure.peer_status}"
    )
