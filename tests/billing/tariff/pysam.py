"""Random URDB tariffs and loads, and what NREL's utility-rate engine (PySAM Utilityrate5) bills for them.

PySAM is an oracle only where it is right, so its inputs are made here from the same numbers, without its
converter: the converter gives all months one look-back list and leaves "this month's own peak" off, turns
a daily charge into 365/12 days and does not read the old ratchet. Its year is 365 days from a Monday
without clock change: 2018. Left out because it is wrong or silent there: TOU demand under a ratchet (it
bills every window at the highest of all), look-back over New Year, coincident and reactive charges; and
tiers over several TOU periods beside export, where it fills tiers step by step, not by the month's shares.
"""

from datetime import UTC, datetime
from typing import Any, NamedTuple

import numpy as np

from billing.tariff import LoadSeries, make_load

START = datetime(2018, 1, 1, tzinfo=UTC)
DAYS = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
UNITS = {"kWh": 0, "kWh/kW": 1, "kWh daily": 2, "kWh/kW daily": 3}
RULES = {"Net Metering": 0, "Net Billing Instantaneous": 2, "Buy All Sell All": 4}


class Case(NamedTuple):
    """A URDB record and a year of hourly powers in kW, import and export (of each step one of them is 0)."""

    record: dict[str, Any]
    import_kw: np.ndarray
    export_kw: np.ndarray

    @property
    def load(self) -> LoadSeries:
        return make_load(START, 60, self.import_kw, self.export_kw, written_in=UTC)


class Monthly(NamedTuple):
    """What a year costs month by month."""

    energy: np.ndarray
    flat: np.ndarray
    tou: np.ndarray
    fixed: np.ndarray
    minimum: np.ndarray


def random_case(seed: int) -> Case:
    """Return a random tariff: every mix of the elements that PySAM bills rightly, and a load with peaks."""
    rng = np.random.default_rng(seed)
    plain = rng.random() < 0.2  # one price without tiers, so that net metering can be compared
    periods = 1 if plain else int(rng.integers(1, 5))
    ratchet = rng.random() < 0.35
    unit = str(rng.choice(list(UNITS)))
    record: dict[str, Any] = {"name": f"Random {seed}", "demandwindow": 60}
    tiers = 1 if plain else int(rng.integers(1, 4))
    limits = sorted(round(float(x), 1) for x in rng.uniform(*_range(unit), tiers - 1))
    record["energyratestructure"] = [_tiers(rng, limits, unit, 0.4) for _ in range(periods)]
    record["energyweekdayschedule"] = _schedule(rng, periods)
    record["energyweekendschedule"] = _schedule(rng, periods)
    if rng.random() < 0.8:
        rows = int(rng.integers(1, 4))
        tiers_kw = [round(float(rng.uniform(50, 200)), 1)] if rng.random() < 0.4 else []
        record["flatdemandstructure"] = [_tiers(rng, tiers_kw, "kW", 25.0) for _ in range(rows)]
        record["flatdemandmonths"] = [int(m) for m in rng.integers(0, rows, 12)]
    if rng.random() < 0.6 and not ratchet:
        rows = int(rng.integers(1, 4))
        tiers_kw = [round(float(rng.uniform(50, 200)), 1)] if rng.random() < 0.3 else []
        record["demandratestructure"] = [_tiers(rng, tiers_kw, "kW", 20.0) for _ in range(rows)]
        record["demandweekdayschedule"] = _schedule(rng, rows)
        record["demandweekendschedule"] = _schedule(rng, rows)
    if ratchet and "flatdemandstructure" in record:
        record["lookbackpercent"] = round(float(rng.uniform(0.3, 1.0)), 2)
        if rng.random() < 0.5:
            record["lookbackrange"] = int(rng.integers(1, 12))
        else:
            record["lookbackmonths"] = [int(x) for x in rng.integers(0, 2, 12)]
            record["lookbackmonths"][int(rng.integers(0, 12))] = 1
    _fixed(rng, record)
    export = _export(rng, record, limits)
    return Case(record, *_powers(rng, export))


def _range(unit: str) -> tuple[float, float]:
    """Return within which limits of tiers are drawn: about 50 MWh and 250 kW a month."""
    return {
        "kWh": (5_000.0, 60_000.0),
        "kWh daily": (200.0, 2_500.0),
        "kWh/kW": (50.0, 400.0),
        "kWh/kW daily": (2.0, 14.0),
    }[unit]


def _tiers(rng: np.random.Generator, limits: list[float], unit: str, top: float) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for limit in [*limits, None]:
        row: dict[str, Any] = {"rate": round(float(rng.uniform(0.01, top)), 5), "unit": unit}
        if rng.random() < 0.3:
            row["adj"] = round(float(rng.uniform(-0.01, 0.01)), 5)
        if limit is not None:
            row["max"] = limit
        rows.append(row)
    return rows


def _schedule(rng: np.random.Generator, periods: int) -> list[list[int]]:
    """Return 12 x 24 periods: a few blocks of hours a day, two seasons."""
    days = []
    for _ in range(2):
        edges = np.sort(rng.integers(0, 25, 3))
        hours = np.searchsorted(edges, np.arange(24), side="right")
        days.append([int(p) for p in rng.integers(0, periods, 4)[hours]])
    first, last = sorted(int(x) for x in rng.integers(0, 13, 2))
    return [list(days[first <= month < last]) for month in range(12)]


def _fixed(rng: np.random.Generator, record: dict[str, Any]) -> None:
    if rng.random() < 0.7:
        record["fixedchargefirstmeter"] = round(float(rng.uniform(1, 500)), 2)
        record["fixedchargeunits"] = str(rng.choice(["$/month", "$/day", "$/year"]))
    if rng.random() < 0.3:
        record["mincharge"] = round(float(rng.uniform(500, 9_000)), 2)
        record["minchargeunits"] = "$/month"


def _export(rng: np.random.Generator, record: dict[str, Any], limits: list[float]) -> bool:
    """Add an export rule to many tariffs; sell prices are one a period, as the importer asks."""
    one = len(record["energyratestructure"]) == 1
    if rng.random() < 0.3 or "mincharge" in record or (limits and not one):
        return False
    rules = [*list(RULES)[1:], *(["Net Metering"] * 3 if one and not limits else [])]
    record["dgrules"] = str(rng.choice(rules))
    if record["dgrules"] != "Net Metering":
        for period in record["energyratestructure"]:
            sell = round(float(rng.uniform(0.01, 0.3)), 5)
            for tier in period:
                tier["sell"] = sell
    return True


def _powers(rng: np.random.Generator, export: bool) -> tuple[np.ndarray, np.ndarray]:
    hour = np.arange(8760)
    base = 40 + 30 * np.sin(2 * np.pi * (hour % 24 - 6) / 24) + 15 * np.cos(2 * np.pi * hour / 8760)
    power = base * rng.uniform(0.3, 1.0) + rng.gamma(0.5, 25.0, 8760) * (rng.random(8760) < 0.3)
    if export:
        sun = np.clip(np.sin(2 * np.pi * (hour % 24 - 6) / 24), 0, 1)
        power -= sun * rng.uniform(50, 250) * (1 + 0.5 * np.sin(2 * np.pi * (hour / 8760 - 0.25)))
    else:
        power = np.maximum(power, 0)
    power = np.round(power, 4)
    return np.maximum(power, 0), np.maximum(-power, 0)


def pysam_bill(case: Case) -> Monthly:
    """Bill a case with PySAM, from the record's own numbers."""
    from PySAM import Utilityrate5

    record = case.record
    model = Utilityrate5.new()
    rates: dict[str, Any] = {"en_electricity_rates": 1, "rate_escalation": [0]}
    rates |= _energy_inputs(record) | _demand_inputs(record) | _ratchet_inputs(record)
    rates["ur_metering_option"] = RULES[record.get("dgrules", "Net Metering")]
    rates |= {
        "ur_nm_yearend_sell_rate": 0,
        "ur_sell_eq_buy": 0,
        "ur_en_ts_sell_rate": 0,
        "ur_en_ts_buy_rate": 0,
    }
    rates |= {"ur_ts_sell_rate": [0], "ur_ts_buy_rate": [0], "ur_annual_min_charge": 0}
    rates |= {"ur_nm_credit_month": 11, "ur_nm_credit_rollover": 0}
    unit = {"$/month": 1, "$/year": 1 / 12, "$/day": 0}[record.get("fixedchargeunits", "$/month")]
    fixed = np.full(12, record.get("fixedchargefirstmeter", 0.0) * unit)
    if not unit:  # its days are 365/12 in every month: added here by the calendar instead
        fixed = record.get("fixedchargefirstmeter", 0.0) * np.array(DAYS)
    rates["ur_monthly_fixed_charge"] = fixed[0] if unit else 0
    rates["ur_monthly_min_charge"] = record.get("mincharge", 0) if unit else 0
    for name, value in rates.items():
        setattr(model.ElectricityRates, name, value)
    model.Lifetime.assign({"analysis_period": 1, "system_use_lifetime_output": 0, "inflation_rate": 0})
    model.SystemOutput.assign({"gen": list(case.export_kw), "degradation": [0]})
    model.Load.assign({"load": list(case.import_kw), "load_escalation": [0]})
    model.execute(0)
    out = model.Outputs
    energy = np.array(out.year1_monthly_ec_charge_with_system)
    minimum = np.array(out.year1_monthly_minimum_with_system)
    flat, tou = (np.array(getattr(out, f"year1_monthly_dc_{k}_with_system")) for k in ("fixed", "tou"))
    if not unit and "mincharge" in record:
        minimum = np.maximum(record["mincharge"] - (energy + flat + tou + fixed), 0)
    return Monthly(energy, flat, tou, fixed, minimum)


def _energy_inputs(record: dict[str, Any]) -> dict[str, Any]:
    rows = [
        [p + 1, t + 1, tier.get("max", 1e38), UNITS[tier["unit"]], _price(tier), tier.get("sell", 0)]
        for p, period in enumerate(record["energyratestructure"])
        for t, tier in enumerate(period)
    ]
    return {
        "ur_ec_tou_mat": rows,
        "ur_ec_sched_weekday": _plus_one(record["energyweekdayschedule"]),
        "ur_ec_sched_weekend": _plus_one(record["energyweekendschedule"]),
    }


def _demand_inputs(record: dict[str, Any]) -> dict[str, Any]:
    flat = record.get("flatdemandstructure", [[{"rate": 0}]])
    months = record.get("flatdemandmonths", [0] * 12)
    tou = record.get("demandratestructure", [[{"rate": 0}]])
    everywhere = [[0] * 24] * 12
    return {
        "ur_dc_enable": 1,
        "ur_dc_flat_mat": [
            [month, t + 1, tier.get("max", 1e38), _price(tier)]
            for month, period in enumerate(months)
            for t, tier in enumerate(flat[period])
        ],
        "ur_dc_tou_mat": [
            [p + 1, t + 1, tier.get("max", 1e38), _price(tier)]
            for p, period in enumerate(tou)
            for t, tier in enumerate(period)
        ],
        "ur_dc_sched_weekday": _plus_one(record.get("demandweekdayschedule", everywhere)),
        "ur_dc_sched_weekend": _plus_one(record.get("demandweekendschedule", everywhere)),
    }


def _ratchet_inputs(record: dict[str, Any]) -> dict[str, Any]:
    """Give each designated month its percentage and every month its own peak."""
    percent = record.get("lookbackpercent", 0) * 100
    months = record.get("lookbackmonths", [1] * 12)
    tou = record.get("demandratestructure", [[]])
    return {
        "ur_enable_billing_demand": 1 if percent else 0,
        "ur_billing_demand_minimum": 0,
        "ur_billing_demand_lookback_period": record.get("lookbackrange", 11),
        "ur_billing_demand_lookback_percentages": [[percent * held, 1] for held in months],
        "ur_dc_billing_demand_periods": [[period + 1, 1] for period in range(len(tou))],
        "ur_yearzero_usage_peaks": [0] * 12,
    }


def _price(tier: dict[str, Any]) -> float:
    return tier["rate"] + tier.get("adj", 0)


def _plus_one(schedule: list[list[int]]) -> list[list[int]]:
    return [[period + 1 for period in month] for month in schedule]
