"""No Python says a sentence to people that cannot be translated."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
APPS = ("depot", "fleet", "billing", "charging")
MARKS = frozenset({"tr", "trn", "mark", "later", "_", "gettext", "gettext_lazy"})
LOGS = frozenset({"log", "logger", "logging"})
NAMES = frozenset({"help_text", "verbose_name", "verbose_name_plural", "choices"})
"""What models are called: looked up when shown (depot/names.py)."""
FOR_PROGRAMMERS = frozenset({"TypeError", "ValueError", "RuntimeError", "KeyError", "JobStopped"})
ENGLISH_ONLY = {
    "commands and what they read": r"/management/|/benchmarks/|^depot/project/(demo|settings|start|logs)|"
    r"^fleet/battery/|^charging/planner/|^billing/tariff/schema_document",
    "the API and its batches of readings": r"/api|^depot/access/|^depot/intake|^depot/services/readings|"
    r"^fleet/ingest/|^fleet/services/telemetry_batches|^depot/project/body_limit",
    "protocols: what is said to stations and other programs": r"^charging/ocpp/(compiled|frames|inbox|keeping|"
    r"gateway|link|outbox|simulator|profiles|schemas|events|journal|v16|wording)|^charging/vdv463|formats/vdv463",
    "SQL": r"^depot/many_rows|^depot/partitions",
    "the repr of rows in lists of the administration": r"^depot/models/people|^charging/models/not_ready",
    "servers' own errors": r"^depot/project/(asgi|redis_broker)|^depot/alerts/services|^depot/templatetags",
}
BEGINS, ENDS = re.compile(r"[A-Z“‘({]"), re.compile(r"[.!?:…]$")
SMALL_WORD = re.compile(r"(?<![\w./<&={-])[a-z]{2,}(?![\w/=(>-])")
ROOMS = [
    str(path.relative_to(ROOT))
    for app in APPS
    for path in sorted((ROOT / app).rglob("*.py"))
    if "migrations" not in path.parts
]


def unmarked(source: str) -> list[str]:
    """Return the line and the words of every sentence that is not looked up, not a docstring and not for the log."""
    found = [(node, words.strip()) for node, words in _spoken(ast.parse(source))]
    return [f"{node.lineno}: {words}" for node, words in found if is_sentence(words)]


def is_sentence(words: str) -> bool:
    """Tell whether words are for people: two small words at least, begun or ended like a sentence."""
    return (
        " " in words
        and len(SMALL_WORD.findall(words)) >= 2
        and bool(BEGINS.match(words) or ENDS.search(words))
    )


def _spoken(node: ast.AST) -> Iterator[tuple[ast.expr, str]]:
    if isinstance(node, ast.Constant):
        if isinstance(node.value, str):
            yield node, node.value
        return
    if isinstance(node, ast.JoinedStr):
        yield (
            node,
            "".join(str(part.value) if isinstance(part, ast.Constant) else "{}" for part in node.values),
        )
        return
    for child in _parts(node):
        if not _silent(child):
            yield from _spoken(child)


def _parts(node: ast.AST) -> Iterator[ast.AST]:
    """Return what is inside; of a model's field without its name."""
    if (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr.endswith("Field")
    ):
        return iter(node.keywords)
    return ast.iter_child_nodes(node)


def _silent(node: ast.AST) -> bool:
    """Tell whether what stands inside is looked up, or said to nobody."""
    match node:
        case ast.Expr(value=ast.Constant()):
            return True
        case ast.keyword(arg=name):
            return name in NAMES
        case ast.Call(func=ast.Name(id=name)):
            return name in MARKS
        case ast.Call(func=ast.Attribute(value=ast.Name(id=name))):
            return name in LOGS
        case ast.Raise(exc=ast.Call(func=ast.Name(id=name))):
            return name in FOR_PROGRAMMERS
        case ast.ClassDef(bases=[ast.Attribute(attr="TextChoices" | "IntegerChoices")]):
            return True
        case ast.Assign(targets=[ast.Name(id=name)]):
            return name in NAMES
    return False


def test_sentences_are_found_and_what_is_looked_up_is_not() -> None:
    assert unmarked('"""Say it."""\nsay(f"The {thing} is away.")') == ["2: The {} is away."]
    assert unmarked('say("“{name}” is not known to us.")') != []
    silent = 'say(tr("This is looked up.")); log.info("This is for the log."); raise ValueError("This is not for you.")'
    assert unmarked(silent) == []
    assert unmarked('kind = models.CharField("how it is called here", help_text="How it is called.")') == []
    assert (
        unmarked('key = "depot:charger-commands"; query = "state"; address = "charging/board of one"') == []
    )


def test_every_sentence_can_be_translated() -> None:
    english = re.compile("|".join(ENGLISH_ONLY.values()))
    found = {room: unmarked((ROOT / room).read_text()) for room in ROOMS if not english.search(room)}
    assert len(found) > 300
    assert {room: sentences for room, sentences in found.items() if sentences} == {}
