"""Learn from what stations answer: their variables, and whether they really follow their schedules."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from charging.models import ChargerCommand
from charging.services.notices import keep_variables, note
from depot.words import later

Answer = dict[str, Any]
State = ChargerCommand.State


def learn(command: ChargerCommand, state: str, answers: Sequence[Answer]) -> None:
    """Keep what the answers to a command tell of the station."""
    charger = command.charger
    for answer in answers:
        rows = list(_variables(answer))
        if rows:
            keep_variables(charger, rows)
    if command.action == "transaction_status" and state == State.ACCEPTED:
        waiting = answers[-1].get("messagesInQueue")
        words = (
            later("The missing messages are still on their way.")
            if waiting
            else later("The missing messages will not come any more.")
        )
        note(charger, "missing messages", words, command.payload)


def _variables(answer: Answer) -> Iterator[tuple[str, str, str, str]]:
    """Yield component, variable, attribute and value of each variable in an answer; broken parts are passed over."""
    for one in _objects(answer.get("configurationKey")):
        if isinstance(one.get("key"), str):
            yield "", one["key"], "Actual", str(one.get("value", ""))
    for one in _objects(answer.get("getVariableResult")):
        component, variable = one.get("component"), one.get("variable")
        if isinstance(component, dict) and isinstance(variable, dict) and "attributeValue" in one:
            names = str(component.get("name", "")), str(variable.get("name", ""))
            yield *names, str(one.get("attributeType", "Actual")), str(one["attributeValue"])


def _objects(value: Any) -> Iterable[Answer]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []
