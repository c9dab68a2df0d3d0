"""OCPP-J frames: JSON lists in and out, and what is wrong with those that cannot be read."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, NoReturn

CALL, RESULT, ERROR, RESULT_ERROR, SEND = 2, 3, 4, 5, 6
LONGEST_ID = 36
UNREADABLE_ID = "-1"
OLD_WORDS = {
    "FormatViolation": "FormationViolation",
    "OccurrenceConstraintViolation": "OccurenceConstraintViolation",
    "RpcFrameworkError": "ProtocolError",
    "MessageTypeNotSupported": "ProtocolError",
}
"""Error codes that OCPP 1.6 spells differently or does not have."""


class Fault(Exception):  # noqa: N818 - OCPP's own word is error, and that is the frame below
    """A call that cannot be done, in the words of a CALLERROR. `message_id` "-1" = it could not be read."""

    def __init__(self, code: str, description: str, message_id: str = UNREADABLE_ID) -> None:
        super().__init__(f"{code}: {description}")
        self.code = code
        self.description = description
        self.message_id = message_id


@dataclass(frozen=True, slots=True)
class Call:
    """A request."""

    message_id: str
    action: str
    payload: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Result:
    """The answer to a request."""

    message_id: str
    payload: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Error:
    """The refusal of a request."""

    message_id: str
    code: str
    description: str


@dataclass(frozen=True, slots=True)
class ResultError:
    """OCPP 2.1: an answer could not be used by the side that had asked."""

    message_id: str
    code: str
    description: str


@dataclass(frozen=True, slots=True)
class Send:
    """OCPP 2.1: a message that nobody answers."""

    message_id: str
    action: str
    payload: dict[str, Any]


class BrokenAnswer(Fault):
    """An answer that cannot be read. It settles the call it belongs to, and is never answered itself."""


Frame = Call | Result | Error | ResultError | Send


def read(text: str | bytes, version: str = "2.1") -> Frame:
    """Return the frame in `text`; raises Fault, with the id of a request as far as it could be read.

    An answer that cannot be read raises BrokenAnswer.
    """
    try:
        raw = json.loads(text, parse_constant=_no_constant)
        _check_signs(text, raw)
    except (ValueError, RecursionError) as error:
        raise Fault("RpcFrameworkError", "The message is not valid JSON.") from error
    if isinstance(text, bytes):
        raise Fault("RpcFrameworkError", "A message must be a text frame.")
    if not isinstance(raw, list) or not raw:
        raise Fault("RpcFrameworkError", "A message must be a JSON list that begins with its type.")
    message_id = raw[1] if len(raw) > 1 else None
    if not isinstance(message_id, str) or not 0 < len(message_id) <= LONGEST_ID:
        raise Fault("RpcFrameworkError", f"The second part must be an id of 1 to {LONGEST_ID} characters.")
    kind = raw[0] if type(raw[0]) is int else None
    if kind == CALL:
        return _call(raw, message_id)
    if kind == RESULT and len(raw) == 3 and isinstance(raw[2], dict):
        return Result(message_id, raw[2])
    if kind == ERROR and len(raw) >= 3:
        words = [str(part) for part in raw[2:4]] + [""]
        return Error(message_id, words[0], words[1])
    if kind in (RESULT, ERROR):
        raise BrokenAnswer("RpcFrameworkError", "The answer is incomplete.", message_id)
    if version == "2.1" and kind in (RESULT_ERROR, SEND):
        return _new_kind(kind, raw, message_id)
    raise Fault("MessageTypeNotSupported", f"There is no message type {raw[0]!r:.20}.", message_id)


def _check_signs(text: str | bytes, raw: Any) -> None:
    """Raise ValueError for escapes that stand for no text: NUL, and halves of signs. No database keeps them."""
    if isinstance(text, str) and "\\u" in text:
        readable = json.dumps(raw, ensure_ascii=False)
        readable.encode()
        if "\\u0000" in readable:
            raise ValueError("a text contains NUL")


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _call(raw: list[Any], message_id: str) -> Call:
    if len(raw) != 4 or not isinstance(raw[2], str):
        raise Fault("RpcFrameworkError", "A call is [2, id, action, payload].", message_id)
    if not isinstance(raw[3], dict):
        raise Fault("FormatViolation", "The payload must be a JSON object.", message_id)
    return Call(message_id, raw[2], raw[3])


def _new_kind(kind: int, raw: list[Any], message_id: str) -> Frame:
    """Return a frame of a type that OCPP 2.1 has added; neither is ever answered."""
    if kind == RESULT_ERROR and len(raw) >= 3:
        words = [str(part) for part in raw[2:4]] + [""]
        return ResultError(message_id, words[0], words[1])
    if kind == SEND and len(raw) == 4 and isinstance(raw[2], str) and isinstance(raw[3], dict):
        return Send(message_id, raw[2], raw[3])
    raise BrokenAnswer("RpcFrameworkError", "The message is incomplete.", message_id)


def write(frame: Frame) -> str:
    """Return the text of a frame."""
    match frame:
        case Call(message_id, action, payload):
            parts: list[Any] = [CALL, message_id, action, payload]
        case Result(message_id, payload):
            parts = [RESULT, message_id, payload]
        case Error(message_id, code, description):
            parts = [ERROR, message_id, code, description[:255], {}]
        case ResultError(message_id, code, description):
            parts = [RESULT_ERROR, message_id, code, description[:255], {}]
        case Send(message_id, action, payload):
            parts = [SEND, message_id, action, payload]
    return json.dumps(parts, separators=(",", ":"))


def refusal(fault: Fault, version: str) -> Error:
    """Return a fault as the error frame of a protocol version."""
    code = OLD_WORDS.get(fault.code, fault.code) if version == "1.6" else fault.code
    return Error(fault.message_id, code, fault.description)
