"""Answer "what would this use do to this battery": read a profile file, age it for years, report.

The logic of `manage.py battery_wear`, without Django.
"""

from __future__ import annotations

import csv
import io
import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from fleet.battery.ageing import AgeingState, Extrapolation, age_years, extrapolation, new_cell
from fleet.battery.cell_model import CellModel
from fleet.battery.cells import cell_models
from fleet.battery.profile import (
    EDGE_HOURS,
    HOURS_PER_YEAR,
    FloatArray,
    SocProfile,
    daily_use,
    make_profile,
    repeated,
    repetition_hours,
)
from fleet.battery.rainflow import bin_cycles, count_cycles, turning_points
from fleet.battery.wear import PackValue, marginal_wear_cost, profile_wear_cost

BIN_EDGES = tuple(step / 10 for step in range(11))
_COLUMNS = ("hours", "soc", "temperature_c")
_LIMITS = {"hours": (-math.inf, math.inf), "soc": (0.0, 1.0), "temperature_c": (-60.0, 100.0)}
_CURES = {
    "hours": "give hours since the start as a number that rises from row to row",
    "soc": "give the state of charge as a share from 0 to 1 (80 % is 0.8)",
    "temperature_c": "give the cell temperature in °C, from -60 to 100",
}
MAX_YEARS = 50
_MAX_PROBLEMS = 20


class ProfileError(ValueError):
    """Tell all problems of a profile file, one sentence each, with file, row, column, value and cure."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


@dataclass(frozen=True, slots=True)
class Study:
    """Hold the question: which use, which cell, how long, and what the pack is worth.

    A profile that is repeated is a duty: its energy stays the same and its swings widen as the battery fades,
    unless `fixed_soc`. One that is not repeated is a history, whose swings are what they are.
    """

    profile: SocProfile
    chemistry: str
    years: int
    repeat: bool
    pack: PackValue
    fixed_soc: bool = False


def read_profile(text: str, file_name: str, temperature_c: float) -> SocProfile:
    """Return the profile in CSV text with the columns `hours`, `soc` and optionally `temperature_c`.

    Without that column every sample has `temperature_c`. Raises ProfileError with all problems (at most 20).
    """
    rows = csv.reader(io.StringIO(text.removeprefix("\ufeff")))
    header = [name.strip().lower() for name in next(rows, [])]
    problems = _header_problems(header, file_name)
    if problems:
        raise ProfileError(problems)
    values: list[list[float]] = []
    for row in rows:
        if not any(cell.strip() for cell in row):
            continue
        values.append(_read_row(row, header, f"{file_name}, row {rows.line_num}", problems))
        last_two = [line[header.index("hours")] for line in values[-2:]]
        if len(last_two) == 2 and last_two[1] <= last_two[0]:
            problems.append(
                f"{file_name}, row {rows.line_num}, column hours: {last_two[1]:g} does not come after "
                f"{last_two[0]:g}; sort the rows by time and remove repeats."
            )
    if len(values) < 2 and not problems:
        problems.append(f"{file_name}: only {len(values)} sample(s); a profile needs at least two rows.")
    if problems:
        raise ProfileError(_first(problems))
    table = np.array(values)
    column = {name: table[:, index] for index, name in enumerate(header)}
    return make_profile(column["hours"], column["soc"], column.get("temperature_c", temperature_c))


def run_study(study: Study) -> dict[str, Any]:
    """Return the answer of INTERFACES section 4 as plain data; for "nmc" that of the model that ages more.

    Raises ValueError for an unknown chemistry, for years outside 1 to 50, and for a profile shorter than the
    years when it is not to be repeated.
    """
    if not 1 <= study.years <= MAX_YEARS:
        raise ValueError(f"years must lie between 1 and {MAX_YEARS}, not {study.years}.")
    lasts = repetition_hours(study.profile)
    if not study.repeat and lasts < study.years * HOURS_PER_YEAR - EDGE_HOURS:
        raise ValueError(
            f"The profile lasts {lasts:g} hours, less than {study.years} x 8760 (a year): "
            "repeat it, or ask for fewer years."
        )
    answers = [(model, _states(study, model)) for model in cell_models(study.chemistry)]
    model, states = min(answers, key=lambda answer: answer[1][-1].capacity)
    outside = extrapolation(model, daily_use(study.profile))
    return {
        "cell": {"model": model.name, "label": model.label, "source": model.source},
        "compared": [other.name for other, _ in answers],
        "years": [_year_row(year, state) for year, state in enumerate(states, start=1)],
        "relative_capacity": [state.capacity for state in states],
        "equivalent_full_cycles": states[-1].equivalent_full_cycles,
        "cycles": _cycle_rows(study),
        "wear": _wear_rows(study, model),
        "extrapolated": outside.extrapolated,
        "warnings": extrapolation_warnings(model, outside),
    }


def extrapolation_warnings(model: CellModel, outside: Extrapolation) -> list[str]:
    """Return one sentence for each respect in which a use lies outside a model's tests."""
    tested = model.tested
    sentences = (
        (
            outside.shallow,
            f"of the energy cycles on days shallower than the tested {tested.depth[0]:.0%} depth",
        ),
        (outside.deep, f"of the energy cycles on days deeper than the tested {tested.depth[1]:.0%} depth"),
        (
            outside.fast_charge,
            f"of the energy is charged faster than the tested {tested.max_charge_rate:g} C",
        ),
        (
            outside.temperature,
            "of the time lies outside the tested {:g} to {:g} °C".format(*tested.temperature_c),
        ),
    )
    return [f"{model.label}: {share:.0%} {what}." for share, what in sentences if share > 0]


def describe(answer: dict[str, Any]) -> str:
    """Return a study's answer as a short text for people."""
    lines = [
        f"{answer['cell']['label']} ({answer['cell']['source']})",
        "year  capacity  calendar  cycling  full cycles",
    ]
    lines += [
        f"{row['year']:>4}  {row['relative_capacity']:>8.4f}  {row['calendar_loss']:>8.4f}"
        f"  {row['cycle_loss']:>7.4f}  {row['equivalent_full_cycles']:>11.1f}"
        for row in answer["years"]
    ]
    cost = answer["wear"]["marginal_cost_per_kwh"]
    lines.append(f"Marginal wear: {cost:.4f} per kWh discharged through the charger.")
    return "\n".join([*lines, *answer["warnings"]])


def _header_problems(header: list[str], file_name: str) -> list[str]:
    if not any(header):
        return [f"{file_name}: the file is empty; its first row must read hours,soc[,temperature_c]."]
    problems = [
        f"{file_name}, row 1: column '{name}' is missing; {_CURES[name]}."
        for name in ("hours", "soc")
        if name not in header
    ]
    problems += [
        f"{file_name}, row 1: column '{name}' is not known; remove it (known: {', '.join(_COLUMNS)})."
        for name in header
        if name not in _COLUMNS
    ]
    if len(set(header)) != len(header):
        problems.append(f"{file_name}, row 1: a column appears twice; keep one of each.")
    return problems


def _read_row(row: list[str], header: list[str], place: str, problems: list[str]) -> list[float]:
    if len(row) != len(header):
        problems.append(f"{place}: {len(row)} values for {len(header)} columns; write one value a column.")
    cells = [*row, *([""] * len(header))]
    return [_read_cell(cell, name, place, problems) for cell, name in zip(cells, header, strict=False)]


def _read_cell(cell: str, name: str, place: str, problems: list[str]) -> float:
    low, high = _LIMITS[name]
    try:
        value = float(cell)
    except ValueError:
        value = math.nan
    if not (math.isfinite(value) and low <= value <= high):
        problems.append(f"{place}, column {name}: '{cell.strip()}' is not valid; {_CURES[name]}.")
    return value


def _first(problems: list[str]) -> list[str]:
    rest = len(problems) - _MAX_PROBLEMS
    return [*problems[:_MAX_PROBLEMS], f"… and {rest} more."] if rest > 0 else problems


def _states(study: Study, model: CellModel) -> list[AgeingState]:
    constant_energy = study.repeat and not study.fixed_soc
    start = new_cell(model)
    return list(age_years(start, study.profile, study.years, constant_energy=constant_energy))


def _year_row(year: int, state: AgeingState) -> dict[str, float]:
    return {
        "year": year,
        "relative_capacity": state.capacity,
        "calendar_loss": state.calendar_loss,
        "cycle_loss": state.cycle_loss,
        "equivalent_full_cycles": state.equivalent_full_cycles,
    }


def _cycle_rows(study: Study) -> list[dict[str, float]]:
    turns: list[FloatArray] = []
    for year in range(study.years):
        piece = repeated(study.profile, year * HOURS_PER_YEAR, (year + 1) * HOURS_PER_YEAR)
        turns.append(turning_points(piece.soc))
    boxes = bin_cycles(count_cycles(np.concatenate(turns)), BIN_EDGES, BIN_EDGES)
    return [
        {
            "depth_from": box.depth_from,
            "depth_to": box.depth_to,
            "mean_from": box.mean_from,
            "mean_to": box.mean_to,
            "count": box.count,
        }
        for box in boxes
    ]


def _wear_rows(study: Study, model: CellModel) -> dict[str, float]:
    mean_c = float(daily_use(study.profile).mean_kelvin.mean()) - 273.15
    marginal = marginal_wear_cost(model.name, mean_c, study.pack)
    average = profile_wear_cost(model, study.profile, study.pack, study.years)
    return {
        "pack_kwh": study.pack.capacity_kwh,
        "pack_price_per_kwh": study.pack.price_per_kwh,
        "allowed_loss": study.pack.allowed_loss,
        "marginal_cost_per_kwh": marginal.cost_per_kwh,
        "marginal_loss_per_kwh": marginal.loss_per_kwh,
        "average_cost_per_kwh": average.cost_per_kwh,
    }
