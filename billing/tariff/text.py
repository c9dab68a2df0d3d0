"""Parse a tariff's text: JSON, or YAML in which dates stay text and `on` is a word."""

from __future__ import annotations

import json
import re
from typing import Any

import yaml

from billing.tariff.problems import Problem, TariffError
from depot.words import tr


class _Loader(yaml.SafeLoader):
    """Read YAML 1.2's plain values: true, false, null and numbers; everything else is text."""

    yaml_implicit_resolvers: dict[str, Any] = {}


for _tag, _pattern, _first in (
    ("bool", r"^(?:true|false)$", "tf"),
    ("null", r"^(?:null|~|)$", "n~"),
    ("int", r"^[-+]?(?:0|[1-9][0-9]*)$", "-+0123456789"),
    ("float", r"^[-+]?(?:[0-9]+\.[0-9]*|\.[0-9]+|[0-9]+)(?:[eE][-+]?[0-9]+)?$", "-+.0123456789"),
):
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(_pattern), list(_first))


def parse_text(text: str | bytes) -> Any:
    """Return what a JSON or YAML text holds; raise TariffError when it is neither."""
    try:
        return json.loads(text)
    except ValueError as error:
        written = text.decode(errors="replace") if isinstance(text, bytes) else text
        if written.lstrip()[:1] in ("{", "[", '"'):
            cure = tr("Check the file in a JSON editor")
            raise TariffError(
                [Problem(tr("the tariff"), tr("it is not JSON ({error})", error=error), cure)]
            ) from error
    try:
        return _keyed(yaml.load(written, Loader=_Loader))  # noqa: S506 – a SafeLoader
    except yaml.YAMLError as error:
        reason = " ".join(str(error).split())
        cure = tr("Check the file in a YAML editor")
        raise TariffError(
            [Problem(tr("the tariff"), tr("it is neither JSON nor YAML ({reason})", reason=reason), cure)]
        ) from error


def _keyed(value: Any) -> Any:
    """Return the value with text keys everywhere, as in JSON (years are numbers in YAML)."""
    if isinstance(value, dict):
        return {str(key): _keyed(inner) for key, inner in value.items()}
    return [_keyed(inner) for inner in value] if isinstance(value, list) else value


def write_yaml(document: dict[str, Any]) -> str:
    """Write a document as YAML, in its own order."""
    return yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=100)
