"""Check payloads against the JSON schemas that come with the `ocpp` package."""

from __future__ import annotations

import json
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from importlib.resources import files
from typing import Any

from jsonschema import Draft4Validator, Draft6Validator
from jsonschema.exceptions import ValidationError, best_match
from jsonschema.protocols import Validator

from charging.ocpp.compiled import Test, compile_schema
from charging.ocpp.frames import Fault

FOLDERS = {"1.6": "v16", "2.0.1": "v201", "2.1": "v21"}
CODES = {
    "type": "TypeConstraintViolation",
    "required": "OccurrenceConstraintViolation",
    "minItems": "OccurrenceConstraintViolation",
    "maxItems": "OccurrenceConstraintViolation",
    "additionalProperties": "FormatViolation",
    "enum": "PropertyConstraintViolation",
    "maxLength": "PropertyConstraintViolation",
    "minimum": "PropertyConstraintViolation",
    "maximum": "PropertyConstraintViolation",
    "multipleOf": "PropertyConstraintViolation",
}
LONGEST_NAME = 60
Payload = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Message:
    """A message's schema, compiled, and the validator that knows why something breaks it."""

    passes: Test
    validator: Validator
    decimal: bool

    def errors(self, payload: Payload) -> list[ValidationError]:
        """Return what breaks the schema; nothing when the quick test passes."""
        if self.passes(payload):
            return []
        if self.decimal:
            # OCPP 1.6's schemas ask for one decimal place at most, which binary fractions cannot show.
            payload = json.loads(json.dumps(payload), parse_float=Decimal)
        return list(self.validator.iter_errors(payload))


def check_request(version: str, action: str, payload: Payload) -> None:
    """Raise Fault when a request's payload breaks its schema, or there is no such action."""
    _check(request_schema(version, action), payload)


def check_response(version: str, action: str, payload: Payload) -> None:
    """Raise Fault when a response's payload breaks its schema, or there is no such action."""
    _check(_of(version, f"{action}Response"), payload)


def request_schema(version: str, action: str) -> Message:
    """Return the schema of a request; raises Fault when the version has no such action."""
    return _of(version, action if version == "1.6" else f"{action}Request")


def send_schema(version: str, action: str) -> Message:
    """Return the schema of a message that is not answered; raises Fault when the version has none."""
    return _of(version, action)


def is_known(version: str, action: str) -> bool:
    """Tell whether a version has an action, in either direction."""
    return _message(version, f"{action}Response") is not None


def fault_of(error: ValidationError) -> Fault:
    """Return a broken rule as the fault that is answered."""
    place = ".".join(str(part) for part in error.absolute_path) or "payload"
    code = CODES.get(str(error.validator), "FormatViolation")
    return Fault(code, f"{place}: {error.message:.180}")


def _check(message: Message, payload: Payload) -> None:
    error = best_match(message.errors(payload))
    if error is not None:
        raise fault_of(error)


def _of(version: str, name: str) -> Message:
    found = _message(version, name)
    if found is None:
        raise Fault("NotImplemented", f"OCPP {version} has no message {name!r:.60}.")
    return found


@lru_cache(maxsize=512)
def _message(version: str, name: str) -> Message | None:
    """Return a message's schema, or None when the version has no such message."""
    if not (name.isascii() and name.isalnum() and len(name) <= LONGEST_NAME):
        return None
    source = files("ocpp") / FOLDERS[version] / "schemas" / f"{name}.json"
    if not source.is_file():
        return None
    old = version == "1.6"
    schema = json.loads(source.read_text("utf-8-sig"), parse_float=Decimal if old else float)
    validator = Draft4Validator(schema) if old else Draft6Validator(schema)
    return Message(compile_schema(schema), validator, decimal=old)
