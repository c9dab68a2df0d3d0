"""A clerk in a house: a process that answers questions about the house's database and acts in it for a test.

It reads one question a line, `["name", {"argument": value}]` as JSON, and answers each with one line.
"""

from __future__ import annotations

import json
import subprocess
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]


class Clerk:
    """The test's side of the counter."""

    def __init__(self, env: dict[str, str]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.processes.clerk"],
            cwd=ROOT,
            env=env,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def ask(self, name: str, **arguments: Any) -> Any:
        """Return the answer to a question; what goes wrong on the other side fails the test."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps([name, arguments]) + "\n")
        self._process.stdin.flush()
        answer = json.loads(self._process.stdout.readline())
        assert "error" not in answer, answer["error"]
        return answer["value"]

    def rows(self, model: str, *fields: str, **filters: Any) -> list[list[Any]]:
        """Return these fields of the rows of a model (`app.Model`), in the order of their ids."""
        found: list[list[Any]] = self.ask("rows", model=model, fields=fields, filters=filters)
        return found

    def leave(self) -> None:
        self._process.kill()
        self._process.communicate()


def serve(questions: dict[str, Callable[..., Any]]) -> None:
    """Answer questions until there are no more."""
    from django.core.serializers.json import DjangoJSONEncoder
    from django.db import close_old_connections

    for line in sys.stdin:
        name, arguments = json.loads(line)
        close_old_connections()
        try:
            answer = {"value": questions[name](**arguments)}
        except Exception:
            answer = {"error": traceback.format_exc()}
        print(json.dumps(answer, cls=DjangoJSONEncoder), flush=True)


if __name__ == "__main__":
    import django

    django.setup()
    from tests.processes import questions

    serve({name: act for name, act in vars(questions).items() if not name.startswith("_")})
