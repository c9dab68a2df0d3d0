"""Measure the product on this machine: manage.py benchmark SUBJECT [--json] and what belongs to the subject."""

import argparse
import json
import os
from collections.abc import Callable
from dataclasses import asdict, fields
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from depot.project.benchmarks import (
    billing,
    closed_loop,
    depots,
    imports,
    kills,
    ocpp,
    outages,
    pages,
    peers,
    planner,
    telemetry,
)
from depot.project.benchmarks.scratch import BenchmarkError

SUBJECTS = (
    "planner", "billing", "depots", "telemetry", "ocpp", "outages", "kills", "imports", "closed-loop", "pages",
)  # fmt: skip
OWNERS = {
    "vehicles": ("planner", "depots", "outages", "closed-loop", "pages"),
    "peer": ("planner",),
    "classes": ("planner",),
    "replan": ("planner",),
    "depots": ("depots", "outages"),
    "workers": ("depots",),
    "records": ("telemetry",),
    "kills": ("telemetry",),
    "times": ("kills",),
    "offset": ("kills",),
    "chargers": ("ocpp", "kills"),
    "seconds": ("ocpp",),
    "weeks": ("closed-loop",),
    "days": ("closed-loop", "pages"),
    "without": ("closed-loop",),
}


def subject(name: str) -> str:
    """Read what to measure; argparse turns the error into a usage message."""
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


def record_count(text: str) -> int:
    """Read a number of records; argparse turns the error into a usage message."""
    return _count(text, "records")


def kill_count(text: str) -> int:
    """Read how often to kill; argparse turns the error into a usage message."""
    return _count(text, "kills")


def first_kill(text: str) -> int:
    """Read the number of a kill; argparse turns the error into a usage message."""
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text} is no number of a kill; give a whole number from 0")
    return int(text)


def week_count(text: str) -> int:
    """Read a number of weeks; argparse turns the error into a usage message."""
    return _count(text, "weeks")


def day_count(text: str) -> int:
    """Read a number of days; argparse turns the error into a usage message."""
    return _count(text, "days")


def charger_count(text: str) -> int:
    """Read a number of chargers; argparse turns the error into a usage message."""
    return _count(text, "chargers")


def second_count(text: str) -> int:
    """Read a number of seconds; argparse turns the error into a usage message."""
    return _count(text, "seconds")


def _count(text: str, what: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text} is no number of {what}; give a whole number from 1")
    return int(text)


class Command(BaseCommand):
    help = (
        "Measure the planner, billing, many depots planned by real workers, the OCPP gateway under the load of many "
        "chargers, what random outages do to a simulated depot, what is lost or doubled when gateway, worker, Redis "
        "and database are killed at random, uploads of big schedules, weeks of planning again and "
        "again beside perfect foresight, or every page of a large depot, and print the figures. "
        "Exit code 0: done, 1: the measurement failed, 2: usage."
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
            f"depots: vehicles each (50); outages: vehicles each ({outages.BUSES}); closed-loop: vehicles each "
            f"(default: {closed_loop.VEHICLES[0]} to {closed_loop.VEHICLES[1]}); pages: ({pages.VEHICLES})",
        )
        parser.add_argument(
            "--peer",
            choices=peers.PEERS,
            help="planner: solve depots of like buses with this planner too and print cost and time ratio",
        )
        parser.add_argument(
            "--depots",
            type=depot_count,
            metavar="N",
            help=f"depots: how many (default: {depots.DEPOTS}); outages: how many ({outages.RUNS})",
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
        parser.add_argument(
            "--records",
            type=record_count,
            metavar="N",
            help=f"telemetry: records to send (default: {telemetry.RECORDS})",
        )
        parser.add_argument(
            "--kills",
            type=kill_count,
            metavar="N",
            help="telemetry: kill the web server as often (default: 0)",
        )
        parser.add_argument(
            "--times",
            type=kill_count,
            metavar="N",
            help="kills: how often gateway, worker, Redis or database is killed at random "
            f"(default: {kills.TIMES}); the servers are its own",
        )
        parser.add_argument(
            "--offset",
            type=first_kill,
            metavar="N",
            help="kills: leave out the seed's first N, so that a long run can be made in parts (default: 0)",
        )
        parser.add_argument(
            "--chargers",
            type=charger_count,
            metavar="N",
            help=f"ocpp: how many (default: {ocpp.CHARGERS}); kills: how many ({kills.CHARGERS})",
        )
        parser.add_argument(
            "--seconds",
            type=second_count,
            metavar="N",
            help=f"ocpp: how long each reports every {ocpp.EVERY_S:g} s (default: {ocpp.SECONDS})",
        )
        parser.add_argument(
            "--weeks",
            type=week_count,
            metavar="N",
            help=f"closed-loop: random weeks of random depots (default: {closed_loop.WEEKS})",
        )
        parser.add_argument(
            "--days",
            type=day_count,
            metavar="N",
            help=f"closed-loop: days of each week (default: {closed_loop.DAYS}); "
            f"pages: how many days lie behind the depot (default: {pages.DAYS})",
        )
        parser.add_argument(
            "--without",
            choices=[field.name for field in fields(closed_loop.Settings)],
            action="append",
            help="closed-loop: plan without this, to see what it is worth; may be repeated",
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
        runs: dict[str, Callable[[dict[str, Any]], None]] = {
            "planner": self._planner,
            "billing": self._billing,
            "depots": self._depots,
            "telemetry": self._telemetry,
            "ocpp": self._ocpp,
            "outages": self._outages,
            "kills": self._kills,
            "imports": self._imports,
            "closed-loop": self._closed_loop,
            "pages": self._pages,
        }
        runs[subject](options)

    def _planner(self, options: dict[str, Any]) -> None:
        if options["peer"]:
            self._peer(options["vehicles"] or list(peers.VEHICLES), options["json"])
            return
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
        except BenchmarkError as error:
            raise CommandError(str(error)) from error
        if options["json"]:
            self.stdout.write(json.dumps({"benchmark": "depots", **found}))
            return
        self.stdout.write(
            f"{found['plans']} depots, {found['planned_vehicles']} vehicles, {found['workers']} workers, "
            f"{found['database']}, broker {found['broker']}: {found['seconds']} s, "
            f"{found['plans_per_minute']} plans a minute, {found['unsound']} unsound, {found['status']}"
        )

    def _telemetry(self, options: dict[str, Any]) -> None:
        size = telemetry.Size(
            records=options["records"] or telemetry.RECORDS, kills=options["kills"] or 0, seed=options["seed"]
        )
        try:
            found = telemetry.measure(size, os.environ.get("DATABASE_URL", ""))
        except BenchmarkError as error:
            raise CommandError(str(error)) from error
        if options["json"]:
            self.stdout.write(json.dumps({"benchmark": "telemetry", **found}))
            return
        self.stdout.write(
            f"{found['records']} records in batches of {found['batch']}, {found['clients']} clients, "
            f"{found['servers']} server processes, {found['database']}, killed {found['kills']} times: "
            f"{found['records_per_second']} records a second, p99 {found['request_seconds']['p99']} s; "
            f"{found['stored']} stored, {found['lost']} lost, {found['doubled']} doubled, "
            f"{found['refused_requests']} requests refused"
        )

    def _ocpp(self, options: dict[str, Any]) -> None:
        load = ocpp.Load(
            chargers=options["chargers"] or ocpp.CHARGERS, seconds=options["seconds"] or ocpp.SECONDS
        )
        try:
            found = ocpp.measure(load, os.environ.get("DATABASE_URL", ""), settings.REDIS_URL)
        except BenchmarkError as error:
            raise CommandError(str(error)) from error
        if options["json"]:
            self.stdout.write(json.dumps({"benchmark": "ocpp", **found}))
            return
        for name, value in found.items():
            self.stdout.write(f"{name.replace('_', ' '):28s} {value}")

    def _outages(self, options: dict[str, Any]) -> None:
        runs, buses = options["depots"] or outages.RUNS, (options["vehicles"] or [outages.BUSES])[0]
        figures = []
        if not options["json"]:
            self.stdout.write(
                "seed  outage             s beyond a limit  worst kW  departures met  | unguarded: s  worst kW  met  | "
                "no outage: met"
            )
        for figure in outages.measure(runs, buses, options["seed"]):
            figures.append(figure)
            if not options["json"]:
                self.stdout.write(_outage_line(figure))
        if options["json"]:
            rows = [asdict(figure) for figure in figures]
            self.stdout.write(json.dumps({"benchmark": "outages", "vehicles": buses, "depots": rows}))
            return
        guarded, undisturbed = (
            [getattr(one, name) for one in figures] for name in ("with_outages", "undisturbed")
        )
        beyond, met, feasible = (
            sum(one.beyond_s for one in guarded),
            sum(one.met for one in guarded),
            sum(one.met for one in undisturbed),
        )
        self.stdout.write(
            f"{len(figures)} depots: {beyond} s beyond a limit, {sum(one.unguarded.beyond_s for one in figures)} s "
            f"without the safeguards; {met} of {feasible} departures that are met without outages"
        )

    def _kills(self, options: dict[str, Any]) -> None:
        size = kills.Size(
            times=options["times"] or kills.TIMES,
            chargers=options["chargers"] or kills.CHARGERS,
            seed=options["seed"],
            offset=options["offset"] or 0,
        )
        try:
            found = kills.measure(size)
        except BenchmarkError as error:
            raise CommandError(str(error)) from error
        if options["json"]:
            self.stdout.write(json.dumps({"benchmark": "kills", **found}))
            return
        for name, value in found.items():
            words = (
                ", ".join(f"{key} {part}" for key, part in value.items())
                if isinstance(value, dict)
                else value
            )
            self.stdout.write(f"{name.replace('_', ' '):26s} {words}")

    def _closed_loop(self, options: dict[str, Any]) -> None:
        if len(options["vehicles"] or []) > 1:
            raise CommandError("benchmark closed-loop takes one --vehicles.", returncode=2)
        vehicles = (options["vehicles"][0],) * 2 if options["vehicles"] else closed_loop.VEHICLES
        weeks, days = options["weeks"] or closed_loop.WEEKS, options["days"] or closed_loop.DAYS
        parts = closed_loop.Settings(**dict.fromkeys(options["without"] or (), False))
        if not options["json"]:
            self.stdout.write(
                "week       vehicles  departures met  of feasible       cost  foresight  ratio  plans  s a plan  limits"
            )
        figures = []
        for figure in closed_loop.measure(weeks, options["seed"], parts, days, vehicles):
            figures.append(figure)
            if not options["json"]:
                self.stdout.write(_week_line(figure))
        total = closed_loop.total_of(figures)
        if options["json"]:
            rows = [asdict(figure) for figure in figures]
            self.stdout.write(json.dumps({"benchmark": "closed-loop", **asdict(total), "cases": rows}))
            return
        self.stdout.write(
            f"{total.weeks} weeks: {total.met} of {total.feasible} departures that perfect foresight meets; cost "
            f"{total.cost_ratio:.3f} times that of perfect foresight, {total.worst_ratio:.3f} in the worst week"
        )

    def _imports(self, options: dict[str, Any]) -> None:
        as_json = options["json"]
        if not as_json:
            self.stdout.write("file               MB  blocks  errors  seconds  CPU s  MB before  MB at most")
        figures = []
        for figure in imports.measure():
            figures.append(asdict(figure))
            if not as_json:
                self.stdout.write(
                    f"{figure.name:15s} {figure.size_mb:5.1f} {figure.blocks:7d} {figure.errors:7d} "
                    f"{figure.seconds:8.2f} {figure.cpu_seconds:6.2f} {figure.base_mb:10.0f} {figure.peak_mb:11.0f}"
                )
        if as_json:
            self.stdout.write(json.dumps({"benchmark": "imports", "files": figures}))

    def _pages(self, options: dict[str, Any]) -> None:
        size = pages.Size(
            vehicles=(options["vehicles"] or [pages.VEHICLES])[0],
            days=options["days"] or pages.DAYS,
            requests=pages.REQUESTS,
            seed=options["seed"],
        )
        try:
            found = pages.measure(size)
        except BenchmarkError as error:
            raise CommandError(str(error)) from error
        if options["json"]:
            self.stdout.write(json.dumps({"benchmark": "pages", **found}))
            return
        self.stdout.write(
            "page                       first ms  median ms   p95 ms  CPU p95 ms  queries       kB  first load kB"
        )
        for name, figure in found["pages"].items():
            self.stdout.write(_page_line(name, figure))
        for name, seconds in found["background_seconds"].items():
            if seconds is not None:
                self.stdout.write(f"{name}: worked out in the background in {seconds} s")
        self.stdout.write(pages.weights(found["pages"]))
        self.stdout.write(
            f"{size.vehicles} vehicles, {size.days} days: {pages.verdict(found['pages'])} "
            f"(made in {found['make_seconds']} s)"
        )

    def _billing(self, options: dict[str, Any]) -> None:
        seed, as_json = options["seed"], options["json"]
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
        self.stdout.write(
            f"a battery aged over {figure.steps} quarter hours in {figure.ageing_seconds:.3f} s"
        )
        beside = figure.beside
        if beside is None:
            self.stdout.write(
                "NREL-PySAM, the engine to compare with, is not installed: pip install NREL-PySAM"
            )
            return
        self.stdout.write(
            f"{beside.engine} bills a year in {beside.seconds:.3f} s ({beside.total:,.2f}), this product in "
            f"{beside.our_seconds:.3f} s ({beside.our_total:,.2f}): {beside.times_faster:.1f} times faster"
        )


def _page_line(name: str, figure: dict[str, Any]) -> str:
    first = f"{figure['first_load_bytes'] / 1000:14.1f}" if "first_load_bytes" in figure else ""
    return (
        f"{name:25s} {figure['first_ms']:9.1f} {figure['median_ms']:10.1f} {figure['p95_ms']:8.1f} "
        f"{figure['cpu_p95_ms']:11.1f} {figure['queries']:8d} "
        f"{figure['bytes'] / 1000:8.1f} {first}"
    )


def _outage_line(figure: outages.OutageFigure) -> str:
    own, bare = figure.with_outages, figure.unguarded
    return (
        f"{figure.seed:4d}  {figure.outage:17s} {own.beyond_s:17d} {own.worst_kw:9.1f} "
        f"{own.met:8d} of {own.departures:3d}  | "
        f"{bare.beyond_s:12d} {bare.worst_kw:9.1f} {bare.met:4d}  | {figure.undisturbed.met:14d}"
    )


def _week_line(figure: closed_loop.LoopFigure) -> str:
    limits = "held" if not figure.broken else f"broken {len(figure.broken)} times"
    return (
        f"{figure.week:10s} {figure.vehicles:8d} {figure.met:15d} {figure.foresight_met:12d} {figure.cost:10.2f} "
        f"{figure.foresight_cost:10.2f} {figure.cost_ratio:6.3f} {figure.plans:6d} {figure.plan_seconds:9.3f}  {limits}"
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
