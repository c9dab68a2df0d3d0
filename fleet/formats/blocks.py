"""What every schedule format delivers, and what it is checked against."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date

from depot.imports import RowError
from fleet.formats.service_days import weekday_bits

EVER_FROM, EVER_TO = date.min.toordinal(), date.max.toordinal()


@dataclass(frozen=True, slots=True)
class Place:
    """Where in the file a block stands, and what the file calls the columns."""

    sheet: str = ""
    row: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)

    def error(self, name: str, value: str, message: str) -> RowError:
        """Return an error in the column that holds the field `name`."""
        return RowError(self.sheet, self.row, self.headers.get(name, name), value, message)


@dataclass(frozen=True, slots=True)
class BlockRow:
    """A block as a schedule file says it. Times are minutes after midnight of the service day, SoC is 0..1.

    It runs on `service_date` alone, or on `weekdays` (bit 0 = Monday) from `valid_from` to `valid_to`, where
    `exceptions` name the days that differ (True = runs although the weekday says no).
    `place` and `has_calendar` (its days may differ by a calendar of the depot) are left out of comparisons: the
    same block on another row is the same block.
    """

    block_id: str
    depart_minute: int
    return_minute: int
    service_date: date | None = None
    weekdays: int = 0
    valid_from: date | None = None
    valid_to: date | None = None
    distance_km: float | None = None
    energy_kwh: float | None = None
    min_soc_departure: float | None = None
    precondition: bool = False
    vehicle: str = ""
    vehicle_type: str = ""
    exceptions: tuple[tuple[date, bool], ...] = ()
    place: Place = field(default_factory=Place, compare=False, repr=False)
    has_calendar: bool = field(default=False, compare=False, repr=False)

    @property
    def key(self) -> str:
        """Return what names the block and its days: the same key again is the same block."""
        if self.service_date is not None:
            return f"{self.block_id}|{self.service_date}"
        start = f"|{self.valid_from}" if self.valid_from else ""
        return f"{self.block_id}|{weekday_bits(self.weekdays)}{start}"

    @property
    def first_day(self) -> int:
        """Return the first day it can run, as an ordinal."""
        day = self.service_date or self.valid_from
        return day.toordinal() if day else EVER_FROM

    @property
    def last_day(self) -> int:
        """Return the last day it can run, as an ordinal."""
        day = self.service_date or self.valid_to
        return day.toordinal() if day else EVER_TO

    def running(self) -> Callable[[int], bool]:
        """Return what tells whether it runs on a day (as an ordinal) between its first and last day."""
        differing = {day.toordinal(): runs for day, runs in self.exceptions}
        usual = self.running_days
        return lambda ordinal: differing.get(ordinal, bool(usual >> (ordinal - 1) % 7 & 1))

    @property
    def running_days(self) -> int:
        """Return the weekdays on which it can run as bits, also for a dated block."""
        return 1 << self.service_date.weekday() if self.service_date else self.weekdays


@dataclass(frozen=True, slots=True)
class Reading:
    """A schedule file as one format understood it.

    `fields` are the optional fields the file has columns for: others keep what is known of an existing block.
    `unknown_columns` are titles that a person may give a meaning. A `private` file holds what must not be kept.
    """

    file_format: str
    rows: tuple[BlockRow, ...]
    errors: tuple[RowError, ...] = ()
    warnings: tuple[RowError, ...] = ()
    facts: tuple[tuple[str, str], ...] = ()
    fields: frozenset[str] = frozenset()
    unknown_columns: tuple[str, ...] = ()
    private: bool = False


@dataclass(frozen=True, slots=True)
class KnownVehicle:
    """A vehicle of the depot: the names files may use for it, and its type."""

    name: str
    vehicle_type: str
    other_names: tuple[str, ...] = ()
    active: bool = True


@dataclass(frozen=True, slots=True)
class KnownType:
    """A vehicle type of the depot: energy from 0 to 100 %, the SoC window (0..1) it may use, its consumption."""

    name: str
    usable_kwh: float
    consumption_kwh_per_km: float
    auxiliary_kw: float = 0.0
    min_soc: float = 0.0
    max_soc: float = 1.0
    reserve_soc: float = 0.0


@dataclass(frozen=True, slots=True)
class Fleet:
    """What a schedule of a depot may name, and what its files leave out.

    `deadhead` is the way between the depot and the first or last stop, in minutes and km; None = not known.
    `columns` is what people decided titles mean (plain title -> column, "" = left out).
    A block that stands for `split_gap_minutes` or more between two trips comes home meanwhile; None = never.
    """

    depot_names: frozenset[str]
    vehicles: tuple[KnownVehicle, ...]
    types: tuple[KnownType, ...]
    time_zone: str = ""
    deadhead: tuple[int, float] | None = None
    split_gap_minutes: int | None = None
    columns: Mapping[str, str] = field(default_factory=dict)
