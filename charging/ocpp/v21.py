"""Understand and answer what OCPP 2.1 stations send.

Their everyday messages are those of 2.0.1; what 2.1 adds in stations' calls is refused by name (NotImplemented).
What it adds in our calls, the set-points, is in `profiles`.
"""

from __future__ import annotations

from charging.ocpp import v201

HANDLERS = v201.HANDLERS
