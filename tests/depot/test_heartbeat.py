"""The heartbeat of a running job goes on beating when the database refuses once."""

from __future__ import annotations

import time
import uuid
from types import SimpleNamespace

import pytest
from django.db import OperationalError

from depot.jobs import services


class Rows:
    """Rows whose first update finds the database locked."""

    def __init__(self) -> None:
        self.beats = 0

    def filter(self, **conditions: object) -> Rows:
        return self

    def update(self, **values: object) -> int:
        self.beats += 1
        if self.beats == 1:
            raise OperationalError("database is locked")
        return 1


def test_a_beat_that_fails_is_followed_by_the_next(
    settings, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    settings.JOB_HEARTBEAT_SECONDS = 0.01
    rows = Rows()
    monkeypatch.setattr(services, "Job", SimpleNamespace(objects=rows))
    with services._heartbeat(SimpleNamespace(pk=uuid.uuid4(), kind="plan"), uuid.uuid4()):
        deadline = time.monotonic() + 5
        while rows.beats < 3 and time.monotonic() < deadline:
            time.sleep(0.01)
    assert rows.beats >= 3
    assert "no heartbeat this time (database is locked)" in caplog.text
    seen = rows.beats
    time.sleep(0.05)
    assert rows.beats == seen
