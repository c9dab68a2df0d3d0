"""The full model written out in PuLP, one rule after the other: slow, readable, and what tests compare with.

Nothing is left out or added later, and every rule that needs a switch has one in every step. It shares no code with
the arrays of `formulation`; docs/algorithms/planning.md has the same model in mathematics.
"""

from charging.planner.reference.answer import ReferenceAnswer, ReferenceError, solve_plain, solve_reference

__all__ = ["ReferenceAnswer", "ReferenceError", "solve_plain", "solve_reference"]
