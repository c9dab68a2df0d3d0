"""A body that is too large is refused while it arrives; the application behind never stores it."""

from __future__ import annotations

import asyncio
import json
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.conf import settings

from depot.imports import MAX_BYTES
from depot.project.asgi import application
from depot.project.body_limit import BodyLimit

CHUNK = b"x" * 1000


async def spool(scope, receive, send):
    """Read the whole body, then say how much it was, as Django does."""
    size, more = 0, True
    while more:
        message = await receive()
        size, more = size + len(message.get("body", b"")), message.get("more_body", False)
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": str(size).encode()})


def call(app, chunks, declared=None, path="/log-in/"):
    """Send a body in chunks; return status, body and how many chunks were taken."""
    headers = [] if declared is None else [(b"content-length", str(declared).encode())]
    scope = {"type": "http", "method": "POST", "path": path, "headers": headers}
    taken, sent = 0, []

    async def receive():
        nonlocal taken
        taken += 1
        return {"type": "http.request", "body": CHUNK, "more_body": taken < chunks}

    async def send(message):
        sent.append(message)

    # In a thread of its own: a browser that other tests left open has a loop running in this one.
    with ThreadPoolExecutor(1) as thread:
        thread.submit(asyncio.run, app(scope, receive, send)).result()
    return sent[0]["status"], sent[1]["body"].decode(), taken


@pytest.mark.parametrize("declared", [None, 10, 10_000])
def test_a_body_within_the_limit_passes(declared):
    assert call(BodyLimit(spool, 10_000), 10, declared) == (200, "10000", 10)


def test_a_body_without_a_length_is_cut_off_where_it_passes_the_limit():
    status, _, taken = call(BodyLimit(spool, 10_000), 395_000)
    assert (status, taken) == (413, 11)


def test_a_body_that_says_it_is_too_large_is_not_read_at_all():
    status, text, taken = call(application, 5, declared=395 * 2**20)
    assert (status, taken) == (413, 0)
    assert text == "A request has 32 MB at most. Split it."


def test_the_api_refuses_in_its_own_shape():
    status, text, _ = call(application, 5, declared=395 * 2**20, path="/api/v1/telemetry")
    assert (status, json.loads(text)["code"]) == (413, "too_large")


def test_every_door_can_say_itself_what_is_too_large_for_it():
    assert max(MAX_BYTES, settings.DATA_UPLOAD_MAX_MEMORY_SIZE) < settings.LARGEST_REQUEST
