"""Hold a metered load on a regular grid, and complete it where readings are missing."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo

import numpy as np
import numpy.typing as npt

from billing.tariff.problems import LoadError, Notice, Problem
from depot.words import tr

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

MIN_STEP_MINUTES, MAX_STEP_MINUTES = 5, 60
INTERPOLATE_UP_TO_MINUTES = 120
WEEK_MINUTES = 7 * 1440
SPIKE_OVER_NEIGHBOURS = 5.0
SPIKE_OVER_REST = 3.0


@dataclass(frozen=True, slots=True, eq=False)
class LoadSeries:
    """Hold mean powers (kW, >= 0) and optional prices (per kWh) per step from `start_at` (aware UTC).

    `reactive_kvar` is the mean reactive power drawn (>= 0), where it was metered.
    `estimated` marks steps that were not measured: their energy is billed, they never set a demand peak.
    `written_in` is the one fixed UTC offset in which a file was written, when it had one.
    """

    start_at: datetime
    step_minutes: int
    import_kw: Floats
    export_kw: Floats
    estimated: Bools
    import_price_per_kwh: Floats | None = None
    export_price_per_kwh: Floats | None = None
    notices: tuple[Notice, ...] = ()
    written_in: tzinfo | None = None
    reactive_kvar: Floats | None = None

    @property
    def steps(self) -> int:
        """Return the number of steps."""
        return int(self.import_kw.size)

    @property
    def end_at(self) -> datetime:
        """Return the end of the last step."""
        return self.start_at + self.steps * timedelta(minutes=self.step_minutes)


def make_load(  # noqa: PLR0913 – one argument a column
    start_at: datetime,
    step_minutes: int,
    import_kw: npt.ArrayLike,
    export_kw: npt.ArrayLike | None = None,
    *,
    import_price_per_kwh: npt.ArrayLike | None = None,
    export_price_per_kwh: npt.ArrayLike | None = None,
    estimated: npt.ArrayLike | None = None,
    written_in: tzinfo | None = None,
    reactive_kvar: npt.ArrayLike | None = None,
) -> LoadSeries:
    """Make a load from series of equal length; NaN marks a missing reading or price, which is estimated.

    `estimated` marks values that the caller has estimated already: they are billed, but set no demand peak.
    Import and export (kW) are estimated together where either is missing. A missing price is the last one
    known (the next one at the start). Suspicious spikes get a notice and are billed as measured. Raises
    LoadError for a naive start, a step outside 5..60 minutes, unequal lengths, negative powers or no reading.
    """
    imported = np.array(import_kw, dtype=np.float64)
    exported = np.zeros_like(imported) if export_kw is None else np.array(export_kw, dtype=np.float64)
    prices = {"import_price_per_kwh": import_price_per_kwh, "export_price_per_kwh": export_price_per_kwh}
    given = _arrays(prices)
    reactive = _arrays({"reactive_kvar": reactive_kvar})
    _check(start_at, step_minutes, imported, {"export_kw": exported, **reactive, **given})
    missing = np.isnan(imported) | np.isnan(exported)
    notices = _gap_notices(start_at, step_minutes, missing)
    if missing.any():
        imported = _estimate(imported, missing, step_minutes)
        exported = _estimate(exported, missing, step_minutes)
    unmeasured = missing if estimated is None else missing | np.array(estimated, dtype=np.bool_)
    for name, series in reactive.items():
        unmeasured = unmeasured | np.isnan(series)
        reactive[name] = _estimate(series, np.isnan(series), step_minutes)
    for name, series in given.items():
        stale = int(np.isnan(series).sum())
        if stale:
            given[name] = _last_known(series)
            notices.append(
                Notice(
                    "stale_price",
                    tr("{stale} missing {name}: the last known price was used.", stale=stale, name=name),
                )
            )
    notices += _spike_notices(start_at, step_minutes, imported)
    return LoadSeries(
        start_at.astimezone(UTC),
        step_minutes,
        imported,
        exported,
        unmeasured,
        given.get("import_price_per_kwh"),
        given.get("export_price_per_kwh"),
        tuple(notices),
        written_in,
        reactive.get("reactive_kvar"),
    )


def _arrays(columns: dict[str, npt.ArrayLike | None]) -> dict[str, Floats]:
    """Return the columns that are given, as arrays."""
    return {name: np.array(value, dtype=np.float64) for name, value in columns.items() if value is not None}


def _check(start_at: datetime, step_minutes: int, imported: Floats, others: dict[str, Floats]) -> None:
    problems = []
    if start_at.utcoffset() is None:
        problems.append(Problem("start", tr("the first moment has no UTC offset"), tr("Give an aware time")))
    if not MIN_STEP_MINUTES <= step_minutes <= MAX_STEP_MINUTES:
        problems.append(
            Problem(
                "step",
                tr("steps of {step_minutes} minutes", step_minutes=step_minutes),
                tr("Give a step of 5 to 60 minutes"),
            )
        )
    if not imported.size or np.isnan(imported).all():
        problems.append(Problem("import_kw", tr("there is no reading"), tr("Give at least one")))
    for name, series in others.items():
        if series.size != imported.size:
            message = tr("{size} values beside {size2} of import_kw", size=series.size, size2=imported.size)
            problems.append(Problem(name, message, tr("Give one value per step")))
        elif series.size and np.isnan(series).all():
            problems.append(Problem(name, tr("there is no value"), tr("Fill the column or leave it out")))
    powers = {"import_kw": imported, **others}
    for name in [name for name in ("import_kw", "export_kw", "reactive_kvar") if name in powers]:
        power = powers[name]
        if (power < 0).any() or np.isinf(power).any():
            step = int(np.argmax((power < 0) | np.isinf(power)))
            message = tr("step {step} is {power:g} kW", step=step, power=power[step])
            problems.append(Problem(name, message, tr("Give powers of 0 or more; export has its own series")))
    if problems:
        raise LoadError(problems)


def _runs(mask: Bools) -> list[tuple[int, int]]:
    """Return the half-open index ranges in which the mask is true."""
    edges = np.flatnonzero(np.diff(np.concatenate(([False], mask, [False])).astype(np.int8)))
    return [(int(first), int(last)) for first, last in edges.reshape(-1, 2)]


def _gap_notices(start_at: datetime, step_minutes: int, missing: Bools) -> list[Notice]:
    notices = []
    for first, last in _runs(missing):
        at = (start_at + first * timedelta(minutes=step_minutes)).isoformat()
        hours = (last - first) * step_minutes / 60
        notices.append(
            Notice(
                "gap",
                tr(
                    "No reading for {hours:g} h from {at} ({last} steps): energy estimated, never counted as "
                    "a demand peak.",
                    hours=hours,
                    at=at,
                    last=last - first,
                ),
            )
        )
    return notices


def _estimate(power_kw: Floats, missing: Bools, step_minutes: int) -> Floats:
    """Fill short gaps by a straight line, long ones with the same hour a week before and after."""
    known = np.flatnonzero(~missing)
    filled = power_kw.copy()
    filled[missing] = np.interp(np.flatnonzero(missing), known, power_kw[known])
    if WEEK_MINUTES % step_minutes:
        return filled
    week = WEEK_MINUTES // step_minutes
    for first, last in _runs(missing):
        if (last - first) * step_minutes <= INTERPOLATE_UP_TO_MINUTES:
            continue
        for step in range(first, last):
            around = [at for at in (step - week, step + week) if 0 <= at < missing.size and not missing[at]]
            if around:
                filled[step] = power_kw[around].mean()
    return filled


def _last_known(series: Floats) -> Floats:
    known = ~np.isnan(series)
    index = np.maximum.accumulate(np.where(known, np.arange(series.size), -1))
    return np.asarray(series[np.where(index < 0, int(np.argmax(known)), index)])


def _spike_notices(start_at: datetime, step_minutes: int, import_kw: Floats) -> list[Notice]:
    """Flag readings far above both neighbours and above nearly everything else in the series."""
    if import_kw.size < 3:
        return []
    padded = np.concatenate(([import_kw[1]], import_kw, [import_kw[-2]]))
    neighbours = np.maximum(padded[:-2], padded[2:])
    candidates = (import_kw > SPIKE_OVER_NEIGHBOURS * neighbours) & (import_kw > 0)
    rest = import_kw[~candidates]
    usual = float(rest.max()) if rest.size else 0.0
    if not usual:
        return []
    step_length = timedelta(minutes=step_minutes)
    return [
        Notice(
            "spike",
            tr(
                "{import_kw:g} kW at {start_at} stands alone, {usual:.0f} times the next highest: check "
                "the meter. It is billed as measured.",
                import_kw=import_kw[step],
                start_at=(start_at + int(step) * step_length).isoformat(),
                usual=import_kw[step] / usual,
            ),
        )
        for step in np.flatnonzero(candidates & (import_kw > SPIKE_OVER_REST * usual))
    ]
