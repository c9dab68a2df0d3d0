"""Frames that no station should send: every one is answered in the words of OCPP, and the gateway lives on.

`FUZZ_FRAMES=100000 pytest tests/charging/ocpp/test_fuzz.py` sends as many as that.
"""

from __future__ import annotations

import copy
import json
import logging
import os
import random
import resource
from typing import Any

import pytest

from charging.models import Charger
from tests.charging.ocpp.conftest import BOOT_16, BOOT_201, Running, Talk, dial
from tests.charging.ocpp.payloads import actions, payload

FRAMES = int(os.environ.get("FUZZ_FRAMES", "1000"))
AT_ONCE = 40
CODES = {
    "FormatViolation", "FormationViolation", "GenericError", "InternalError", "MessageTypeNotSupported",
    "NotImplemented", "NotSupported", "OccurrenceConstraintViolation", "OccurenceConstraintViolation",
    "PropertyConstraintViolation", "ProtocolError", "RpcFrameworkError", "SecurityError",
    "TypeConstraintViolation",
}  # fmt: skip
STRANGE: list[Any] = [
    None, True, False, 0, -1, 1e308, -1e308, 2**63, 0.5, "", "x" * 300, "\x00", "é\ud7ff", "1970-01-01T00:00:00Z",
    "9999-12-31T23:59:59Z", "0001-01-01T00:00:00+14:00", "now", [], {}, [[]], {"a": {"b": {}}}, "NaN", "' OR 1=1 --",
    "<script>", [None] * 50,
]  # fmt: skip


def strange(dice: random.Random) -> Any:
    return copy.deepcopy(dice.choice(STRANGE))


def spoil(value: Any, dice: random.Random) -> None:
    """Put something strange at a random place, add something, or take something away."""
    while isinstance(value, dict | list) and value:
        key = dice.choice(list(value)) if isinstance(value, dict) else dice.randrange(len(value))
        if isinstance(value[key], dict | list) and dice.random() < 0.7:
            value = value[key]
            continue
        match dice.randrange(3):
            case 0:
                value[key] = strange(dice)
            case 1 if isinstance(value, dict):
                value[dice.choice(["x", "customData", "idTag", "timestamp"])] = strange(dice)
            case _:
                del value[key]
        return


def frame(version: str, number: int, dice: random.Random) -> str:
    """Return a frame that is wrong in some way, or by chance is not; its id, if it has one, is unique."""
    action = dice.choice(actions(version))
    body = json.loads(json.dumps(payload(version, action, full=dice.random() < 0.5)))
    for _ in range(dice.randrange(4)):
        spoil(body, dice)
    whole: list[Any] = [2, f"f{number}", action, body]
    text = json.dumps(whole)
    match dice.randrange(12):
        case 0:
            cut = dice.randrange(len(text))
            return text[:cut] + dice.choice(["", "\x00", "]", '"', "{"]) + text[cut + 1 :]
        case 1:
            whole[dice.randrange(4)] = strange(dice)
            return json.dumps(whole)
        case 2:
            return json.dumps(whole[: dice.randrange(4)])
        case 3:
            return dice.choice(
                ["[" * 900, "{}", "[]", "null", "[3]", '[4,"a"]', '[3,"a",1]', "[5]", '[6,"a","b",{}]']
            )
    return text


@pytest.mark.parametrize(("version", "boot"), [("1.6", BOOT_16), ("2.0.1", BOOT_201), ("2.1", BOOT_201)])
def test_strange_frames_are_answered_and_do_no_harm(
    running: Running, charger: Charger, version: str, boot: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.ERROR)
    dice = random.Random(version)
    before_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    unreadable = 0
    number = 0
    while number < FRAMES // 3:
        with dial(running, charger, version=version) as socket:
            talk = Talk(socket)
            talk.ask("BootNotification", boot)
            sent: set[str] = set()
            for _ in range(AT_ONCE):
                number += 1
                text = frame(version, number, dice)
                socket.send(text)
                if text.startswith(f'[2, "f{number}"') and text.endswith("]"):
                    sent.add(f"f{number}")
            socket.send(json.dumps([2, "the-last", "Heartbeat", {}]))
            while (answer := talk.receive(20))[1] != "the-last":
                assert answer[0] in (2, 3, 4, 5), answer
                if answer[0] == 4:
                    assert answer[2] in CODES, answer
                    assert answer[2] != "InternalError", answer
                    unreadable += answer[1] == "-1"
                sent.discard(answer[1])
            assert answer[0] == 3
    assert unreadable
    assert [record.getMessage() for record in caplog.records if "failed" in record.getMessage()] == []
    if FRAMES > 10_000:
        grown_mb = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kb) / 1024
        print(f"\n{version}: {number} frames, memory grew by {grown_mb:.0f} MB")
        assert grown_mb < 200
