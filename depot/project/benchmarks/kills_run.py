"""The kills themselves, in the environment that `kills.measure` prepares, and the count afterwards."""

from __future__ import annotations

import ctypes
import json
import os
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any
from urllib.parse import urlsplit

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "depot.project.settings")
django.setup()

import psycopg  # noqa: E402 - Django must be set up first
from django.conf import settings  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.db import Error as DatabaseError  # noqa: E402
from django.db import connection  # noqa: E402
from django.db.models import Count  # noqa: E402

from charging.models import Charger, ChargerCommand, ChargingSession, MeterSample, Plan  # noqa: E402
from charging.ocpp.outbox import Errand, messages  # noqa: E402
from charging.passwords import hash_password  # noqa: E402
from depot import clock  # noqa: E402
from depot.jobs import enqueue  # noqa: E402
from depot.models import Depot, Job  # noqa: E402
from depot.project.benchmarks.depot_rows import make_depot  # noqa: E402
from depot.project.benchmarks.kills import Kill, Size, kills  # noqa: E402
from depot.project.benchmarks.kills_yard import PASSWORD, Witness, Yard  # noqa: E402
from depot.project.benchmarks.scratch import BenchmarkError  # noqa: E402
from depot.project.benchmarks.servers import (  # noqa: E402
    NAME,
    Server,
    postgres_server,
    programs,
    redis_server,
    wait_for,
)
from depot.project.processes import PR_SET_PDEATHSIG, procfile  # noqa: E402

LOOK_EVERY_S, PATIENCE_S, START_S = 0.1, 120.0, 90.0
UNFINISHED = (Job.State.QUEUED, Job.State.RUNNING)
HALF_WATT_HOUR = 0.5
ENDED: Counter[str] = Counter()
"""How often each process ended though nobody had killed it."""


@dataclass(frozen=True, slots=True)
class Recovery:
    """How many seconds after a kill every charger was heard and stored again, and a new plan made and taken by them.

    `all_s` is when both were so and what the kill had interrupted was done as well.
    """

    kill: Kill
    words_s: float
    plan_s: float
    all_s: float


def main(size: Size) -> dict[str, Any]:
    """Return the figures of one run."""
    with _servers() as servers:
        depot, yard = _prepare(size)
        for name in ("worker", "beat", "gateway"):
            servers[name].start()
        with yard.running():
            _until(yard.all_heard, START_S, servers, "every charger heard")
            recoveries = [_kill(kill, servers, depot, yard) for kill in kills(size)]
            yard.unplug()
            _until(yard.delivered, PATIENCE_S, servers, "every word acknowledged after the unplugging")
            _until(
                lambda: _settled(yard), PATIENCE_S, servers, "every word stored and every command answered"
            )
        return _figures(size, recoveries, yard) | {"load_average": [round(one, 1) for one in os.getloadavg()]}


@contextmanager
def _servers() -> Iterator[dict[str, Server]]:
    """Make all servers and start the database and Redis; whatever runs at the end is killed."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    if sys.platform == "linux":  # who is killed outright must leave no servers behind
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    folder, found = Path(settings.VAR_DIR), programs()
    ports = {name: urlsplit(os.environ[name]).port or 0 for name in ("DATABASE_URL", "REDIS_URL")}
    servers = {
        "database": postgres_server(found, folder, ports["DATABASE_URL"]),
        "redis": redis_server(found, folder, ports["REDIS_URL"]),
    }
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    commands = procfile(settings.BASE_DIR)
    for name in ("worker", "beat", "gateway"):
        command = f"cd '{settings.BASE_DIR}' && PATH='{path}' exec {commands[name]}"
        servers[name] = Server(["sh", "-c", command], folder / f"{name}.log")
    try:
        for name, port in (("database", ports["DATABASE_URL"]), ("redis", ports["REDIS_URL"])):
            servers[name].start()
            wait_for(port)
        _make_database()
        yield servers
    finally:
        for server in servers.values():
            server.kill()


def _make_database() -> None:
    url = os.environ["DATABASE_URL"].removesuffix(f"/{NAME}")
    until = time.monotonic() + START_S
    while True:
        try:
            with psycopg.connect(f"{url}/postgres", autocommit=True) as administrator:
                administrator.execute(f"CREATE DATABASE {NAME}")
            return
        except psycopg.OperationalError:
            if time.monotonic() > until:
                raise
            time.sleep(LOOK_EVERY_S)


def _prepare(size: Size) -> tuple[Depot, Yard]:
    """Make the tables and a depot that is planned and steered, with a yard of chargers for it."""
    call_command("migrate", verbosity=0)
    depot = make_depot(0, size.chargers, clock.now(), size.seed)
    Depot.objects.filter(pk=depot.pk).update(dispatch_enabled=True)
    Charger.objects.update(password_hash=hash_password(PASSWORD), protocol="")
    rows = list(Charger.objects.order_by("pk").values_list("identity", "max_charge_kw", "max_discharge_kw"))
    return depot, Yard(int(os.environ["DEPOT_GATEWAY_PORT"]), rows, size.seed)


def _kill(kill: Kill, servers: Mapping[str, Server], depot: Depot, yard: Yard) -> Recovery:
    """Kill one of the processes while plans are made, start it again at once, as its supervisor would, and wait.

    Another plan is asked for as soon as the database takes the question.
    """
    time.sleep(kill.calm_s)
    before = _ask_for_plan(depot, f"before kill {kill.number}")
    time.sleep(kill.lead_s)
    interrupted = {before.pk, *Job.objects.filter(state__in=UNFINISHED).values_list("pk", flat=True)}
    connection.close()
    began, at = time.monotonic(), clock.now()
    servers[kill.kind].kill()
    servers[kill.kind].start()
    asked: list[Job] = []
    times: dict[str, float] = {}

    def well() -> bool:
        if not asked:
            asked.append(_ask_for_plan(depot, f"after kill {kill.number}"))
        if "words" not in times and yard.heard_since(at) and _stored_since(at) == len(yard.chargers):
            times["words"] = time.monotonic() - began
        if "plan" not in times and _is_taken(asked[0]):
            times["plan"] = time.monotonic() - began
        left = Job.objects.filter(pk__in=interrupted, state__in=UNFINISHED)
        return {"words", "plan"} <= times.keys() and not left.exists()

    _until(well, PATIENCE_S, servers, f"recovery from kill {kill.number} of {kill.kind}")
    recovery = Recovery(kill, times["words"], times["plan"], time.monotonic() - began)
    sys.stderr.write(
        f"kill {kill.number:3d} {kill.kind:9s} words {recovery.words_s:5.1f} s, plan {recovery.plan_s:5.1f} s, "
        f"all {recovery.all_s:5.1f} s\n"
    )
    return recovery


def _ask_for_plan(depot: Depot, window: str) -> Job:
    return enqueue("plan", depot, window, {"trigger": window.capitalize()})


def _is_taken(job: Job) -> bool:
    """Tell whether a job is over, and every charger has answered to the plan it made."""
    job.refresh_from_db()
    if job.state in UNFINISHED:
        return False
    schedules = ChargerCommand.objects.filter(plan=(job.result or {}).get("plan"), action="set_schedule")
    return not schedules.filter(state__in=("waiting", "sent")).exists()


def _stored_since(at: Any) -> int:
    """Return of how many chargers the database holds a word that was said after a moment."""
    found = MeterSample.objects.filter(sampled_at__gt=at).values("session__connector__charger").distinct()
    return found.order_by().count()


def _until(condition: Callable[[], bool], seconds: float, servers: Mapping[str, Server], what: str) -> None:
    """Wait for a condition; a database that is away means not yet. Ends the run, naming it, when it does not come.

    A process that ends by itself is a fault; it is counted, and started again as its supervisor would.
    """
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        for name, server in servers.items():
            if server.ended:
                ENDED[name] += 1
                sys.stderr.write(f"{name} ended by itself; it said:\n{server.said}\n")
                server.start()
        try:
            if condition():
                return
        except DatabaseError:
            pass
        connection.close()
        time.sleep(LOOK_EVERY_S)
    for name, server in servers.items():
        sys.stderr.write(f"---- {name}\n{server.said}\n")
    raise SystemExit(f"Waited {seconds:g} s in vain for: {what}. {_unsettled()}")


def _unsettled() -> str:
    """Tell what is not over: for who looks for the reason."""
    commands = ChargerCommand.objects.filter(state__in=("waiting", "sent")).order_by("pk")
    found = commands.values_list("charger__identity", "action", "state", "attempts", "created_at")
    jobs = Job.objects.filter(state__in=UNFINISHED).values_list("kind", "window", "state", "attempts")
    return f"Samples: {MeterSample.objects.count()}. Commands: {list(found)}. Jobs: {list(jobs)}."


def _settled(yard: Yard) -> bool:
    """Tell whether all that was acknowledged has had time to come from the journal, and no command waits."""
    waiting = ChargerCommand.objects.filter(state__in=("waiting", "sent")).exists()
    return not waiting and MeterSample.objects.count() >= len(set(yard.acknowledged))


def _figures(size: Size, recoveries: list[Recovery], yard: Yard) -> dict[str, Any]:
    return {
        "seed": size.seed,
        "offset": size.offset,
        "kills": dict(sorted(Counter(one.kill.kind for one in recoveries).items())),
        "chargers": dict(Counter(charger.setup.version for charger in yard.chargers)),
        **_words(yard),
        **_plans(yard),
        "ended_by_themselves": dict(ENDED),
        "jobs_failed": Job.objects.filter(state=Job.State.FAILED).count(),
        "recovery_seconds": {
            name: _spread([getattr(one, f"{name}_s") for one in recoveries])
            for name in ("words", "plan", "all")
        },
        "recovery_by_kind": {
            kind: _spread([one.all_s for one in recoveries if one.kill.kind == kind])
            for kind in sorted({one.kill.kind for one in recoveries})
        },
    }


def _spread(seconds: list[float]) -> dict[str, float]:
    return {"median": round(median(seconds), 2), "worst": round(max(seconds), 2)}


def _words(yard: Yard) -> dict[str, int]:
    """Compare what was said and acknowledged with what is stored."""
    said = {(word.identity, word.at): word for word in yard.said}
    acknowledged = {(word.identity, word.at) for word in yard.acknowledged}
    rows = MeterSample.objects.values_list(
        "session__connector__charger__identity", "sampled_at", "import_kwh_total"
    )
    stored = Counter((identity, at) for identity, at, _ in rows)
    wrong = sum(
        abs(kwh * 1000 - said[identity, at].import_wh) > HALF_WATT_HOUR
        for identity, at, kwh in rows
        if (identity, at) in said
    )
    sessions = ChargingSession.objects.values("connector__charger", "transaction_id")
    twice = sessions.annotate(times=Count("pk")).filter(times__gt=1).count()
    return {
        "sent": len(said),
        "acknowledged": len(acknowledged),
        "stored": stored.total(),
        "lost": len(acknowledged - stored.keys()),
        "doubled": stored.total() - len(stored) + twice,
        "wrong": wrong + len(stored.keys() - said.keys()),
        "sessions": sessions.count(),
    }


def _plans(yard: Yard) -> dict[str, int]:
    """Compare what chargers took with the schedules that were ordered, plan by plan."""
    commands: dict[str, list[ChargerCommand]] = {}
    ordered = ChargerCommand.objects.filter(action="set_schedule").select_related("charger")
    for command in ordered.order_by(
        "plan_id", "created_at"
    ):  # "plan" would be in its own order: newest first
        commands.setdefault(command.charger.identity, []).append(command)
    told, back, strange = 0, 0, 0
    for charger in yard.chargers:
        said = [_schedule(command, charger) for command in commands.get(charger.setup.identity, ())]
        told += len(charger.schedules)
        late, unknown = _order(charger.schedules, said)
        back, strange = back + late, strange + unknown
    dispatched = Plan.objects.filter(dispatched_at__isnull=False)
    asked = ChargerCommand.objects.filter(action="set_schedule", plan__isnull=False)
    return {
        "plans_made": Plan.objects.count(),
        "plans_sent": dispatched.count(),
        "plans_applied": asked.filter(state="accepted").values("plan").distinct().count(),
        "schedules_taken": told,
        "plans_applied_twice": back,
        "schedules_nobody_ordered": strange,
    }


def _schedule(command: ChargerCommand, charger: Witness) -> dict[str, Any]:
    """Return the schedule of the plan's level as a charger is told it by a command."""
    errand = Errand(command, "1", command.payload.get("vehicle_id"))
    _, payload = messages(errand, charger.setup.version)[0]
    if charger.setup.version == "1.6":
        profile = payload["csChargingProfiles"]
        return {"id": profile["chargingProfileId"], **profile["chargingSchedule"]}
    schedule: dict[str, Any] = payload["chargingProfile"]["chargingSchedule"][0]
    return schedule


def _order(taken: list[dict[str, Any]], ordered: list[dict[str, Any]]) -> tuple[int, int]:
    """Return how many schedules came after a newer one was taken, and how many nobody ordered.

    The same one said again, with no other in between, changes nothing: a charger that lost its link, or whose answer
    was lost, is told again.
    """
    place, back, strange = 0, 0, 0
    for schedule in taken:
        fitting = [number for number, one in enumerate(ordered) if one == schedule]
        later = [number for number in fitting if number >= place]
        if later:
            place = later[0]
        elif fitting:
            back += 1
        else:
            strange += 1
    return back, strange


if __name__ == "__main__":
    try:
        print(json.dumps(main(Size(**json.loads(sys.argv[1])))))
    except BenchmarkError as error:
        raise SystemExit(str(error)) from error
