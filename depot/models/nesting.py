"""How the nodes of an electrical tree nest: no ring, and no limit above the one of the node that feeds it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from depot.words import mark, tr


class Node(Protocol):
    """What is looked at of a node, besides its import_limit_kw and export_limit_kw."""

    @property
    def pk(self) -> Any: ...
    @property
    def parent_id(self) -> int | None: ...
    @property
    def name(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with one field of one node."""

    node: Node
    field: str
    message: str


def nesting_problems(nodes: Iterable[Node]) -> list[Problem]:
    """Return every ring and every limit above the parent's. Nodes without a limit yet are passed over."""
    nodes = list(nodes)
    by_id: dict[int | None, Node] = {node.pk: node for node in nodes if node.pk is not None}
    problems: list[Problem] = []
    for node in nodes:
        parent = by_id.get(node.parent_id)
        if parent is None:
            continue
        if _in_ring(node, by_id):
            message = tr(
                "{parent} is fed by {node} itself. Choose a node above it.",
                parent=parent.name,
                node=node.name,
            )
            problems.append(Problem(node, "parent", message))
        else:
            problems.extend(_above(node, parent))
    return problems


def _in_ring(node: Node, by_id: Mapping[int | None, Node]) -> bool:
    seen: set[int | None] = set()
    above = by_id.get(node.parent_id)
    while above is not None and above.pk not in seen:
        if above is node:
            return True
        seen.add(above.pk)
        above = by_id.get(above.parent_id)
    return False


TOO_HIGH = {
    "import_limit_kw": mark(
        "The import limit of {node} ({own:g} kW) is above the {limit:g} kW of {parent}, which feeds it. "
        "Enter {limit:g} kW or less there, or raise {parent} first."
    ),
    "export_limit_kw": mark(
        "The export limit of {node} ({own:g} kW) is above the {limit:g} kW of {parent}, which feeds it. "
        "Enter {limit:g} kW or less there, or raise {parent} first."
    ),
}


def _above(node: Node, parent: Node) -> Iterator[Problem]:
    for field, sentence in TOO_HIGH.items():
        own, limit = getattr(node, field), getattr(parent, field)
        if own is not None and limit is not None and own > limit:
            yield Problem(
                node,
                field,
                tr(sentence, node=node.name, own=own, limit=limit, parent=parent.name),
            )
