"""Feeds of telematics makers, against a real server that answers as their public documentation says."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Iterator
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import time_machine
from django.core.exceptions import ValidationError

from depot.models import Alert, AuditEvent, Depot
from fleet.models import QuarantinedReading, TelematicsFeed, TelemetryReading, VehicleState
from fleet.services import telematics
from fleet.telematics import FeedError, ask, asking, geotab
from tests.depot.admin_forms import address, errors_of, form_of
from tests.factories import NOW, make_vehicle

TOKEN = "canary-token-7"
VIN, OTHER_VIN = "5YJ3E1EA7KF000001", "5YJ3E1EA7KF000002"


class Maker:
    """A server whose answers a test queues by path and method, and which remembers what it was asked."""

    def __init__(self) -> None:
        self.answers: list[tuple[int, Any]] = []
        self.asked: list[tuple[str, dict[str, Any], str]] = []
        maker = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._answer({})

            def do_POST(self) -> None:
                self._answer(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))

            def _answer(self, body: dict[str, Any]) -> None:
                maker.asked.append((self.path, body, self.headers.get("Authorization", "")))
                status, answer = maker.answers.pop(0)
                content = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
                self.send_response(status)
                if status == 302:
                    self.send_header("Location", answer)
                    content = b""
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.place = f"127.0.0.1:{self.server.server_port}"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True)
        self.thread.start()

    def end(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()

    def queries(self) -> list[dict[str, list[str]]]:
        return [parse_qs(urlsplit(path).query) for path, _, _ in self.asked]


@pytest.fixture
def maker(monkeypatch) -> Iterator[Maker]:
    monkeypatch.setattr(telematics, "SCHEME", "http")
    maker = Maker()
    yield maker
    maker.end()


@pytest.fixture(autouse=True)
def at_noon() -> Iterator[Any]:
    with time_machine.travel(NOW, tick=False) as travel:
        yield travel


@pytest.fixture
def bus(depot: Depot):
    return make_vehicle(depot, "Bus 01", vin=VIN, soc=None)


def make_feed(depot: Depot, maker: Maker, kind: str, **values: Any) -> TelematicsFeed:
    changed_at = NOW - timedelta(hours=1)
    feed = TelematicsFeed(depot=depot, kind=kind, server=maker.place, changed_at=changed_at, **values)
    feed.secret = TOKEN
    feed.save()
    return feed


def at(minutes: int) -> str:
    return (NOW + timedelta(minutes=minutes)).strftime("%Y-%m-%dT%H:%M:%SZ")


# ---- Samsara


def samsara_page(cursor: str, more: bool = False, **stats: Any) -> dict[str, Any]:
    vehicle = {"id": "212014918732717", "name": "Bus 01", "externalIds": {"samsara.vin": VIN}, **stats}
    return {"data": [vehicle] if stats else [], "pagination": {"endCursor": cursor, "hasNextPage": more}}


def soc(value: int, minutes: int) -> dict[str, Any]:
    return {"evStateOfChargeMilliPercent": [{"time": at(minutes), "value": value}]}


def test_samsara_values_become_readings_in_our_units(depot, bus, maker) -> None:
    make_feed(depot, maker, "samsara")
    state = soc(54_500, -2) | {
        "evChargingStatus": [{"time": at(-3), "value": 1}, {"time": at(-2), "value": 2}],
        "obdOdometerMeters": [{"time": at(-2), "value": 14_010_293}],
    }
    battery = {
        "evBatteryStateOfHealthMilliPercent": [{"time": at(-2), "value": 97_000}],
        "evAverageBatteryTemperatureMilliCelsius": [{"time": at(-2), "value": -1_500}],
    }
    maker.answers = [(200, samsara_page("c1", **state)), (200, samsara_page("d1", **battery))]
    assert telematics.poll(depot, NOW) == {"accepted": 5}
    known = VehicleState.objects.get(vehicle=bus)
    assert (known.soc, known.soh, known.plugged_in) == (0.545, 0.97, True)
    assert (known.odometer_km, known.battery_temp_c) == (pytest.approx(14_010.293), -1.5)
    assert [query["types"] for query in maker.queries()] == [
        ["evStateOfChargeMilliPercent,evChargingStatus,obdOdometerMeters"],
        ["evBatteryStateOfHealthMilliPercent,evAverageBatteryTemperatureMilliCelsius"],
    ]
    assert {authorization for _, _, authorization in maker.asked} == {f"Bearer {TOKEN}"}


def test_samsara_is_read_from_the_cursor_until_no_page_waits(depot, bus, maker) -> None:
    feed = make_feed(depot, maker, "samsara")
    maker.answers = [
        (200, samsara_page("c1", more=True, **soc(50_000, -9))),
        (200, samsara_page("d1")),
        (200, samsara_page("c2", **soc(51_000, -5))),
        (200, samsara_page("d1")),
    ]
    assert telematics.poll(depot, NOW) == {"accepted": 2}
    assert [query.get("after") for query in maker.queries()] == [None, None, ["c1"], ["d1"]]
    feed.refresh_from_db()
    assert feed.cursors == {"state": "c2", "battery": "d1"}


def test_the_same_page_again_changes_nothing(depot, bus, maker) -> None:
    feed = make_feed(depot, maker, "samsara")
    pages = [(200, samsara_page("c1", **soc(50_000, -9))), (200, samsara_page("d1"))]
    maker.answers = [*pages, *pages]
    telematics.poll(depot, NOW)
    TelematicsFeed.objects.filter(pk=feed.pk).update(cursors={})
    assert telematics.poll(depot, NOW) == {"duplicate": 1}
    assert TelemetryReading.objects.count() == 1


def test_a_page_is_kept_with_its_cursor_or_not_at_all(depot, bus, maker, monkeypatch) -> None:
    feed = make_feed(depot, maker, "samsara")
    pages = [(200, samsara_page("c1", **soc(50_000, -9))), (200, samsara_page("d1"))]
    maker.answers = [*pages, *pages]

    def die(*_: object) -> str:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(telematics, "seal", die)
        with pytest.raises(KeyboardInterrupt):
            telematics.poll(depot, NOW)
    feed.refresh_from_db()
    assert (feed.cursors, TelemetryReading.objects.count()) == ({}, 0)
    assert telematics.poll(depot, NOW) == {"accepted": 1}


def test_a_makers_number_is_never_one_of_our_ids(depot, bus, maker) -> None:
    make_feed(depot, maker, "samsara")
    page = samsara_page("c1", **soc(50_000, -9))
    page["data"][0] |= {"id": str(bus.pk), "externalIds": {}}
    maker.answers = [(200, page), (200, samsara_page("d1"))]
    assert telematics.poll(depot, NOW) == {"quarantined": 1}
    assert QuarantinedReading.objects.get().vehicle_ref == f"samsara:{bus.pk}"


def test_vehicles_are_found_by_their_external_id_too(depot, maker) -> None:
    make_vehicle(depot, "Bus 02", external_id="212014918732717", soc=None)
    make_feed(depot, maker, "samsara")
    maker.answers = [(200, samsara_page("c1", **soc(50_000, -9))), (200, samsara_page("d1"))]
    assert telematics.poll(depot, NOW) == {"accepted": 1}


# ---- Geotab

LOG_IN = {
    "result": {"credentials": {"sessionId": "s-1", "database": "d", "userName": "u"}, "path": "ThisServer"}
}
SOC, CHARGING, ODOMETER = geotab.DIAGNOSTICS


def geotab_page(version: str, *rows: tuple[str, str, str, float, int]) -> dict[str, Any]:
    data = [
        {
            "id": name,
            "device": {"id": device},
            "diagnostic": {"id": diagnostic},
            "dateTime": at(minutes),
            "data": value,
            "version": version,
        }
        for name, device, diagnostic, value, minutes in rows
    ]
    return {"result": {"data": data, "toVersion": version}, "jsonrpc": "2.0"}


def geotab_error(name: str) -> dict[str, Any]:
    error = {"message": f"wrong: {TOKEN}", "name": name}
    return {"error": {"message": f"wrong: {TOKEN}", "name": "JSONRPCError", "errors": [error]}}


DEVICES = {"result": [{"id": "b1", "name": "Bus 01", "vehicleIdentificationNumber": VIN}]}


def quiet(*versions: str) -> list[tuple[int, Any]]:
    return [(200, geotab_page(version)) for version in versions]


@pytest.fixture
def geotab_feed(depot, maker) -> TelematicsFeed:
    return make_feed(depot, maker, "geotab", database="d", user_name="u")


def test_geotab_values_become_readings_in_our_units(depot, bus, maker, geotab_feed) -> None:
    maker.answers = [
        (200, LOG_IN),
        (200, geotab_page("v1", ("x1", "b1", SOC, 61.5, -4), ("x0", "b1", "DiagnosticOtherId", 3, -4))),
        (200, geotab_page("w1", ("x2", "b1", CHARGING, 0, -5), ("x3", "b1", CHARGING, 2, -4))),
        (200, geotab_page("z1", ("x4", "b1", ODOMETER, 12_345_678, -4))),
        (200, DEVICES),
    ]
    assert telematics.poll(depot, NOW) == {"accepted": 3}
    state = VehicleState.objects.get(vehicle=bus)
    assert (state.soc, state.plugged_in, state.odometer_km) == (0.615, True, pytest.approx(12_345.678))
    methods = [body["method"] for _, body, _ in maker.asked]
    assert methods == ["Authenticate", "GetFeed", "GetFeed", "GetFeed", "Get"]
    first = maker.asked[1][1]["params"]
    assert first["search"]["fromDate"] == (NOW - timedelta(days=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    assert "fromVersion" not in first


def test_geotab_goes_on_from_its_version_and_within_its_session(depot, bus, maker, geotab_feed) -> None:
    maker.answers = [
        (200, LOG_IN),
        (200, geotab_page("v1", ("x1", "b1", SOC, 60, -9))),
        *quiet("w1", "z1"),
        (200, DEVICES),
    ]
    telematics.poll(depot, NOW)
    maker.asked.clear()
    maker.answers = [(200, geotab_page("v2", ("x2", "b1", SOC, 61, -5))), *quiet("w1", "z1")]
    assert telematics.poll(depot, NOW) == {"accepted": 1}
    assert [body["params"].get("fromVersion") for _, body, _ in maker.asked] == ["v1", "w1", "z1"]
    assert all("password" not in json.dumps(body) for _, body, _ in maker.asked)
    geotab_feed.refresh_from_db()
    assert geotab_feed.cursors == {SOC: "v2", CHARGING: "w1", ODOMETER: "z1"}
    assert "s-1" not in geotab_feed.sealed_memory


def test_geotab_logs_in_again_when_its_session_is_over(depot, bus, maker, geotab_feed) -> None:
    maker.answers = [(200, LOG_IN), *quiet("v1", "w1", "z1")]
    telematics.poll(depot, NOW)
    maker.answers = [(200, geotab_error("InvalidUserException")), (200, LOG_IN), *quiet("v2", "w2", "z2")]
    telematics.poll(depot, NOW)
    geotab_feed.refresh_from_db()
    assert (geotab_feed.trouble, geotab_feed.cursors[SOC]) == ("", "v2")


@pytest.mark.parametrize("server", ["evil.example", "evil.example/.geotab.com", "geotab.com.evil.example"])
def test_a_session_goes_to_servers_of_geotab_only(depot, maker, geotab_feed, server: str) -> None:
    maker.answers = [(200, {"result": LOG_IN["result"] | {"path": server}})]
    telematics.poll(depot, NOW)
    geotab_feed.refresh_from_db()
    assert geotab_feed.trouble == "Geotab names a server that is not one of its own."


# ---- what goes wrong


def test_a_refused_key_is_told_at_once_and_not_sent_every_minute(
    depot, maker, geotab_feed, at_noon, caplog
) -> None:
    maker.answers = [(200, geotab_error("InvalidUserException"))]
    with caplog.at_level(logging.DEBUG):
        telematics.poll(depot, NOW)
    telematics.poll(depot, NOW)
    assert len(maker.asked) == 1
    alert = Alert.objects.get(key=f"telematics:{geotab_feed.pk}")
    assert "Geotab refuses the log-in (InvalidUserException). Enter the right one." in alert.detail
    assert TOKEN not in alert.detail + caplog.text + repr(geotab_feed.__dict__)
    at_noon.shift(timedelta(minutes=16))
    maker.answers = [(200, LOG_IN), *quiet("v", "w", "z")]
    telematics.poll(depot, NOW)
    alert.refresh_from_db()
    assert alert.cleared_at is not None


def test_a_silent_server_is_told_after_a_quarter_of_an_hour(depot, bus, maker, at_noon) -> None:
    feed = make_feed(depot, maker, "samsara")
    maker.answers = [(200, samsara_page("c1", **soc(50_000, -9))), (200, samsara_page("d1"))]
    telematics.poll(depot, NOW)
    maker.answers = [(503, {}), (503, {})]
    telematics.poll(depot, NOW)
    feed.refresh_from_db()
    assert (feed.trouble, feed.cursors["state"]) == ("Its server answered 503.", "c1")
    assert not Alert.objects.exists()
    at_noon.shift(timedelta(minutes=16))
    telematics.poll(depot, NOW)
    assert Alert.objects.get().title == "Samsara gives no data of vehicles"


def test_one_feed_in_trouble_leaves_the_others_alone(depot, bus, maker, geotab_feed) -> None:
    make_feed(depot, maker, "samsara")
    maker.answers = [(500, {}), (200, samsara_page("c1", **soc(50_000, -9))), (200, samsara_page("d1"))]
    assert telematics.poll(depot, NOW) == {"accepted": 1}


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ((401, {}), "refuses the key"),
        ((429, {}), "come less often"),
        ((302, "http://127.0.0.1:1/stolen"), "answered 302"),
        ((200, b"<html>"), "no JSON"),
        ((200, {"data": [{}], "pagination": {}}), "another form"),
        ((200, []), "another form"),
    ],
)
def test_every_bad_answer_is_told_in_words(depot, maker, answer: tuple[int, Any], words: str) -> None:
    feed = make_feed(depot, maker, "samsara")
    maker.answers = [answer]
    telematics.poll(depot, NOW)
    feed.refresh_from_db()
    assert words in feed.trouble
    assert (feed.cursors, feed.heard_at) == ({}, None)


def test_an_endless_answer_is_cut(maker, monkeypatch) -> None:
    monkeypatch.setattr(asking, "MAX_ANSWER", 10)
    maker.answers = [(200, b" " * 100)]
    with pytest.raises(FeedError, match="at once"):
        ask(f"http://{maker.place}/", {})


def test_a_server_that_is_not_there_is_told(maker) -> None:
    maker.end()
    with pytest.raises(FeedError, match="does not answer"):
        ask(f"http://{maker.place}/", {})


# ---- set-up


@pytest.mark.parametrize(
    ("kind", "server"),
    [
        ("samsara", "api.samsara.com.evil.example"),
        ("samsara", "evil.example"),
        ("geotab", "evil.example/.geotab.com"),
        ("geotab", "https://my.geotab.com"),
    ],
)
def test_a_key_goes_to_its_maker_only(depot, kind: str, server: str) -> None:
    feed = TelematicsFeed(depot=depot, kind=kind, server=server, database="d", user_name="u", changed_at=NOW)
    with pytest.raises(ValidationError, match="This is no server of"):
        feed.full_clean()


def test_a_technician_sets_a_feed_up_and_its_key_is_shown_to_nobody(login, technician, depot) -> None:
    technician.is_staff = True
    technician.save()
    browser = login(technician)
    new = form_of(browser.get(address(TelematicsFeed, "add"))) | {
        "depot": depot.pk,
        "kind": "samsara",
        "server": "api.eu.samsara.com",
    }
    assert "Enter the token or password" in errors_of(browser.post(address(TelematicsFeed, "add"), new))
    answer = browser.post(address(TelematicsFeed, "add"), new | {"new_secret": TOKEN})
    assert answer.status_code == 302, errors_of(answer)
    feed = TelematicsFeed.objects.get()
    assert feed.secret == TOKEN and TOKEN not in feed.sealed_secret
    feed.cursors = {"state": "c9"}
    feed.save()
    page = browser.get(address(TelematicsFeed, "change", feed.pk))
    assert TOKEN not in page.content.decode()
    kept = form_of(page)
    assert browser.post(address(TelematicsFeed, "change", feed.pk), kept).status_code == 302
    feed.refresh_from_db()
    assert (feed.secret, feed.cursors) == (TOKEN, {"state": "c9"})
    elsewhere = kept | {"server": "api.samsara.com"}
    refused = errors_of(browser.post(address(TelematicsFeed, "change", feed.pk), elsewhere))
    assert "Enter the token or password" in refused
    browser.post(address(TelematicsFeed, "change", feed.pk), elsewhere | {"new_secret": "canary-8"})
    feed.refresh_from_db()
    assert (feed.secret, feed.cursors, feed.server) == ("canary-8", {}, "api.samsara.com")
    assert "canary" not in str(list(AuditEvent.objects.values()))
