"""From the text of a case file to the text of a plan, as `manage.py solve` prints it."""

import json
from collections.abc import Callable
from typing import Any

from charging.planner.case import CaseError, case_from_json
from charging.planner.highs import SolverError
from charging.planner.plan import plan_to_json
from charging.planner.solve import fallback, solve


def solve_text(
    text: str, source: str, time_limit_seconds: float, warn: Callable[[str], object] = lambda _: None
) -> str:
    """Return the plan of a case as one JSON document.

    Where the solver fails, it is the rule-based plan, and `warn` is told why.
    Raises CaseError with one sentence a problem, each naming `source`, place and cure.
    """
    case = case_from_json(read_json(text, source), source)
    try:
        plan = solve(case, time_limit_seconds)
    except SolverError as error:
        warn(f"{source}: the solver failed, so this is the rule-based plan: {error}")
        plan = fallback(case)
    return json.dumps(plan_to_json(plan), allow_nan=False)


def read_json(text: str, source: str) -> Any:
    """Return parsed JSON; raises CaseError naming line and column where it is broken."""
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        sentence = f"{source}: {place}: is not JSON ({error.msg}); write one JSON object as the case"
        raise CaseError([sentence]) from error
    except (RecursionError, ValueError) as error:  # nested too deeply, or a number of thousands of digits
        sentence = f"{source}: cannot be read ({error}); write one JSON object as the case"
        raise CaseError([sentence]) from error
