"""Put people's orders into the rows of a planner case."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from charging.models import Override
from depot.timegrid import TimeGrid


def apply_orders(rows: list[dict[str, Any]], orders: Iterable[Override], grid: TimeGrid) -> None:
    """Add each order to its vehicle's row: "ready by" as one more target, the others as `overrides`.

    Orders of vehicles that are not planned, and parts beyond the horizon, are left out.
    """
    by_id = {row["id"]: row for row in rows}
    for order in orders:
        row = by_id.get(str(order.vehicle_id))
        if row is None:
            continue
        if order.kind == Override.Kind.READY_BY:
            _add_target(row, order, grid)
        else:
            _add_override(row, order, grid)


def _add_target(row: dict[str, Any], order: Override, grid: TimeGrid) -> None:
    if order.to_at > grid.end_at:
        return
    soc = min(round(order.soc or 0.0, 4), row["max_soc"])
    boundary = max(1, grid.boundary_of(order.to_at, "pull_out"))
    same = [item for item in row["targets"] if (item["boundary"], item["tier"]) == (boundary, "must")]
    if all(item["soc"] < soc for item in same):
        row["targets"].append({"boundary": boundary, "soc": soc, "tier": "must"})


def _add_override(row: dict[str, Any], order: Override, grid: TimeGrid) -> None:
    first, last = grid.boundary_of(order.from_at, "pull_out"), grid.boundary_of(order.to_at, "pull_in")
    if first >= last:
        return
    override: dict[str, Any] = {"kind": order.kind, "from_step": first, "to_step": last}
    if order.kind == Override.Kind.LIMIT:
        override["max_kw"] = order.max_kw
    if order.kind == Override.Kind.CHARGE_NOW and order.soc is not None:
        override["soc"] = min(round(order.soc, 4), row["max_soc"])
    row.setdefault("overrides", []).append(override)
