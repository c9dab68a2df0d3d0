"""Limits of single phases: what a charger on one phase draws counts on it whole, all else by a third."""

from dataclasses import dataclass

import numpy as np

from charging.planner.case import DepotCase, FloatArray
from charging.planner.devices import Devices, node_members

PHASES = (1, 2, 3)


@dataclass(frozen=True, slots=True, eq=False)
class PhaseLimits:
    """P phases of nodes: names, the share of each device's net power that they carry (P, D), and limits (P, T).

    A limit holds both ways; inf is none.
    """

    names: tuple[str, ...]
    shares: FloatArray
    limits_kw: FloatArray

    def load_kw(self, net_kw: FloatArray) -> FloatArray:
        """Return what net powers (D, T) put on each phase (P, T)."""
        load: FloatArray = self.shares @ net_kw
        return load


def phase_limits(case: DepotCase, devices: Devices) -> PhaseLimits:
    """Return the limits of all phases of all nodes that have one."""
    members = node_members(case, devices)
    chargers = np.array([charger.phase or 0 for charger in case.chargers] + [0])
    # Batteries and loads stand at -1 and are on all three, as the entry at the end says.
    own = chargers[devices.charger_index]
    names, shares, limits = [], [np.empty((0, len(own)))], [np.empty((0, case.steps))]
    for node, below in zip(case.site.nodes, members, strict=True):
        if node.phase_limit_kw is not None:
            names += [f"{node.id}, phase {phase}" for phase in PHASES]
            shares += [(below * np.where(own == 0, 1.0 / 3.0, own == phase))[None, :] for phase in PHASES]
            limits += [node.phase_limit_kw[None, :]] * 3
    return PhaseLimits(tuple(names), np.concatenate(shares), np.concatenate(limits))
