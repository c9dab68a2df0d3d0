"""What a page already has: versions of its parts, carried in the address of each refresh."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from django.http import HttpRequest


def digest(value: Any) -> str:
    """Return a short version of a value that has a faithful `repr`."""
    return hashlib.blake2s(repr(value).encode(), digest_size=3).hexdigest()


def write_versions(versions: Mapping[str, str]) -> str:
    """Write versions into one word for an address."""
    return "-".join(f"{name}.{version}" for name, version in versions.items())


def read_versions(text: str) -> dict[str, str]:
    """Read what `write_versions` wrote; what is not of its form counts as not had."""
    pairs = (part.partition(".") for part in text.split("-"))
    return {name: version for name, dot, version in pairs if dot}


def changed(request: HttpRequest, versions: Mapping[str, str]) -> set[str]:
    """Return the names of the parts that a page does not have as they are now."""
    have = read_versions(request.GET.get("have", ""))
    return {name for name, version in versions.items() if have.get(name) != version}
