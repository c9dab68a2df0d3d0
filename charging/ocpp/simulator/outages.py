"""A depot whose links and server fail at random: what its stations and batteries then really do. PURE.

The planner makes the plans, `profiles` their messages, stations hold and obey them (`composite`), batteries follow
(`physics`). No guard and no person helps, and nothing is lost on the way to a station that is linked. What is measured
is the power at the grid connection and at each feeder against its limit, and the charge with which buses leave.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray

from charging.ocpp.profiles import V21, V201, Capability, Schedule, default_message, schedule_messages
from charging.ocpp.simulator.composite import Profiles
from charging.ocpp.simulator.physics import TAPER_FROM_SOC, TAPER_SLOPE, step_fleet
from charging.planner.case import DepotCase, case_from_json
from charging.planner.offline import NEAR_STEPS, offline_powers
from charging.planner.plan import DepotPlan
from charging.planner.solve import solve

Floats = NDArray[np.float64]
START = datetime(2026, 3, 10, 16, 0, tzinfo=UTC)
STEP_S, TICK_S = 900, 30
NOTICED_S = 60
"""So long after a link has died or come back a new plan reaches the stations."""
PLAN_EVERY = 4
"""Steps between plans; each is sent in every step, as far as it still goes."""
PLANNED_SHARE = 0.95
OFFLINE_S = 30
CHARGER_KW, EFFICIENCY, CAPACITY_KWH = 60.0, 0.95, 200.0
FEEDERS = ("a", "b")
TOLERANCE_KW = 0.05
MET_SOC = 0.005


@dataclass(frozen=True, slots=True)
class Trip:
    """A bus is away in the half-open steps; it should leave with `soc` and uses `energy_kwh`."""

    leaves: int
    returns: int
    energy_kwh: float
    soc: float


@dataclass(frozen=True, slots=True)
class Bus:
    """A bus at a charger of its own on a feeder, which speaks `version`; it starts with `soc`."""

    feeder: str
    version: str
    soc: float
    trips: tuple[Trip, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Yard:
    """The depot: limits in kW, series in kW and money over all steps, the buses, how many steps are simulated."""

    limit_kw: float
    feeder_kw: float
    building_kw: Floats
    solar_kw: Floats
    price: Floats
    buses: tuple[Bus, ...]
    steps: int

    @property
    def safe_kw(self) -> float:
        """Return the safe level of a charger: all of them and the building fit every limit."""
        count = len(self.buses)
        least = min((self.limit_kw - self.building_kw.max()) / count, 2 * self.feeder_kw / (count + 1))
        return max(float(least), 0.0)


@dataclass(frozen=True, slots=True)
class Outages:
    """When the server is dead, and which buses' links are: spans of seconds from the start."""

    server: tuple[int, int] | None = None
    links: tuple[tuple[int, int, int], ...] = ()

    def dead(self, bus: int, second: int) -> bool:
        """Tell whether the link of a bus's charger is dead."""
        spans = [(begin, end) for number, begin, end in self.links if number == bus]
        return any(begin <= second < end for begin, end in spans) or self.server_dead(second)

    def server_dead(self, second: int) -> bool:
        return self.server is not None and self.server[0] <= second < self.server[1]


@dataclass(frozen=True, slots=True)
class Policy:
    """`cut`: stations on their own need no discharge. `reserve`: plans keep free what lost stations hold."""

    cut: bool = True
    reserve: bool = True


@dataclass(frozen=True, slots=True)
class Figures:
    """Seconds beyond a limit, all and at a stretch, the worst excess in kW, departures and how many were met."""

    beyond_s: int
    longest_s: int
    worst_kw: float
    departures: int
    met: int


def random_yard(buses: int, seed: int, steps: int = 96) -> Yard:
    """Return a depot from 16:00 on: some buses come and go in the evening, all fill overnight for the morning.

    In the evening power is dear and the building draws most, so buses with time give and those that leave soon take.
    """
    random = np.random.default_rng(seed)
    hours = (16 + np.arange(steps + 48) / 4) % 24
    limit_kw = 20.0 * buses
    building = limit_kw * np.where((hours >= 7) & (hours < 21), 0.75, 0.3)
    price = np.select([(hours >= 16) & (hours < 21), (hours < 6) | (hours >= 22)], [0.45, 0.1], 0.2)
    made = []
    for number in range(buses):
        trips = []
        if number % 3 == 0:
            leaves = int(random.integers(12, 18))
            trips.append(
                Trip(leaves, leaves + 12, float(random.uniform(30, 60)), float(random.uniform(0.6, 0.75)))
            )
        leaves = int(random.integers(52, 62))
        trips.append(
            Trip(leaves, leaves + 16, float(random.uniform(60, 100)), float(random.uniform(0.8, 0.95)))
        )
        full = number % 3 == 1
        made.append(
            Bus(
                FEEDERS[number % 2],
                V201 if random.random() < 0.2 else V21,
                float(random.uniform(0.75, 0.9) if full else random.uniform(0.3, 0.5)),
                tuple(trip for trip in trips if trip.leaves < steps),
            )
        )
    solar = 0.5 * limit_kw * np.maximum(0.0, np.sin(np.pi * (hours - 6) / 12))
    return Yard(limit_kw, 0.65 * limit_kw, building, solar, price, tuple(made), steps)


def random_outages(yard: Yard, seed: int, server_hours: float = 8.0) -> Outages:
    """Return outages: in every second depot the server dies in the evening, else a third of the links do, for hours."""
    random = np.random.default_rng(seed)
    ends = yard.steps * STEP_S
    if seed % 2 == 0:
        begin = int(random.integers(0, min(8 * 3600, ends)) // TICK_S * TICK_S)
        return Outages(server=(begin, begin + int(server_hours * 3600)))
    lost = random.choice(len(yard.buses), max(len(yard.buses) // 3, 1), replace=False)
    links = []
    for number in lost:
        begin = int(random.integers(0, ends) // TICK_S * TICK_S)
        links.append((int(number), begin, begin + int(random.uniform(0.1, 8) * 3600)))
    return Outages(links=tuple(links))


def simulate(yard: Yard, outages: Outages, policy: Policy = Policy(), time_limit_s: float = 5.0) -> Figures:
    """Run a depot through its outages and return what came of it."""
    return _Run(yard, outages, policy, time_limit_s).run()


@dataclass(slots=True)
class _Station:
    """A charger with what it holds, the transaction at its plug, and since when its link is dead."""

    held: Profiles
    transaction: str | None = None
    began_at: datetime = START
    lost_s: int | None = None


@dataclass(slots=True)
class _Run:
    yard: Yard
    outages: Outages
    policy: Policy
    time_limit_s: float
    stations: list[_Station] = field(default_factory=list)
    soc: Floats = field(default_factory=lambda: np.zeros(0))
    plan: DepotPlan | None = None
    case: DepotCase | None = None
    planned_at: int = 0
    plan_due: int | None = None

    def run(self) -> Figures:
        yard = self.yard
        self.soc = np.array([bus.soc for bus in yard.buses])
        self.stations = [_Station(Profiles(bidirectional=True)) for _ in yard.buses]
        for bus, station in zip(yard.buses, self.stations, strict=True):
            self._install(station, [default_message(bus.version, 1, yard.safe_kw)])
        wanted = np.zeros(len(yard.buses))
        beyond = longest = stretch = departures = met = 0
        worst = 0.0
        for second in range(0, yard.steps * STEP_S, TICK_S):
            step, changed = second // STEP_S, self._note_links(second)
            if second % STEP_S == 0:
                left, on_time = self._move_buses(step)
                departures, met, changed = departures + left, met + on_time, True
            changed |= self._steer(second)
            falling = [
                one for one in self.stations if one.lost_s is not None and second - one.lost_s <= 2 * STEP_S
            ]
            if changed or falling:
                wanted = self._wanted(second)
            self.soc, power = step_fleet(
                self.soc,
                wanted,
                TICK_S,
                capacity_kwh=CAPACITY_KWH,
                max_charge_kw=CHARGER_KW,
                max_discharge_kw=CHARGER_KW,
                charge_efficiency=EFFICIENCY,
                discharge_efficiency=EFFICIENCY,
                min_soc=0.1,
            )
            excess = self._excess(power, step, second)
            stretch = stretch + TICK_S if excess > TOLERANCE_KW else 0
            beyond += TICK_S * (stretch > 0)
            worst, longest = max(worst, excess), max(longest, stretch)
        return Figures(beyond, longest, round(worst, 2), departures, met)

    def _note_links(self, second: int) -> bool:
        """Note which links die and come back; the server plans anew a little later."""
        changed = False
        for number, station in enumerate(self.stations):
            dead = self.outages.dead(number, second)
            if dead == (station.lost_s is not None):
                continue
            station.lost_s, changed = (second if dead else None), True
            self.plan_due = second + NOTICED_S
        return changed

    def _move_buses(self, step: int) -> tuple[int, int]:
        """Let buses leave and come back; return how many left, and how many of those with enough charge."""
        left = met = 0
        for number, (bus, station) in enumerate(zip(self.yard.buses, self.stations, strict=True)):
            for trip in bus.trips:
                if trip.leaves == step:
                    left, met = left + 1, met + int(self.soc[number] >= trip.soc - MET_SOC)
                    station.transaction = None
                    station.held.end_transaction()
                elif trip.returns == step:
                    self.soc[number] = max(self.soc[number] - trip.energy_kwh / CAPACITY_KWH, 0.05)
            if station.transaction is None and not self._is_away(bus, step):
                station.transaction, station.began_at = f"{number}-{step}", self._at(step * STEP_S)
        return left, met

    def _steer(self, second: int) -> bool:
        """Plan and send as the server would; tell whether anything was sent."""
        if self.outages.server_dead(second):
            return False
        step = second // STEP_S
        due = self.plan_due is not None and second >= self.plan_due
        boundary = second % STEP_S == 0
        if due or (boundary and step % PLAN_EVERY == 0):
            self._plan(step)
            self.plan_due = None
        elif not boundary:
            return False
        self._send(step)
        return True

    def _plan(self, step: int) -> None:
        lost = {n for n, station in enumerate(self.stations) if station.lost_s is not None}
        self.case = case_from_json(self._case(step, lost if self.policy.reserve else set()))
        self.plan, self.planned_at = solve(self.case, self.time_limit_s, gap=1e-3), step

    def _send(self, step: int) -> None:
        """Send every linked station that is in the plan what is left of it, as `services.dispatch` does."""
        if self.plan is None or self.case is None:
            return
        yard, first = self.yard, step - self.planned_at
        slow = [
            str(n) for n, bus in enumerate(yard.buses) if bus.version != V21 and str(n) in self.plan.vehicles
        ]
        alone = offline_powers(self.case, self.plan, first=first, slow=slow)
        for key, row in self.plan.vehicles.items():
            bus, station = yard.buses[int(key)], self.stations[int(key)]
            if station.lost_s is not None:
                continue
            schedule = Schedule(
                evse_id=1,
                start_at=self._at(step * STEP_S),
                step_seconds=STEP_S,
                power_kw=[float(power) for power in (row.charge_kw - row.discharge_kw)[first:]],
                max_offline_s=NEAR_STEPS * STEP_S if alone.relies or not self.policy.cut else OFFLINE_S,
                offline_kw=[float(power) for power in alone.charge_kw[key][first:]]
                if self.policy.cut
                else None,
            )
            capability = Capability(CHARGER_KW, CHARGER_KW)
            messages = schedule_messages(bus.version, schedule, capability, station.transaction)
            self._install(station, messages)

    def _install(self, station: _Station, messages: list[tuple[str, dict[str, Any]]]) -> None:
        for action, body in messages:
            if action == "SetChargingProfile":
                station.held.install(body["chargingProfile"], station.transaction)
            else:
                station.held.clear(body["chargingProfileId"], {})

    def _wanted(self, second: int) -> Floats:
        """Return what each station lets its vehicle do, in kW; nothing flows where no vehicle is."""
        return np.array(
            [
                station.held.power_kw(
                    self._at(second),
                    CHARGER_KW,
                    station.began_at,
                    None if station.lost_s is None else float(second - station.lost_s),
                )
                if station.transaction is not None
                else 0.0
                for station in self.stations
            ]
        )

    def _excess(self, power: Floats, step: int, second: int) -> float:
        """Return by how much the worst limit is exceeded; soon after the server has died the sun is gone too."""
        yard = self.yard
        clouded = self.outages.server_dead(second) and self.outages.server_dead(second - NOTICED_S)
        sun = 0.0 if clouded else yard.solar_kw[step]
        site = yard.building_kw[step] + power.sum() - sun - yard.limit_kw
        feeders = [
            sum(power[n] for n, bus in enumerate(yard.buses) if bus.feeder == name) - yard.feeder_kw
            for name in FEEDERS
        ]
        return float(max(site, *feeders))

    def _at(self, second: int) -> datetime:
        return START + timedelta(seconds=second)

    @staticmethod
    def _is_away(bus: Bus, step: int) -> bool:
        return any(trip.leaves <= step < trip.returns for trip in bus.trips)

    def _case(self, step: int, lost: set[int]) -> dict[str, Any]:
        """Return the case from a step on as `charging.assemble` makes it: lost chargers do what they hold."""
        yard, steps = self.yard, len(self.yard.price) - step
        taken = {name: np.zeros(steps) for name in FEEDERS}
        for number in lost:
            taken[yard.buses[number].feeder] += self._held(number, step, steps)
        others = sum(taken.values(), np.zeros(steps))
        room = yard.limit_kw * PLANNED_SHARE - others
        planned = [number for number in range(len(yard.buses)) if number not in lost]
        return {
            "version": 1,
            "name": f"step {step}",
            "start": self._at(step * STEP_S).isoformat(),
            "step_minutes": STEP_S // 60,
            "steps": steps,
            "currency": "USD",
            "site": {
                "import_limit_kw": np.maximum(room, 0.0).tolist(),
                "export_limit_kw": yard.limit_kw,
                "building_load_kw": (yard.building_kw[step:] + np.maximum(-room, 0.0)).tolist(),
                "solar_kw": yard.solar_kw[step:].tolist(),
                "nodes": [
                    {
                        "id": name,
                        "parent": None,
                        "import_limit_kw": np.maximum(yard.feeder_kw - taken[name], 0.0).tolist(),
                        "export_limit_kw": yard.feeder_kw,
                    }
                    for name in FEEDERS
                ],
            },
            "prices": {"import_per_kwh": yard.price[step:].tolist(), "export_per_kwh": 0.05},
            "chargers": [self._charger(number) for number in planned],
            "vehicles": [self._vehicle(number, step, steps) for number in planned],
        }

    def _held(self, number: int, step: int, steps: int) -> Floats:
        """Return the most a lost station charges with in each step from now on."""
        station = self.stations[number]
        moments = [self._at((step + index) * STEP_S) for index in range(steps)]
        powers = [station.held.power_kw(at, CHARGER_KW, station.began_at, 1e6) for at in moments]
        return np.maximum(powers, 0.0)

    def _charger(self, number: int) -> dict[str, Any]:
        return {
            "id": str(number),
            "node": self.yard.buses[number].feeder,
            "max_charge_kw": CHARGER_KW,
            "max_discharge_kw": CHARGER_KW,
            "charge_efficiency": EFFICIENCY,
            "discharge_efficiency": EFFICIENCY,
        }

    def _vehicle(self, number: int, step: int, steps: int) -> dict[str, Any]:
        bus = self.yard.buses[number]
        ahead = [trip for trip in bus.trips if trip.returns > step]
        return {
            "id": str(number),
            "capacity_kwh": CAPACITY_KWH,
            "initial_soc": float(min(self.soc[number], 1.0)),
            "min_soc": 0.1,
            "max_soc": 1.0,
            "charger": str(number),
            "v2g": bus.version == V21,
            "v2g_min_soc": 0.25,
            "wear_cost_per_kwh": 0.04,
            "taper": [
                {"soc": TAPER_FROM_SOC, "max_charge_kw": CHARGER_KW},
                {"soc": 1.0, "max_charge_kw": CHARGER_KW * (1 - TAPER_SLOPE * (1 - TAPER_FROM_SOC))},
            ],
            "away": [
                {
                    "from_step": max(trip.leaves - step, 0),
                    "to_step": min(trip.returns - step, steps),
                    "energy_kwh": trip.energy_kwh,
                }
                for trip in ahead
            ],
            "targets": [
                {"boundary": trip.leaves - step, "soc": round(trip.soc, 4), "tier": "must"}
                for trip in ahead
                if trip.leaves > step
            ]
            + [{"boundary": steps, "soc": 0.5, "tier": "should", "price_per_kwh": 0.15}],
        }
