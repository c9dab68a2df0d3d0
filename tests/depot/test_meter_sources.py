"""Site meters that are fetched: decoding by hand, a real Modbus server, a real broker, and silence."""

from __future__ import annotations

import asyncio
import json
import math
import socket
import struct
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from depot import clock
from depot.meters import following, sunspec
from depot.meters.following import Follower, Following, pause_s
from depot.meters.measured import Measured, UnreadableError
from depot.meters.payload import Fields, read_payload, value_at
from depot.meters.registers import read_map
from depot.models import Alert, AuditEvent, MeterReading, MeterSource
from depot.services.meter_sources import keep, watch_meters
from depot.services.readings import take_in
from tests.depot.admin_forms import address, errors_of, form_of

# ---- MQTT messages, by hand

FIELDS = Fields("em.0.power", "em.0.in", "em.0.out", "at")


def message(**values: Any) -> bytes:
    meter = {"power": -1500, "in": "1234.5", "out": 7.25} | values
    return json.dumps({"em": [meter], "at": values.get("at", "2026-03-10T16:00:00+01:00")}).encode()


def test_a_message_is_read_by_its_paths_and_units():
    at = datetime(2026, 3, 10, 15, tzinfo=UTC)
    assert read_payload(message(), FIELDS) == Measured(-1.5, 1234.5, 7.25, at)
    other = Fields("em.0.power", "em.0.in", power_unit="kW", energy_unit="Wh", reversed=True)
    assert read_payload(message(), other) == Measured(1500.0, 1.2345, 0.0, None)
    for written in (at.timestamp(), at.timestamp() * 1000, str(int(at.timestamp()))):
        assert read_payload(message(at=written), FIELDS).observed_at == at
    assert Measured(1.0, 2.0).item(at)["observed_at"] == at.isoformat()


@pytest.mark.parametrize(
    ("payload", "words"),
    [
        (b"\xff\x00", "not JSON"),
        (b"[" * 10_000, "not JSON"),
        (b" " * 70_000, "larger than"),
        (b"12.5", "nothing at em.0.power"),
        (message(power=None), "em.0.power is not a number"),
        (message(power=True), "em.0.power is not a number"),
        (message(power="12 W"), "em.0.power is not a number"),
        (message(power=math.inf), "em.0.power is not a number"),
        (message(at="2026-03-10T16:00:00"), "at has no offset"),
        (message(at="yesterday"), "at is not a time"),
        (message(at=1e300), "at is not a time"),
    ],
    ids=range(11),
)
def test_a_message_that_says_no_reading_says_why(payload, words):
    with pytest.raises(UnreadableError, match=words):
        read_payload(payload, FIELDS)


def test_a_path_leads_through_lists_and_objects_only():
    assert value_at({"a": [{"b": 1}]}, "a.0.b") == 1
    for path in ("a.1", "a.x", "b", "a.0.b.c"):
        with pytest.raises(UnreadableError, match="nothing at"):
            value_at({"a": [{"b": 1}]}, path)


# ---- SunSpec, by hand


def integers(watts: int = -1234, w_sf: int = 1, wh_sf: int = 0, **places: int) -> list[int]:
    """Return model 203's registers: -12,340 W, 7,654,321 Wh out, 123,456,789 Wh in, all else not implemented."""
    model = [0x8000] * 105
    model[16], model[20], model[52] = watts & 0xFFFF, w_sf & 0xFFFF, wh_sf & 0xFFFF
    for place, total in ((36, 7_654_321), (44, 123_456_789)):
        model[place], model[place + 1] = divmod(total, 0x1_0000)
    for name, value in places.items():
        model[int(name[1:])] = value & 0xFFFF
    return model


def test_a_meter_model_is_scaled_and_signed():
    assert sunspec.decode(203, integers()) == Measured(-12.34, 123_456.789, 7_654.321)
    assert sunspec.decode(201, integers(watts=5, w_sf=-1), reversed_power=True).power_kw == -0.0005
    assert sunspec.decode(203, integers(wh_sf=3)).export_kwh_total == 7_654_321.0
    phases = integers(watts=-0x8000, p17=100, p18=-300)
    assert sunspec.decode(203, phases).power_kw == pytest.approx(-2.0), "two of three phases, times ten"


@pytest.mark.parametrize(
    ("model", "registers", "words"),
    [
        (203, integers(watts=-0x8000), "does not measure power"),
        (203, integers(w_sf=-0x8000), "W_SF is not implemented"),
        (203, integers(wh_sf=11), "TotWh_SF is 11"),
        (203, integers(p44=0xFFFF, p45=0xFFFF), "TotWhImp is not implemented"),
        (213, [0x7FC0, 0] * 62, "W is not implemented"),
    ],
    ids=range(5),
)
def test_what_a_meter_does_not_measure_is_refused(model, registers, words):
    with pytest.raises(UnreadableError, match=words):
        sunspec.decode(model, registers)


def test_a_float_model_is_read():
    floats = [math.nan] * 62
    floats[13], floats[29], floats[33] = 2500.0, 1000.0, 4000.0
    registers = [word for value in floats for word in struct.unpack(">HH", struct.pack(">f", value))]
    assert sunspec.decode(213, registers) == Measured(2.5, 4.0, 1.0)


def chart(base: int, models: list[tuple[int, list[int]]]) -> Callable[[int, int], list[int]]:
    """Return the `read` of a device whose SunSpec map begins at `base`."""
    words = [*sunspec.MARK]
    for number, body in models:
        words += [number, len(body), *body]
    words += [sunspec.END, 0]

    def read(at: int, count: int) -> list[int]:
        if not base <= at <= base + len(words) - count:
            raise UnreadableError("illegal address")
        return words[at - base : at - base + count]

    return read


def test_the_meter_is_found_wherever_it_stands():
    common = (1, [0] * 66)
    for base in sunspec.BASES:
        assert sunspec.find_meter(chart(base, [common, (203, integers())])) == sunspec.Place(203, base + 72)
    for models, words in (([common], "has no meter"), ([(203, [0] * 20)], "only 20 registers")):
        with pytest.raises(UnreadableError, match=words):
            sunspec.find_meter(chart(40000, models))
    with pytest.raises(UnreadableError, match="no SunSpec map"):
        sunspec.find_meter(chart(123, []))
    with pytest.raises(UnreadableError, match="no meter"):
        sunspec.find_meter(lambda at, count: [*sunspec.MARK] if at == 40000 else [7, 0])


# ---- a meter's own registers

OWN = {
    "power": {"address": 10, "type": "int32", "factor": 0.01},
    "import": {"address": 20, "type": "float32", "table": "input", "words": "little"},
}


def test_own_registers_are_decoded():
    registers = read_map(OWN)
    assert registers["power"].value([0xFFFF, 0xFF9C]) == pytest.approx(-1.0)
    low, high = struct.unpack(">HH", struct.pack(">f", 42.5))
    assert (registers["import"].value([high, low]), registers["import"].count) == (42.5, 2)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"heat": {}}, "Unknown values: heat"),
        ({"power": {"address": 1}}, "power needs address and type"),
        ({"power": {"address": 70_000, "type": "int16"}}, "from 0 to 65535"),
        ({"power": {"address": 1, "type": "int8"}}, "type must be one of int16"),
        ({"power": {"address": 1, "type": "int16", "factor": 0}}, "factor must be"),
    ],
    ids=range(5),
)
def test_a_wrong_register_map_is_refused_in_words(change, words):
    with pytest.raises(UnreadableError, match=words):
        read_map(OWN | change)
    for wrong in ([], {"power": OWN["power"]}):
        with pytest.raises(UnreadableError):
            read_map(wrong)


def test_pauses_grow_to_a_minute():
    assert [pause_s(failures) for failures in (1, 2, 3, 7, 1000)] == [1, 2, 4, 60, 60]


# ---- the real parts; readings go into a list here, so that no database is shared between threads


class Notes:
    """What a follower kept and what it complained of."""

    def __init__(self) -> None:
        self.kept: list[Measured] = []
        self.troubles: list[str] = []

    def until(self, true: Callable[[], bool], seconds: float = 10.0) -> None:
        deadline = time.monotonic() + seconds
        while not true():
            assert time.monotonic() < deadline, (self.kept, self.troubles)
            time.sleep(0.01)


@pytest.fixture
def notes(monkeypatch: pytest.MonkeyPatch) -> Notes:
    found = Notes()
    monkeypatch.setattr(following, "keep", lambda _source, measured: found.kept.append(measured))
    monkeypatch.setattr(following, "note_trouble", lambda _source, words: found.troubles.append(words))
    monkeypatch.setattr(following, "FIRST_PAUSE_S", 0.05)
    monkeypatch.setattr(following, "close_old_connections", lambda: None)
    return found


def unsaved(kind: str, **values: Any) -> MeterSource:
    values = {"meter_id": 1, "host": "127.0.0.1", "every_s": 0.02, "changed_at": clock.wall_now()} | values
    return MeterSource(kind=kind, **values)


class Device:
    """A real Modbus server with a SunSpec meter, in a thread."""

    def __init__(self, port: int) -> None:
        from pymodbus.server import ModbusTcpServer
        from pymodbus.simulator import DataType, SimData, SimDevice

        body = integers()
        words = [*sunspec.MARK, 1, 2, 0, 0, 203, len(body), *body, sunspec.END, 0]
        data = [SimData(40000, values=words, datatype=DataType.REGISTERS)]
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()

        async def begin() -> Any:
            server = ModbusTcpServer(SimDevice(id=3, simdata=data), address=("127.0.0.1", port))
            await server.listen()
            return server

        self.server = self.do(begin())

    def do(self, work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(10)

    def stop(self) -> None:
        self.do(self.server.shutdown())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join()
        self.loop.close()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_a_real_modbus_meter_is_read_and_found_again_after_it_was_gone(notes: Notes):
    port = free_port()
    follower = Follower(unsaved("modbus", port=port, unit_id=3))
    follower.start()
    try:
        notes.until(lambda: bool(notes.troubles))
        assert notes.troubles[0] == f"Nothing answers at 127.0.0.1:{port}."
        for _ in range(2):
            notes.kept.clear()
            device = Device(port)
            notes.until(lambda: len(notes.kept) >= 3)
            assert notes.kept[0] == Measured(-12.34, 123_456.789, 7_654.321)
            device.stop()
    finally:
        follower.stop()
        follower.join(10)
    assert not follower.is_alive()


BROKER = ("127.0.0.1", 1883)


def broker_listens() -> bool:
    with socket.socket() as probe:
        probe.settimeout(0.3)
        return probe.connect_ex(BROKER) == 0


@pytest.fixture
def publish() -> Iterator[Callable[..., None]]:
    from paho.mqtt.client import Client
    from paho.mqtt.enums import CallbackAPIVersion

    client = Client(CallbackAPIVersion.VERSION2)
    client.connect(*BROKER)
    client.loop_start()
    yield lambda topic, payload, **options: client.publish(topic, payload, qos=1, **options).wait_for_publish(
        5
    )
    client.disconnect()
    client.loop_stop()


@pytest.mark.skipif(not broker_listens(), reason="no MQTT broker listens at 127.0.0.1:1883 (mosquitto)")
def test_a_real_broker_is_heard_and_what_it_kept_from_earlier_is_not(notes: Notes, publish):
    topic = f"depot-test/{uuid.uuid4().hex}"
    publish(topic, message(power=99_000), retain=True)
    paths = {"power_path": "em.0.power", "import_path": "em.0.in", "export_path": "em.0.out"}
    follower = Follower(unsaved("mqtt", topic=topic, **paths))
    follower.start()
    try:
        while not notes.kept:  # until the subscription stands
            publish(topic, message())
            time.sleep(0.02)
        assert notes.kept[0] == Measured(-1.5, 1234.5, 7.25), "and not the 99 kW of who knows when"
        publish(topic, b"nonsense")
        notes.until(lambda: "The message is not JSON." in notes.troubles)
    finally:
        publish(topic, b"", retain=True)
        follower.stop()
        follower.join(10)
    assert not follower.is_alive()


def test_a_broker_that_is_away_is_named(notes: Notes):
    port = free_port()
    follower = Follower(unsaved("mqtt", port=port, topic="t", power_path="p", import_path="i"))
    follower.start()
    notes.until(lambda: bool(notes.troubles))
    follower.stop()
    follower.join(10)
    assert notes.troubles[0] == f"Nothing answers at 127.0.0.1:{port}."


# ---- on the database


@pytest.fixture
def source(depot) -> MeterSource:
    return MeterSource.objects.create(
        meter=depot.meters.get(kind="grid"),
        kind="modbus",
        host="127.0.0.1",
        port=free_port(),
        every_s=5,
        changed_at=clock.wall_now() - timedelta(hours=1),
    )


def test_a_reading_is_kept_as_if_it_had_been_pushed_and_a_silent_meter_is_an_alert(depot, source):
    now = clock.now()
    watch_meters(depot, now)
    alert = Alert.objects.get()
    assert (alert.level, alert.title) == (
        "critical",
        "Grid connection (import and export) meter is silent and has never read",
    )
    keep(source, Measured(12.0, 100.0, 1.0))
    kept = MeterReading.objects.get()
    assert (kept.meter_id, kept.power_kw, kept.import_kwh_total, kept.export_kwh_total) == (
        source.meter_id,
        12,
        100,
        1,
    )
    watch_meters(depot, clock.now())
    assert Alert.objects.get().cleared_at is not None
    watch_meters(depot, clock.now() + timedelta(seconds=31))
    assert Alert.objects.filter(cleared_at=None).count() == 1
    keep(source, Measured(1e9, 100.0))
    assert "power_kw must be between" in MeterSource.objects.get().trouble
    keep(source, Measured(1.0, 100.0))
    assert MeterSource.objects.get().trouble == ""


def test_a_pushed_meter_is_watched_too_and_a_slow_one_is_given_its_time(depot, source):
    MeterSource.objects.update(kind="push", every_s=900)
    now = clock.now()
    reading = {"observed_at": (now - timedelta(minutes=40)).isoformat(), "power_kw": 1, "import_kwh_total": 1}
    take_in(source.meter, [reading], now)
    watch_meters(depot, now)
    assert not Alert.objects.exists()
    watch_meters(depot, now + timedelta(minutes=6))
    assert "No reading came. The guard assumes the worst" in Alert.objects.get().detail


def test_followers_start_change_and_end_as_the_set_up_says(source, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(Follower, "run", lambda self: self.stopping.wait())
    all_meters = Following()
    all_meters.look(clock.now())
    first = all_meters.followers[source.pk]
    all_meters.look(clock.now())
    assert all_meters.followers[source.pk] is first
    MeterSource.objects.update(changed_at=clock.wall_now())
    all_meters.look(clock.now())
    assert all_meters.followers[source.pk] is not first and first.stopping.is_set()
    MeterSource.objects.update(enabled=False)
    all_meters.look(clock.now())
    assert all_meters.followers == {}
    all_meters.end()


def test_a_technician_sets_a_source_up_and_its_password_is_shown_to_nobody(login, technician, depot):
    technician.is_staff = True
    technician.save()
    browser = login(technician)
    new = form_of(browser.get(address(MeterSource, "add"))) | {
        "meter": depot.meters.get(kind="grid").pk,
        "kind": "mqtt",
        "host": "broker.example",
        "topic": "meters/#",
        "user_name": "depot",
        "new_password": "hunter2-canary",
        "registers": json.dumps({"power": 1}),
    }
    refused = errors_of(browser.post(address(MeterSource, "add"), new))
    assert "would mix several" in refused and "A meter needs power and import" in refused
    assert "MQTT needs this" in refused
    new |= {"topic": "meters/grid", "power_path": "p", "import_path": "i", "registers": "{}"}
    answer = browser.post(address(MeterSource, "add"), new)
    assert answer.status_code == 302, errors_of(answer)
    source = MeterSource.objects.get()
    assert (source.password, source.place) == ("hunter2-canary", ("broker.example", 1883))
    page = browser.get(address(MeterSource, "change", source.pk))
    assert b"hunter2-canary" not in page.content
    assert "canary" not in source.sealed_password and source.sealed_password.startswith("sealed1:")
    kept = form_of(page) | {"every_s": "7", "registers": "{}"}
    changed = browser.post(address(MeterSource, "change", source.pk), kept)
    assert changed.status_code == 302, errors_of(changed)
    source.refresh_from_db()
    assert (source.every_s, source.password) == (7, "hunter2-canary"), "an empty field keeps it"
    elsewhere = kept | {"host": "10.0.0.9"}
    refused = errors_of(browser.post(address(MeterSource, "change", source.pk), elsewhere))
    assert "Enter the password again" in refused, "who cannot read it may not send it to a broker of theirs"
    changed = browser.post(
        address(MeterSource, "change", source.pk), elsewhere | {"new_password": "other-canary"}
    )
    assert changed.status_code == 302, errors_of(changed)
    source.refresh_from_db()
    assert (source.host, source.password) == ("10.0.0.9", "other-canary")
    assert "canary" not in str(list(AuditEvent.objects.values()))


def test_a_meter_nobody_fetches_is_missed_half_an_hour_after_it_has_read(depot, source):
    MeterSource.objects.update(enabled=False)
    now = clock.now()
    building = depot.meters.get(kind="building")
    for meter, ago in ((source.meter, 31), (building, 29)):
        at = (now - timedelta(minutes=ago)).isoformat()
        take_in(meter, [{"observed_at": at, "power_kw": 1, "import_kwh_total": 1}], now)
    watch_meters(depot, now)
    alert = Alert.objects.get()
    assert (alert.key, alert.level) == (f"meter:{source.meter_id}", "warning")
    assert alert.title.startswith("Grid connection (import and export) meter has not read since")


@pytest.mark.any_database
def test_a_password_sealed_with_another_key_is_said_and_not_tried(settings, notes: Notes):
    source = unsaved("mqtt", port=free_port(), topic="t", user_name="depot", password="hunter2-canary")
    settings.SECRET_KEY = "another key of this installation, after a move"
    follower = Follower(source)
    follower.start()
    notes.until(lambda: bool(notes.troubles))
    follower.stop()
    follower.join(10)
    assert notes.troubles[0].startswith("Its password cannot be opened: DEPOT_SECRET_KEY has changed.")


@pytest.mark.any_database
def test_a_link_that_was_good_for_a_while_is_tried_again_at_once(
    notes: Notes, monkeypatch: pytest.MonkeyPatch
):
    """Only losses in a row make the pauses longer: one that breaks every few hours is no bad link."""
    pauses: list[int] = []

    def pause(failures: int) -> float:
        pauses.append(failures)
        return 0.0

    class Shaky:
        def __init__(self, source: MeterSource) -> None:
            self.left = 0 if len(pauses) < 3 else 1

        def connect(self) -> None:
            pass

        def close(self) -> None:
            pass

        def read(self) -> Measured:
            if not self.left:
                raise OSError("The link is lost.")
            self.left -= 1
            return Measured(1.0, 2.0)

    monkeypatch.setattr(following, "pause_s", pause)
    monkeypatch.setattr(following, "ModbusMeter", Shaky)
    follower = Follower(unsaved("modbus", port=1, every_s=0))
    follower.start()
    notes.until(lambda: len(pauses) >= 6)
    follower.stop()
    follower.join(10)
    assert pauses[:6] == [1, 2, 3, 1, 1, 1]


@pytest.mark.any_database
def test_a_fault_in_one_look_ends_no_follower(monkeypatch: pytest.MonkeyPatch, settings, tmp_path):
    settings.VAR_DIR = tmp_path
    stopping, looks = threading.Event(), []
    all_meters = Following()

    def look(now: datetime) -> None:
        looks.append(now)
        if len(looks) > 1:
            stopping.set()
        raise ValueError("a fault of the program")

    monkeypatch.setattr(following, "LOOK_EVERY_S", 0.01)
    monkeypatch.setattr(following, "close_old_connections", lambda: None)
    monkeypatch.setattr(all_meters, "look", look)
    all_meters.run(stopping)
    assert len(looks) == 2 and not (tmp_path / "meters.alive").exists(), "the health check sees it"
