"""Webhooks: what is signed, where they never go, and a real receiver that fails before it hears."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
import time_machine

from depot import clock
from depot.alerts import clear, raise_alert
from depot.alerts.services import Cause
from depot.jobs import services as jobs
from depot.models import Alert, AuditEvent, Job, Webhook, WebhookDelivery
from depot.webhooks import sending, signing
from depot.webhooks.sending import AddressError, check_url, post, resolve
from depot.webhooks.services import PAUSES, ask_for_due, deliver, publish, send_again, tell_readiness
from tests.depot.admin_forms import address, errors_of, form_of
from tests.factories import make_person

# ---- where they go


@pytest.mark.parametrize(
    "url",
    [
        "http://hooks.example/",
        "ftp://hooks.example/",
        "https://",
        "https://user:secret@hooks.example/",
        "https://hooks.example:99999/",
        "https://hooks.example/a b",
        "https://hooks.example/" + "x" * 500,
        "https://127.0.0.1/",
        "https://10.1.2.3/",
        "https://169.254.169.254/latest/meta-data",
        "https://100.64.0.1/",
        "https://0.0.0.0/",
        "https://[::1]/",
        "https://[fe80::1]/",
        "https://[::ffff:10.0.0.1]/",
        "https://[64:ff9b::a00:1]/",
        "https://[2002:a00:1::]/",
        "https://224.0.0.1/",
    ],
)
def test_no_webhook_goes_to_a_private_or_an_open_address(url):
    with pytest.raises(AddressError):
        check_url(url)


def test_a_name_is_refused_when_any_of_its_addresses_is_private(monkeypatch: pytest.MonkeyPatch):
    def answers(*addresses):
        found = [(0, 0, 0, "", (one, 443)) for one in addresses]
        monkeypatch.setattr(sending.socket, "getaddrinfo", lambda *_, **__: found)

    answers("93.184.216.34")
    assert resolve("hooks.example", 443) == "93.184.216.34"
    answers("93.184.216.34", "10.0.0.1")
    with pytest.raises(AddressError, match="private network"):
        resolve("hooks.example", 443)
    assert check_url("https://hooks.example:8443/x?y=1").port == 8443
    assert post("https://hooks.example/", b"{}", {}).words.startswith("The address lies in a private")


def test_the_signature_is_that_of_standard_webhooks():
    """The example of the specification's reference libraries."""
    secret = base64.b64decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    found = signing.headers(secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}')
    assert found["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    assert signing.readable(secret) == "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


# ---- a real receiver


class Receiver:
    """An HTTP server that keeps what it is sent and answers with the next of its statuses, then 204."""

    def __init__(self) -> None:
        self.heard: list[tuple[dict[str, str], bytes]] = []
        self.statuses: list[int] = []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.heard.append(({name.lower(): value for name, value in self.headers.items()}, body))
                status = receiver.statuses.pop(0) if receiver.statuses else 204
                self.send_response(status)
                if status == 302:
                    self.send_header("Location", "/elsewhere")
                self.send_header("Content-Length", "4" if status != 204 else "0")
                self.end_headers()
                if status != 204:
                    self.wfile.write(b"n\x00pe")

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://localhost:{self.server.server_address[1]}/hook?x=1"
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()


@pytest.fixture
def receiver(settings) -> Iterator[Receiver]:
    settings.DEBUG = settings.WEBHOOKS_TO_PRIVATE = True
    found = Receiver()
    yield found
    found.server.shutdown()
    found.server.server_close()


@pytest.fixture
def hook(depot, receiver) -> Webhook:
    return Webhook.objects.create(depot=depot, name="Pager", url=receiver.url, topics=["alerts", "readiness"])


def run_jobs() -> list[bool]:
    waiting = Job.objects.filter(kind="webhook", state="queued").order_by("created_at")
    return [jobs.run(job.pk, beat=False) for job in waiting]


def verified(hook: Webhook, headers: dict[str, str], body: bytes) -> dict[str, Any]:
    """Return what a delivery says, after a check of its own of who sent it."""
    key = base64.b64decode(signing.readable(hook.secret).removeprefix("whsec_"))
    text = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.{body.decode()}"
    expected = base64.b64encode(hmac.digest(key, text.encode(), hashlib.sha256)).decode()
    assert headers["webhook-signature"] == f"v1,{expected}"
    found: dict[str, Any] = json.loads(body)
    assert found["id"] == headers["webhook-id"]
    return found


def test_an_alert_is_told_signed_and_again_until_it_is_heard(depot, other_depot, hook, receiver):
    receiver.statuses = [500, 302]
    raise_alert(other_depot, Cause("fire", "critical", "Not ours"))
    raise_alert(depot, Cause("fire", "critical", "Bus 01 will not be ready"))
    raise_alert(depot, Cause("fire", "critical", "Bus 01 will not be ready"))
    now = clock.wall_now()
    assert run_jobs() == [True]
    [delivery] = WebhookDelivery.objects.all()
    assert (delivery.state, delivery.status, delivery.answer, delivery.attempts) == (
        "waiting",
        500,
        "n pe",
        1,
    )
    assert ask_for_due() == 0, "not before its pause is over"
    for pause in PAUSES[:2]:
        now += pause + timedelta(seconds=5)
        with time_machine.travel(now, tick=False):
            assert (ask_for_due(), ask_for_due()) == (1, 1)
            assert run_jobs() == [True], "asked for twice, tried once"
    delivery.refresh_from_db()
    assert (delivery.state, delivery.status, delivery.attempts) == ("heard", 204, 3), (
        "no redirect was followed"
    )
    said = [verified(hook, *one) for one in receiver.heard]
    assert len(said) == 3 and {one["id"] for one in said} == {str(delivery.pk)}
    assert (said[0]["event"], said[0]["depot"], said[0]["data"]["title"]) == (
        "alert.raised", depot.slug, "Bus 01 will not be ready",
    )  # fmt: skip
    assert deliver(str(delivery.pk), 3) is None, "an attempt is made once, whoever asks how often"
    clear(depot, "fire")
    run_jobs()
    assert verified(hook, *receiver.heard[-1])["event"] == "alert.cleared"


def test_it_is_given_up_in_the_end_and_people_are_told(depot, hook, receiver):
    publish(depot, "plans", "plan.changed", {})
    assert not WebhookDelivery.objects.exists(), "it does not want plans"
    hook.topics = ["plans"]
    hook.save()
    publish(depot, "plans", "plan.changed", {"id": 1})
    delivery = WebhookDelivery.objects.get()
    receiver.server.shutdown()
    receiver.server.server_close()
    for attempt in range(1, len(PAUSES) + 2):
        assert deliver(str(delivery.pk), attempt) is not None
    delivery.refresh_from_db()
    assert (delivery.state, delivery.status) == ("failed", 0) and "ConnectionRefused" in delivery.answer
    assert Alert.objects.get().title == "Webhook Pager did not hear of plan.changed"
    send_again(delivery, make_person(depot, "owner"))
    delivery.refresh_from_db()
    assert (delivery.state, delivery.attempts) == ("waiting", 0)
    assert Job.objects.filter(kind="webhook", state="queued").count() == 2, "one more than was never run here"
    assert AuditEvent.objects.filter(verb="webhook.sent_again").exists()


def test_a_receiver_that_is_gone_is_switched_off(depot, hook, receiver):
    receiver.statuses = [410]
    publish(depot, "alerts", "alert.raised", {})
    run_jobs()
    hook.refresh_from_db()
    assert not hook.active and WebhookDelivery.objects.get().state == "failed"


def test_readiness_is_told_when_it_changes(depot, hook):
    first = {
        "1:2026-03-11": {"block": "101", "state": "ready"},
        "2:2026-03-11": {"block": "102", "state": "at_risk"},
    }
    tell_readiness(depot, first)
    tell_readiness(depot, first)
    tell_readiness(depot, {"2:2026-03-11": {"block": "102", "state": "will_miss"}})
    tell_readiness(depot, {})
    told = [json.loads(one.body)["data"]["changes"] for one in WebhookDelivery.objects.order_by("created_at")]
    assert [[(one["block"], one["was"], one["state"]) for one in changes] for changes in told] == [
        [("101", None, "ready"), ("102", None, "at_risk")],
        [("102", "at_risk", "will_miss")],
    ]


def test_an_owner_sets_it_up_and_sees_its_secret_once(login, depot):
    owner = make_person(depot, "owner")
    manager = make_person(depot, "manager")
    for person in (owner, manager):
        person.is_staff = True
        person.save()
    assert login(manager).get(address(Webhook, "changelist")).status_code == 403
    browser = login(owner)
    new = form_of(browser.get(address(Webhook, "add"))) | {
        "depot": depot.pk, "name": "Pager", "url": "https://192.168.0.4/x", "topics": ["alerts", "plans"],
    }  # fmt: skip
    assert "private network" in errors_of(browser.post(address(Webhook, "add"), new))
    shown = browser.post(address(Webhook, "add"), new | {"url": "https://hooks.example/x"})
    hook = Webhook.objects.get()
    secret = signing.readable(hook.secret)
    assert secret in shown.content.decode() and "no-store" in shown["Cache-Control"]
    assert secret not in browser.get(address(Webhook, "change", hook.pk)).content.decode()
    assert secret not in str(list(Webhook.objects.values())) + str(list(AuditEvent.objects.values()))
    renewed = browser.post(address(Webhook, "changelist"), {"action": "renew", "_selected_action": [hook.pk]})
    hook.refresh_from_db()
    assert (
        signing.readable(hook.secret) in renewed.content.decode() and signing.readable(hook.secret) != secret
    )


@pytest.mark.any_database
def test_a_receiver_that_drips_is_cut_off(monkeypatch: pytest.MonkeyPatch, settings):
    """Each byte comes in time, and the answer never ends: without an end to all of it a worker would be held."""
    settings.DEBUG, settings.WEBHOOKS_TO_PRIVATE = True, True
    monkeypatch.setattr(sending, "ALL_S", 1.0)
    stop = threading.Event()

    def drip(server: socket.socket) -> None:
        peer, _ = server.accept()
        with peer, suppress(OSError):
            peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 300\r\n\r\n")
            while not stop.wait(0.1):
                peer.sendall(b"x")

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=drip, args=[server])
        thread.start()
        began = time.monotonic()
        answer = post(f"http://127.0.0.1:{server.getsockname()[1]}/", b"{}", {})
        took = time.monotonic() - began
        stop.set()
        thread.join()
    assert took < 5.0
    assert answer.status == 0 and answer.words.startswith("No answer")
