"""Check payloads against the JSON schemas that come with the `ocpp` package."""

from __future__ import annotations

import json
from decimal import Decimal
from functools import lru_cache
from importlib.resources import files
from typing import Any

from jsonschema import Draft4Validator, Draft6Validator
from jsonschema.exceptions import ValidationError, best_match
from jsonschema.protocols import Validator

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


def check_request(version: str, action: str, payload: dict[str, Any]) -> None:
    """Raise Fault when a request's payload breaks its schema, or there is no such action."""
    _check(version, action if version == "1.6" else f"{action}Request", payload)


def check_response(version: str, action: str, payload: dict[str, Any]) -> None:
    """Raise Fault when a response's payload breaks its schema, or there is no such action."""
    _check(version, f"{action}Response", payload)


def _check(version: str, name: str, payload: dict[str, Any]) -> None:
    validator = _validator(version, name)
    if validator is None:
        raise Fault("NotImplemented", f"OCPP {version} has no message {name!r:.60}.")
    if version == "1.6":
        # Its schemas ask for one decimal place at most, which binary fractions cannot show.
        payload = json.loads(json.dumps(payload), parse_float=Decimal)
    error = best_match(validator.iter_errors(payload))
    if error is not None:
        raise Fault(CODES.get(str(error.validator), "FormatViolation"), _sentence(error))


def _sentence(error: ValidationError) -> str:
    place = ".".join(str(part) for part in error.absolute_path) or "payload"
    return f"{place}: {error.message:.180}"


@lru_cache(maxsize=512)
def _validator(version: str, name: str) -> Validator | None:
    """Return the validator of a message, or None when the version has no such message."""
    if not name.isalnum():
        return None
    source = files("ocpp") / FOLDERS[version] / "schemas" / f"{name}.json"
    if not source.is_file():
        return None
    old = version == "1.6"
    schema = json.loads(source.read_text("utf-8-sig"), parse_float=Decimal if old else float)
    return Draft4Validator(schema) if old else Draft6Validator(schema)
