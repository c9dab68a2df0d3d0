"""Compile OCPP's JSON schemas to functions that only say yes or no, many times faster than a full validator.

OCPP's schemas use few keywords. One that is not known here is an error when the schema is compiled, so that
nothing is ever passed over in silence. Who gets a no asks the full validator for the reason.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Test = Callable[[Any], bool]

DECORATION = {
    "$schema", "$id", "id", "$comment", "comment", "title", "description", "definitions", "javaType", "default",
    "format", "required", "additionalProperties", "additionalItems", "items", "tsEnumNames",
}  # fmt: skip
"""Keywords that test nothing here, or that are read together with another one."""
NEARLY = 1e-6


def compile_schema(schema: dict[str, Any]) -> Test:
    """Return a function that tells whether a payload keeps `schema`; ValueError for a keyword not known here."""
    known: dict[str, Test] = {}
    return _compiled(schema, schema, known)


def _compiled(schema: dict[str, Any], root: dict[str, Any], known: dict[str, Test]) -> Test:
    if "$ref" in schema:
        return _referred(schema["$ref"], root, known)
    tests: list[Test] = []
    for keyword, value in schema.items():
        if keyword == "properties":
            continue
        if keyword not in DECORATION:
            tests.append(_test(keyword, value))
    if "properties" in schema or schema.get("required"):
        tests.append(_object(schema, root, known))
    if isinstance(schema.get("items"), dict):
        tests.append(_each(_compiled(schema["items"], root, known)))
    if len(tests) == 1:
        return tests[0]
    return lambda value: all(test(value) for test in tests)


def _referred(name: str, root: dict[str, Any], known: dict[str, Test]) -> Test:
    """Return the test of a definition; it may refer to itself, so it is looked up when it is used."""
    if name not in known:
        known[name] = lambda value: False
        target: Any = root
        for part in name.removeprefix("#/").split("/"):
            target = target[part]
        known[name] = _compiled(target, root, known)

    def test(value: Any) -> bool:
        return known[name](value)

    return test


def _object(schema: dict[str, Any], root: dict[str, Any], known: dict[str, Test]) -> Test:
    parts = {name: _compiled(part, root, known) for name, part in schema.get("properties", {}).items()}
    required = frozenset(schema.get("required", ()))
    closed = schema.get("additionalProperties") is False

    def test(value: Any) -> bool:
        if not isinstance(value, dict):
            return True
        if not required <= value.keys():
            return False
        for name, part in value.items():
            check = parts.get(name)
            if check is None:
                if closed:
                    return False
            elif not check(part):
                return False
        return True

    return test


def _each(test: Test) -> Test:
    return lambda value: not isinstance(value, list) or all(map(test, value))


TYPES: dict[str, Test] = {
    "string": lambda value: isinstance(value, str),
    "object": lambda value: isinstance(value, dict),
    "array": lambda value: isinstance(value, list),
    "boolean": lambda value: isinstance(value, bool),
    "integer": lambda value: isinstance(value, int) and not isinstance(value, bool),
    "number": lambda value: isinstance(value, int | float) and not isinstance(value, bool),
}


def _number(value: Any) -> bool:
    return TYPES["number"](value)


def _test(keyword: str, bound: Any) -> Test:
    """Return the test of one keyword; like JSON Schema's, each lets pass what is not of its type."""
    tests: dict[str, Callable[[], Test]] = {
        "type": lambda: TYPES[bound],
        "enum": lambda: lambda value: value in bound,
        "maxLength": lambda: lambda value: not isinstance(value, str) or len(value) <= bound,
        "minItems": lambda: lambda value: not isinstance(value, list) or len(value) >= bound,
        "maxItems": lambda: lambda value: not isinstance(value, list) or len(value) <= bound,
        "minimum": lambda: lambda value: not _number(value) or value >= bound,
        "maximum": lambda: lambda value: not _number(value) or value <= bound,
        "multipleOf": lambda: lambda value: not _number(value) or _is_multiple(value, float(bound)),
    }
    if keyword not in tests:
        raise ValueError(f"The schema keyword {keyword!r} is not known here. Add it to the compiler.")
    return tests[keyword]()


def _is_multiple(value: float, step: float) -> bool:
    return abs(value / step - round(value / step)) < NEARLY
