"""Find the example tariffs that the product ships: real structures, each with its source."""

from __future__ import annotations

from pathlib import Path

from billing.tariff.model import Tariff
from billing.tariff.read import read_tariff
from depot.words import tr

FOLDER = Path(__file__).with_name("examples")


def example_names() -> list[str]:
    """Return the names of the shipped examples, sorted."""
    return sorted(path.stem for path in FOLDER.iterdir() if path.suffix in (".yaml", ".json"))


def example_text(name: str) -> str:
    """Return the text of a shipped example (YAML or JSON); raise KeyError for an unknown name."""
    found = next((path for path in FOLDER.iterdir() if path.stem == name), None)
    if found is None:
        raise KeyError(
            tr(
                "There is no example '{name}'. Known: {example_names}.",
                name=name,
                example_names=", ".join(example_names()),
            )
        )
    return found.read_text(encoding="utf-8")


def example_tariff(name: str) -> Tariff:
    """Return a shipped example as a tariff."""
    return read_tariff(example_text(name))
