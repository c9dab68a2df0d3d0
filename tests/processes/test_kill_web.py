"""The web server killed while batches and files come in: what it acknowledged is stored, and stored once."""

from __future__ import annotations

import hashlib
import random
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.processes.browser import Again, Answer, Browser, insist, logged_in, with_key
from tests.processes.clerk import Clerk
from tests.processes.conftest import House

pytestmark = pytest.mark.processes

KILLS = 3
SEED = 20260311
BATCH = 20


class Telematics:
    """A program that sends batches; each is sent until it is answered, every third one once more."""

    def __init__(self, program: Browser, vehicle: int) -> None:
        self._program, self._vehicle = program, vehicle
        self._from_at = datetime.now(UTC).replace(microsecond=0) - timedelta(days=2)
        self.acknowledged: list[str] = []

    def send(self, number: int) -> None:
        moments = [self._from_at + timedelta(seconds=number * BATCH + index) for index in range(BATCH)]
        items = [
            {"vehicle": self._vehicle, "observed_at": at.isoformat(), "odometer_km": 1000 + number}
            for at in moments
        ]
        answer = self._post(items, number)
        assert answer.status == 200, answer.text
        assert {row["status"] for row in answer.json()["results"]} <= {"accepted", "late"}
        self.acknowledged += [at.isoformat() for at in moments]
        if number % 3 == 0:
            again = self._post(items, number)
            assert (again.status, again.json()) == (200, answer.json())

    def _post(self, items: list[dict[str, Any]], number: int) -> Answer:
        key = {"Idempotency-Key": f"batch {number}"}
        return insist(lambda: self._program.post_json("/api/v1/telemetry", {"items": items}, **key))


class Dispatcher:
    """A person who uploads one file after the other, looks at each preview, and saves it."""

    def __init__(self, browser: Browser, depot: str) -> None:
        self._browser, self._depot = browser, depot
        self.seen: dict[int, str] = {}
        """The files whose preview was shown: the number of the upload and the text."""
        self.saved: list[str] = []

    def upload(self, number: int) -> None:
        block_id = f"K{number:04}"
        text = (
            "block_id,service_days,depart_at,return_at,distance_km\r\n"
            f"{block_id},Mon-Fri,06:{number % 60:02},09:00,20\r\n"
        )
        file = (f"{block_id}.csv", text)
        answer = insist(lambda: self._browser.post_form(f"/{self._depot}/schedules/upload/", file))
        assert answer.status == 302, answer.text
        page = answer.headers["location"]
        assert block_id in self.look(page)
        batch = int(re.findall(r"\d+", page)[-1])
        self.seen[batch] = text
        saved = insist(lambda: self._browser.post_form(f"{page}save/", mode="add"))
        assert saved.status == 302, saved.text
        self.look(page)
        self.saved.append(block_id)

    def look(self, page: str) -> str:
        answer = insist(lambda: self._browser.get(page))
        assert answer.status == 200, answer.text
        return answer.text


def moments(clerk: Clerk) -> list[str]:
    rows = clerk.rows("fleet.TelemetryReading", "observed_at", source="telematics")
    return [datetime.fromisoformat(at).isoformat() for [at] in rows]


def uploads(clerk: Clerk) -> dict[int, str]:
    return dict(clerk.rows("depot.ImportBatch", "id", "file_digest"))


def digests(seen: dict[int, str]) -> dict[int, str]:
    return {batch: hashlib.sha256(text.encode()).hexdigest() for batch, text in seen.items()}


def test_killed_web_server_keeps_every_acknowledged_batch_and_file_once(product: House, clerk: Clerk) -> None:
    moment = random.Random(SEED)
    clerk.ask("yard")
    port = int(product.env["DEPOT_WEB_PORT"])
    [vehicle], *_ = clerk.rows("fleet.Vehicle", "id")
    [[depot]] = clerk.rows("depot.Depot", "slug")
    telematics = Telematics(with_key(port, clerk.ask("program")), vehicle)
    dispatcher = Dispatcher(logged_in(port, clerk.ask("dispatcher")), depot)
    work = [Again(telematics.send), Again(dispatcher.upload)]
    web = product.start("web", DEPOT_API_RATE="100000/min")
    for one in work:
        one.start()
    for _ in range(KILLS):
        goals = [one.done + moment.randint(2, 6) for one in work]
        product.until(
            lambda goals=goals: (
                any(one.failure for one in work)
                or all(one.done >= goal for one, goal in zip(work, goals, strict=True))
            )
        )
        product.kill(web)
        acknowledged, seen, saved = set(telematics.acknowledged), dict(dispatcher.seen), set(dispatcher.saved)
        assert acknowledged <= set(moments(clerk))
        assert digests(seen).items() <= uploads(clerk).items()
        assert saved <= {block for [block] in clerk.rows("fleet.Block", "block_id")}
        web = product.start("web", DEPOT_API_RATE="100000/min")
    for one in work:
        one.stop()
    assert sorted(moments(clerk)) == sorted(telematics.acknowledged)
    assert len(clerk.rows("depot.IdempotencyKey", "id")) == work[0].done
    assert digests(dispatcher.seen).items() <= uploads(clerk).items()
    assert sorted(block for [block] in clerk.rows("fleet.Block", "block_id")) == sorted(dispatcher.saved)
    for batch, text in dispatcher.seen.items():
        assert text.split("\r\n")[1].split(",")[0] in dispatcher.look(f"/{depot}/schedules/upload/{batch}/")
