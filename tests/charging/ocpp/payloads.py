"""Payloads made from the schemas: the least that keeps them, and everything they allow."""

from __future__ import annotations

import json
from functools import lru_cache
from importlib.resources import files
from typing import Any

FOLDERS = {"1.6": "v16", "2.0.1": "v201", "2.1": "v21"}


@lru_cache(maxsize=512)
def schema(version: str, action: str, kind: str = "Request") -> dict[str, Any]:
    """Return the schema of an action's request or response."""
    name = action if version == "1.6" and kind == "Request" else f"{action}{kind}"
    return json.loads((files("ocpp") / FOLDERS[version] / "schemas" / f"{name}.json").read_text("utf-8-sig"))


def actions(version: str) -> list[str]:
    """Return every action of a version, in both directions."""
    folder = files("ocpp") / FOLDERS[version] / "schemas"
    return sorted(
        one.name.removesuffix("Response.json")
        for one in folder.iterdir()
        if one.name.endswith("Response.json")
    )


def payload(version: str, action: str, kind: str = "Request", *, full: bool = False) -> dict[str, Any]:
    """Return a payload that keeps the schema, with its required parts only or with all of them."""
    root = schema(version, action, kind)
    return _value(root, root, "", full, 0)


def _value(part: dict[str, Any], root: dict[str, Any], name: str, full: bool, depth: int) -> Any:
    if "$ref" in part:
        return _value(root["definitions"][part["$ref"].rsplit("/", 1)[1]], root, name, full, depth)
    if "enum" in part:
        return part["enum"][0]
    match part.get("type"):
        case "object":
            names = part.get("properties", {})
            wanted = set(part.get("required", ()))
            if full and depth < 6:
                wanted |= names.keys() - {"customData"}
            return {key: _value(names[key], root, key, full, depth + 1) for key in names if key in wanted}
        case "array":
            return [_value(part["items"], root, name, full, depth + 1)] * max(part.get("minItems", 0), 1)
        case "string":
            return _text(part, name)
        case "boolean":
            return False
        case "number" | "integer":
            return max(part.get("minimum", 1), 1) if part.get("maximum", 1) >= 1 else part["maximum"]
    return {}


def _text(part: dict[str, Any], name: str) -> str:
    if part.get("format") == "date-time":
        return "2026-03-10T16:00:00Z"
    return {"value": "1", "idToken": "AABBCC", "idTag": "AABBCC"}.get(name, "x")[: part.get("maxLength", 9)]
