"""Clients of the web server that keep on trying, and note what was acknowledged."""

from __future__ import annotations

import http.client
import json
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

TOKEN = "x" * 32  # of the cookie against forged requests: the form sends the same
RETRY_S = 0.1
GONE = (OSError, http.client.HTTPException)


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    headers: dict[str, str]
    text: str

    def json(self) -> Any:
        return json.loads(self.text)


@dataclass(frozen=True, slots=True)
class Browser:
    """Sends requests to a port, each on a connection of its own; raises one of `GONE` when it gets no answer."""

    port: int
    headers: dict[str, str]
    timeout_s: float = 30.0

    def get(self, path: str) -> Answer:
        return self._send("GET", path, b"", {})

    def post_json(self, path: str, body: Any, **headers: str) -> Answer:
        return self._send(
            "POST", path, json.dumps(body).encode(), {"Content-Type": "application/json"} | headers
        )

    def post_form(self, path: str, file: tuple[str, str] | None = None, **fields: str) -> Answer:
        """Send a form, with a file (name, text) in its field `file`."""
        border = uuid.uuid4().hex
        parts = [("", name, text) for name, text in (fields | {"csrfmiddlewaretoken": TOKEN}).items()]
        if file is not None:
            parts.append((f'; filename="{file[0]}"', "file", file[1]))
        body = "".join(
            f'--{border}\r\nContent-Disposition: form-data; name="{name}"{extra}\r\n\r\n{text}\r\n'
            for extra, name, text in parts
        )
        kind = {"Content-Type": f"multipart/form-data; boundary={border}"}
        return self._send("POST", path, f"{body}--{border}--\r\n".encode(), kind)

    def _send(self, verb: str, path: str, body: bytes, headers: dict[str, str]) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=self.timeout_s)
        try:
            connection.request(verb, path, body, self.headers | headers)
            response = connection.getresponse()
            return Answer(response.status, dict(response.getheaders()), response.read().decode())
        finally:
            connection.close()


def with_key(port: int, key: str) -> Browser:
    return Browser(port, {"Authorization": f"Bearer {key}"})


def logged_in(port: int, session: str) -> Browser:
    return Browser(port, {"Cookie": f"sessionid={session}; csrftoken={TOKEN}"})


def insist(send: Callable[[], Answer], seconds: float = 40) -> Answer:
    """Send until there is an answer that is not 503; the server may be away meanwhile."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            answer = send()
            if answer.status != http.client.SERVICE_UNAVAILABLE:
                return answer
        except GONE:
            pass  # killed or not up yet
        assert time.monotonic() < deadline, "no answer"
        time.sleep(RETRY_S)


class Again(threading.Thread):
    """Does something again and again, with a rising number, until told to stop; `failure` says what went wrong."""

    def __init__(self, act: Callable[[int], None]) -> None:
        super().__init__(daemon=True)
        self._act = act
        self._enough = threading.Event()
        self.failure: BaseException | None = None
        self.done = 0

    def run(self) -> None:
        try:
            while not self._enough.is_set():
                self._act(self.done)
                self.done += 1
        except BaseException as failure:  # the test tells it, in its own thread
            self.failure = failure

    def stop(self) -> None:
        """Finish what is under way; raise what went wrong."""
        self._enough.set()
        self.join(60)
        if self.failure is not None:
            raise self.failure
