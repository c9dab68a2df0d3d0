"""Wear that costs more the emptier the battery is: what a path costs above the cheapest price.

W(e) is the wear of emptying a battery from e to nothing, each kWh at the price of its band; discharging from e to e'
costs W(e) - W(e'), charging and trips nothing. The programme's rows are in band_columns.py.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from charging.planner.case import FloatArray, Vehicle


@dataclass(frozen=True, slots=True, eq=False)
class Bands:
    """The bands of one device that it can discharge from: the K - 1 edges between them, in kWh.

    `extra` (K,) is each band's price above the cheapest, which is the last. The lowest band has no lower end: nothing
    is discharged below the floor, whatever it would cost there.
    """

    device: int
    edges_kwh: FloatArray
    extra: FloatArray

    def worth(self, energy_kwh: FloatArray) -> FloatArray:
        """Return what emptying a battery costs above the cheapest price, as far as its lowest band goes."""
        return self.held_kwh(energy_kwh) @ self.extra

    def held_kwh(self, energy_kwh: FloatArray) -> FloatArray:
        """Return what each band holds at an energy (N,), filled from below, shape (N, K); together, the energy."""
        low, high = np.r_[-np.inf, self.edges_kwh], np.r_[self.edges_kwh, np.inf]
        held: FloatArray = np.clip(energy_kwh[:, None], low, high) - np.r_[0.0, self.edges_kwh]
        return held


def bands_of(
    vehicles: Sequence[Vehicle], floor_kwh: FloatArray, top_kwh: FloatArray, wear_cost_per_kwh: FloatArray
) -> tuple[Bands, ...]:
    """Return the bands of the vehicles whose price differs between floor and top (D,).

    The cheapest price of each vehicle with bands is written into `wear_cost_per_kwh` (D,).
    """
    found = []
    for row, vehicle in enumerate(vehicles):
        if not vehicle.wear_bands:
            continue
        edges, prices = [], [vehicle.wear_bands[0].cost_per_kwh]
        for lower, band in pairwise(vehicle.wear_bands):
            edge = lower.below_soc * vehicle.capacity_kwh
            if edge >= top_kwh[row]:
                break
            if edge <= floor_kwh[row]:
                prices = [band.cost_per_kwh]
            elif band.cost_per_kwh != prices[-1]:
                edges.append(edge)
                prices.append(band.cost_per_kwh)
        wear_cost_per_kwh[row] = prices[-1]
        if edges:
            found.append(Bands(row, np.array(edges), np.array(prices) - prices[-1]))
    return tuple(found)


def extra_wear(
    bands: Sequence[Bands], leaving_kwh: FloatArray, path_kwh: FloatArray
) -> dict[int, FloatArray]:
    """Return what each discharge costs above the cheapest price, (T,) by device.

    `leaving_kwh` (D, T) is what leaves the battery for the charger, `path_kwh` (D, T + 1) its energy.
    """
    found = {}
    for item in bands:
        before, leaving = path_kwh[item.device, :-1], leaving_kwh[item.device]
        cost = item.worth(before) - item.worth(before - leaving)
        found[item.device] = np.where(leaving > 0.0, cost, 0.0)
    return found
