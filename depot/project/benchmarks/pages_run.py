"""The run itself, in an environment of its own: make the depot, ask for every page, print the figures."""

from __future__ import annotations

import gzip
import importlib
import json
import math
import os
import sys
import time
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from html.parser import HTMLParser
from pathlib import Path
from statistics import median
from typing import Any

from depot.project.benchmarks.quiet import without_banner

NOW = datetime(2026, 6, 16, 14, 5, tzinfo=UTC)
"""A Tuesday morning of the depot, in the middle of a billed month."""
REFRESH = "board refresh"
"""Every tile again: more than any refresh of a page that shows them."""
BACKGROUND = ("proposal", "report of a year")
"""Pages whose answer a large depot works out in the background."""
PART = ": "
"""Stands between the name of a page and that of a part of it."""


class Links(HTMLParser):
    """What a browser loads with a page: files, fragments, and the chart library where there is a chart."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.files: set[str] = set()
        self.fragments: set[str] = set()
        self.plotly = ""
        self.charts = False
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        address = values.get("src", "") or values.get("href", "")
        if tag in ("script", "img", "use", "link") and address:
            self.files.add(address.partition("#")[0])
        if "load" in values.get("hx-trigger", "").split(", "):
            self.fragments.add(values["hx-get"])
        self.plotly = values.get("data-plotly", self.plotly)
        self.charts = self.charts or "data-chart" in values


def main(size: dict[str, int]) -> dict[str, Any]:
    """Return the figures of one run."""
    importlib.import_module("depot.project.asgi")  # loads the product as the web server does
    from django.conf import settings
    from django.core.management import call_command
    from django.test import Client

    from depot import clock
    from depot.project.benchmarks.year_rows import make_year

    call_command("migrate", verbosity=0)
    started = time.perf_counter()
    depot, owner = make_year(size["vehicles"], size["days"], NOW, size["seed"])
    make_seconds = time.perf_counter() - started
    settings.CLOCK_ANCHOR_SIMULATED, settings.CLOCK_ANCHOR_WALL = (
        NOW.isoformat(),
        clock.wall_now().isoformat(),
    )
    client = Client(SERVER_NAME="localhost", headers={"accept-encoding": "gzip"})
    client.force_login(owner, backend="django.contrib.auth.backends.ModelBackend")
    wanted = addresses(depot)
    background = {name: worked_out(client, wanted[name]) for name in BACKGROUND}
    wanted[f"proposal{PART}asked for"] = wanted["proposal"]
    wanted["proposal"] = _answered_at(client, wanted["proposal"])
    pages = {name: _measured(client, address, size["requests"]) for name, address in wanted.items()}
    for name, address in wanted.items():
        if name != REFRESH and PART not in name:
            pages[name]["first_load_bytes"] = first_load(client, address)
    return size | {"make_seconds": round(make_seconds, 1), "background_seconds": background, "pages": pages}


def worked_out(client: Any, address: str) -> float | None:
    """Do the work that a page asks for in the background, as a worker would; return its seconds, None without any."""
    from depot.jobs.services import run
    from depot.models import Job

    if client.get(address).status_code != 302:
        return None
    job = Job.objects.filter(state=Job.State.QUEUED).order_by("-created_at").first()
    if job is None:
        return None
    started = time.perf_counter()
    run(job.pk, beat=False)
    return round(time.perf_counter() - started, 2)


def _answered_at(client: Any, address: str) -> str:
    """Return the address at which an address ends."""
    chain = client.get(address, follow=True).redirect_chain
    return str(chain[-1][0]) if chain else address


def addresses(depot: Any) -> dict[str, str]:
    """Return the pages and parts of pages that are asked for, by name."""
    from django.urls import reverse

    from charging.models import Connector
    from fleet.models import Block

    connector = Connector.objects.filter(charger__depot=depot).select_related("vehicle").first()
    block = Block.objects.filter(depot=depot).first()
    tariff = depot.tariffs.get()
    if connector is None or block is None:
        raise SystemExit("The depot has no connector and no block.")
    tomorrow = depot.local(NOW).date() + timedelta(days=1)
    last_month = f"{depot.local(NOW).date().replace(day=1) - timedelta(days=1):%Y-%m}"
    of_vehicle, of_charger = [connector.vehicle_id], [connector.charger_id]
    wanted: dict[str, tuple[str, list[Any], str]] = {
        "home": ("home", [], ""),
        "home: answer": ("charging:card-answer", [], ""),
        "home: readiness": ("charging:card-readiness", [], ""),
        "home: site": ("charging:card-site", [], ""),
        "home: money": ("billing:card-money", [], ""),
        "home: alerts": ("depot:card-alerts", [], ""),
        "home: battery": ("fleet:card-battery", [], ""),
        "pull-outs": ("charging:pull-outs", [], ""),
        "board": ("charging:board", [], ""),
        "board by yard": ("charging:board", [], "?sort=yard"),
        "board stations": ("charging:board", [], "?view=technician"),
        REFRESH: ("charging:board-changes", [], "?sort=urgency&have="),
        "connector": ("charging:board-connector", [connector.pk], ""),
        "station": ("charging:board-station", of_charger, ""),
        "yard layout": ("charging:board-layout", [], ""),
        "plan": ("charging:plan", [], ""),
        "plan compared": ("charging:plan-compare", [], ""),
        "plan of a vehicle": ("charging:plan-vehicle", of_vehicle, ""),
        "order": ("charging:order", of_vehicle, ""),
        "day": ("charging:day", [], f"?date={tomorrow}"),
        "block of a day": ("charging:duty", [block.pk, str(tomorrow)], ""),
        "proposal": ("charging:proposal", [], f"?date={tomorrow}"),
        "not ready": ("charging:not-ready", [], ""),
        "schedules": ("fleet:schedules", [], ""),
        "upload": ("fleet:schedule-upload", [], ""),
        "calendar": ("fleet:calendar", [], ""),
        "new calendar": ("fleet:calendar-new", [], ""),
        "vehicles": ("charging:vehicles", [], ""),
        "vehicle": ("charging:vehicle", of_vehicle, ""),
        "battery": ("fleet:battery", [], ""),
        "battery of a vehicle": ("fleet:battery-vehicle", of_vehicle, ""),
        "savings": ("billing:savings", [], f"?month={last_month}"),
        "bills": ("billing:bills", [], ""),
        "bill": ("billing:bill", [last_month], ""),
        "bill reconciled": ("billing:bill-reconcile", [last_month], ""),
        "programmes": ("billing:programmes", [], ""),
        "tariffs": ("billing:tariffs", [], ""),
        "tariff edited": ("billing:tariff-edit", [tariff.pk], ""),
        "tariff": ("billing:tariff", [tariff.pk], ""),
        "prices uploaded": ("billing:prices-upload", [], ""),
        "alerts": ("depot:alerts", [], ""),
        "alerts by e-mail": ("depot:alerts-email", [], ""),
        "home: portfolio": ("charging:card-portfolio", [], ""),
        "report of a month": ("charging:report", [last_month], ""),
        "report of a year": ("charging:report", [last_month[:4]], ""),
        "commissioning": ("charging:commissioning", of_charger, ""),
        "audit": ("depot:audit", [], ""),
    }
    return {
        name: reverse(view, args=[depot.slug, *values]) + query
        for name, (view, values, query) in wanted.items()
    }


def _measured(client: Any, address: str, requests: int) -> dict[str, Any]:
    """Ask for a page once to warm up, once to count queries, and then by the clock."""
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    started = time.perf_counter()
    _get(client, address)
    first_ms = (time.perf_counter() - started) * 1000
    with CaptureQueriesContext(connection) as captured:
        content = _get(client, address)
    queries = len(captured)
    times_ms, cpu_ms = [], []
    for _ in range(requests):
        started, cpu_started = time.perf_counter(), time.process_time()
        _get(client, address)
        times_ms.append((time.perf_counter() - started) * 1000)
        cpu_ms.append((time.process_time() - cpu_started) * 1000)
    return {
        "first_ms": round(first_ms, 1),
        "median_ms": round(median(times_ms), 1),
        "p95_ms": round(_p95(times_ms), 1),
        "cpu_p95_ms": round(_p95(cpu_ms), 1),
        "queries": queries,
        "bytes": len(content),
    }


def _p95(values: list[float]) -> float:
    return sorted(values)[math.ceil(0.95 * len(values)) - 1]


def _get(client: Any, address: str) -> bytes:
    """Return an answer as it goes over the wire; a page may lead to work in the background."""
    answer = client.get(address)
    if answer.status_code not in (200, 302):
        raise SystemExit(f"{address} answered {answer.status_code}.")
    return bytes(answer.content)


def first_load(client: Any, address: str) -> int:
    """Return the bytes of everything that a first visit to a page loads, packed."""
    content = _get(client, address)
    links = Links(_unpacked(content))
    total = len(content)
    files, charts = set(links.files), links.charts
    for fragment in sorted(links.fragments):
        part = _get(client, fragment)
        total += len(part)
        inner = Links(_unpacked(part))
        files |= inner.files
        charts = charts or inner.charts
    if charts:
        files.add(links.plotly)
    return total + sum(_file_bytes(name) for name in files)


def _unpacked(content: bytes) -> str:
    return (gzip.decompress(content) if content.startswith(b"\x1f\x8b") else content).decode()


@lru_cache
def _file_bytes(address: str) -> int:
    """Return the size of a static file as it is packed for deployment."""
    from django.conf import settings
    from django.contrib.staticfiles import finders

    found = finders.find(address.removeprefix(settings.STATIC_URL))
    if not isinstance(found, str):
        raise SystemExit(f"There is no file for {address}.")
    return len(gzip.compress(Path(found).read_bytes(), 9))


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "depot.project.settings")
    with without_banner():
        figures = main(json.loads(sys.argv[1]))
    sys.stdout.write(json.dumps(figures))
