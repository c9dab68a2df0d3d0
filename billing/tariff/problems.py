"""Say what is wrong with a tariff or a load: where, what, and how to cure it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Problem:
    """Name one fault: its place (a path in the tariff, a row of a file), the fault and the cure."""

    place: str
    message: str
    cure: str

    def __str__(self) -> str:
        return f"{self.place}: {self.message}. {self.cure}."


@dataclass(frozen=True, slots=True)
class Notice:
    """Tell something the reader of a bill must know; `code` is stable, `message` is the sentence."""

    code: str
    message: str

    def __str__(self) -> str:
        return self.message


class InputError(ValueError):
    """Carry every problem found in one input, as sentences."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems: tuple[str, ...] = tuple(str(problem) for problem in problems)
        super().__init__("\n".join(self.problems))


class TariffError(InputError):
    """The tariff cannot be read."""


class LoadError(InputError):
    """The load cannot be read."""


class UnsupportedTariffError(TariffError):
    """The tariff has elements that the engine does not bill, so it has no price curve either."""
