"""Measure the product on this machine: manage.py benchmark planner|billing [--json]."""

import argparse
import json
from dataclasses import asdict
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from depot.project.benchmarks import billing, planner

SUBJECTS = ("planner", "billing")
NOT_YET = ("ocpp", "telemetry", "pages")


def subject(name: str) -> str:
    """Read what to measure; argparse turns the error into a usage message."""
    if name in NOT_YET:
        raise argparse.ArgumentTypeError(f"{name} is not measured yet; use {' or '.join(SUBJECTS)}")
    if name not in SUBJECTS:
        raise argparse.ArgumentTypeError(f"{name} is not known; use {' or '.join(SUBJECTS)}")
    return name


def fleet(text: str) -> int:
    """Read a number of vehicles; argparse turns the error into a usage message."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text} is no number of vehicles; give a whole number from 1")
    return int(text)


class Command(BaseCommand):
    help = (
        "Measure the planner or billing on this machine and print the figures. Exit code 0: done, 2: usage."
    )
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("subject", type=subject, metavar="|".join(SUBJECTS), help="what to measure")
        parser.add_argument(
            "--vehicles",
            type=fleet,
            action="append",
            metavar="N",
            help="planner: size of the fleet; may be repeated (default: 10, 36, 50)",
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
        if options["subject"] == "billing":
            for name in ("vehicles", "classes", "replan"):
                if options[name]:
                    raise CommandError(f"--{name} belongs to benchmark planner; leave it out.", returncode=2)
            self._billing(options["seed"], options["json"])
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
