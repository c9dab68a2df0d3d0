"""Mend what stations are known to send wrongly, where the meaning is plain and the facts must not be lost.

What is mended is said, so that the frame can be logged. Everything else keeps its error.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

from jsonschema.exceptions import ValidationError, best_match

from charging.ocpp.schemas import Payload, fault_of, request_schema

TOLERANT = {
    "BootNotification", "StatusNotification", "StartTransaction", "StopTransaction", "MeterValues",
    "TransactionEvent", "NotifyReport", "NotifyEvent", "NotifyEVChargingNeeds",
}  # fmt: skip
"""Messages that carry facts which a station may not tell twice."""
NAMES = {"idTag", "parentIdTag", "idToken", "transactionId"}
"""Texts that are never shortened: a shortened name is another name."""
STAND_INS = {
    "triggerReason": "Trigger",
    "errorCode": "OtherError",
    "reason": "Unknown",
}
"""What stands for a word that is not in the list of its (required) field."""
WHOLE = ("meterStart", "meterStop")
"""Whole numbers that stations send with fractions."""
MOST_ROUNDS = 50
Path = Sequence[str | int]


def mended(version: str, action: str, payload: Payload) -> tuple[Payload, list[str]]:
    """Return the payload as its schema has it, and what had to be mended; raises Fault for what cannot be."""
    schema = request_schema(version, action)
    errors = schema.errors(payload)
    if not errors:
        return payload, []
    first = fault_of(best_match(errors))
    if action not in TOLERANT:
        raise first
    better, notes = copy.deepcopy(payload), []
    for _ in range(MOST_ROUNDS):
        error = errors[0]
        if not _mend(better, list(error.absolute_path), error):
            raise first
        notes.append(fault_of(error).description)
        errors = schema.errors(better)
        if not errors:
            return better, notes
    raise first


def _mend(payload: Payload, path: list[str | int], error: ValidationError) -> bool:
    """Mend one fault in place and tell whether that could be done."""
    rule = str(error.validator)
    if rule == "additionalProperties":
        place = _at(payload, path)
        for name in set(place) - set(error.schema.get("properties", {})):
            del place[name]
        return True
    if not path:
        return False
    if "sampledValue" in path:
        return _mend_sample(payload, path, rule)
    holder = _at(payload, path[:-1])
    return isinstance(holder, dict) and _mend_field(holder, str(path[-1]), rule, error)


def _mend_field(holder: dict[str, Any], name: str, rule: str, error: ValidationError) -> bool:
    """Mend one field of an object: nulls and empty lists go, long texts are cut, whole numbers are made whole."""
    value = holder[name]
    if (rule == "type" and value is None) or (rule == "minItems" and not value):
        del holder[name]
    elif (
        rule == "type"
        and isinstance(value, float)
        and (name in WHOLE or "chargingNeeds" in error.absolute_path)
    ):
        holder[name] = round(value)
    elif rule == "maxLength" and name not in NAMES:
        holder[name] = value[: error.validator_value]
    elif rule == "multipleOf":
        holder[name] = round(float(value), 1)
    elif rule == "enum":
        _mend_word(holder, name, error)
    else:
        return False
    return True


def _mend_word(holder: dict[str, Any], name: str, error: ValidationError) -> None:
    """Put a stand-in for a word that is not in the list; without one it is left out."""
    stand_in = STAND_INS.get(name)
    if stand_in in error.validator_value:
        holder[name] = stand_in
    else:
        del holder[name]


def _mend_sample(payload: Payload, path: list[str | int], rule: str) -> bool:
    """Mend a value's type; a sample that still says nothing is left out, and a moment without samples too."""
    at = path.index("sampledValue")
    if at == len(path) - 1:  # the list itself is empty, or is none
        moments, index = _at(payload, path[: at - 1]), path[at - 1]
        del moments[index]
        return True
    samples, index = _at(payload, path[: at + 1]), path[at + 1]
    sample = samples[index]
    value = sample.get("value") if isinstance(sample, dict) else None
    if rule == "type" and path[-1] == "value" and (turned := _turned(value)) is not None:
        sample["value"] = turned
        return True
    del samples[index]
    return True


def _turned(value: Any) -> str | float | None:
    """Return a number as text (OCPP 1.6 wants that) or a text as the number it says (OCPP 2 does)."""
    if isinstance(value, str):
        try:
            return float(value)
        except ValueError:
            return None
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _at(payload: Any, path: Path) -> Any:
    for part in path:
        payload = payload[part]
    return payload
