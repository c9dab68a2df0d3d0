"""The gateway killed while chargers speak: what it acknowledged is stored once, and no command is lost."""

from __future__ import annotations

import random
from datetime import UTC, datetime

import pytest

from charging.ocpp.simulator import station
from tests.processes.chargers import Word, Yard
from tests.processes.clerk import Clerk
from tests.processes.conftest import House

pytestmark = pytest.mark.processes

KILLS = 3
SEED = 20260310


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let chargers knock again after a second at most."""
    monkeypatch.setattr(station, "LONGEST_PAUSE_S", 1.0)


def stored(clerk: Clerk) -> list[Word]:
    fields = ("session__transaction_id", "sampled_at", "import_kwh_total", "export_kwh_total")
    rows = clerk.rows("charging.MeterSample", *fields)
    return [(number, moment(at), round(into, 6), round(out, 6)) for number, at, into, out in rows]


def words(said: list[Word] | set[Word]) -> list[Word]:
    return [(number, moment(at), round(into, 6), round(out, 6)) for number, at, into, out in said]


def moment(text: str) -> str:
    return datetime.fromisoformat(text).astimezone(UTC).isoformat()


def test_killed_again_and_again_it_keeps_every_acknowledged_word_once(product: House, clerk: Clerk) -> None:
    moments = random.Random(SEED)
    yard = Yard(int(product.env["DEPOT_GATEWAY_PORT"]), clerk.ask("yard"))
    gateway = product.start("gateway")
    with yard.running():
        for _ in range(KILLS):
            goal = len(yard.acknowledged) + moments.randint(20, 120)
            product.until(lambda goal=goal: len(yard.acknowledged) >= goal)
            product.kill(gateway)
            acknowledged = yard.acknowledged
            assert set(words(acknowledged)) <= set(stored(clerk))
            gateway = product.start("gateway")
        yard.unplug()
        product.until(yard.finished)
    assert sorted(stored(clerk)) == sorted(words(yard.said))
    sessions = clerk.rows(
        "charging.ChargingSession", "transaction_id", "import_kwh", "export_kwh", "unplugged_at"
    )
    assert len(sessions) == len(yard.chargers)
    for number, into, out, ended in sessions:
        mine = [word for word in yard.said if word[0] == number]
        assert into == pytest.approx(mine[-1][2] - mine[0][2])
        assert out == pytest.approx(mine[-1][3] - mine[0][3])
        assert moment(ended) == moment(mine[-1][1])
    told = clerk.rows("fleet.TelemetryReading", "vehicle", "observed_at", "source_event_id")
    assert len(told) == len(yard.said) + 2 * len(yard.chargers)  # and each vehicle's coming and going


def test_schedule_that_was_sent_when_the_gateway_died_is_sent_again(product: House, clerk: Clerk) -> None:
    yard = Yard(int(product.env["DEPOT_GATEWAY_PORT"]), clerk.ask("yard"))
    gateway = product.start("gateway")
    charger = yard.chargers[0]
    charger.mute = True
    with yard.running(silent=True):
        product.until(yard.delivered)
        start_at = datetime.now(UTC).replace(microsecond=0).isoformat()
        number = clerk.ask(
            "send_schedule", identity=charger.setup.identity, start_at=start_at, power_kw=[-30]
        )
        product.until(lambda: state_of(clerk, number) == ["sent", 1])
        product.kill(gateway)
        charger.mute = False
        product.start("gateway")
        product.until(lambda: charger.setpoint_kw(datetime.now(UTC)) == -30.0, seconds=20)
        product.until(lambda: not clerk.rows("charging.ChargerCommand", "pk", state__in=["sent", "waiting"]))
    states = clerk.rows("charging.ChargerCommand", "state", action="set_schedule")
    assert sorted(state for [state] in states) in (["accepted"], ["accepted", "superseded"])


def state_of(clerk: Clerk, number: str) -> list[object]:
    return clerk.rows("charging.ChargerCommand", "state", "attempts", pk=number)[0]
