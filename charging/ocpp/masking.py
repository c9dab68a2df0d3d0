"""Take secrets out of what is logged or shown: passwords, keys, tokens, contract data, credentials in addresses."""

from __future__ import annotations

import hashlib
import re
from typing import Any

SECRET = re.compile(
    r"password|authorizationkey|secret|privatekey|exirequest|exiresponse|^csr$", re.IGNORECASE
)
TOKEN = re.compile(r"(parent|group|additional)?id_?(token|tag)", re.IGNORECASE)
"""Who knows a card's number can charge with it."""
NAMED = ("key", "variable", "name")
IN_ADDRESS = re.compile(r"(?<=://)[^/@\s]+@")
MASK = "***"


def masked(value: Any) -> Any:
    """Return a copy of a payload without its secrets; its shape stays.

    A value that stands beside the name of a secret ("key": "AuthorizationKey") is one too.
    """
    if isinstance(value, dict):
        named = any(SECRET.search(_name(value.get(key))) for key in NAMED)
        return {name: _part(name, part, named) for name, part in value.items()}
    if isinstance(value, list):
        return [masked(part) for part in value]
    return IN_ADDRESS.sub(f"{MASK}@", value) if isinstance(value, str) else value


def _part(name: str, value: Any, named: bool) -> Any:
    if SECRET.search(name) or (named and name in ("value", "attributeValue")):
        return MASK
    if isinstance(value, str) and TOKEN.fullmatch(name):
        return token_mask(value)
    return masked(value)


def token_mask(token: str) -> str:
    """Return what stands for a token in logs: the same for the same token, and of no use at a charger."""
    return f"{MASK}{hashlib.sha256(token.encode()).hexdigest()[:6]}" if token else ""


def _name(value: Any) -> str:
    return str(value.get("name", "")) if isinstance(value, dict) else str(value or "")
