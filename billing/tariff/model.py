"""One version of a tariff, as data: what is charged, when, and at which price.

Every price is a `Price` row with conditions (`When`): season, kind of day, hours of the day. Within a
component the first row that matches a moment is the one that counts. Nothing here computes; `bill` and
`curve` do.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Literal

MINUTES_PER_DAY = 1440
WEEKDAYS = frozenset(range(5))
WEEKEND = frozenset({5, 6})
HOLIDAY = 7
ALL_DAYS = frozenset(range(8))
METERING_MINUTES = (5, 10, 15, 20, 30, 60)

ExportMethod = Literal["prices", "series", "net_metering", "net_billing_hourly"]
FixedUnit = Literal["month", "day", "year"]


@dataclass(frozen=True, slots=True)
class Season:
    """Name a part of the year: inclusive spans of month*100 + day (601 is 1 June); may wrap New Year."""

    id: str
    label: str
    spans: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class When:
    """Limit a price: seasons (empty = whole year), days (0 Monday .. 6 Sunday, 7 holiday), hours.

    `hours` are half-open spans of local minutes of the day; a span whose end is not after its start runs past
    midnight on the same date (22:00-06:00 is 00:00-06:00 and 22:00-24:00 of each day it names).
    """

    seasons: tuple[str, ...] = ()
    days: frozenset[int] = ALL_DAYS
    hours: tuple[tuple[int, int], ...] = ((0, MINUTES_PER_DAY),)

    @property
    def whole_days(self) -> bool:
        """Tell whether neither days nor hours limit it."""
        return self.days == ALL_DAYS and self.hours == ((0, MINUTES_PER_DAY),)


ALWAYS = (When(),)


@dataclass(frozen=True, slots=True)
class Price:
    """State one price (per kWh or per kW, by its component) and when it holds (any of `when`)."""

    id: str
    label: str
    amount: Decimal
    when: tuple[When, ...] = ALWAYS


@dataclass(frozen=True, slots=True)
class SeriesPrice:
    """Price each interval from the load's price series: value x `factor` + `adder`, within floor and cap."""

    factor: Decimal = Decimal(1)
    adder_per_kwh: Decimal = Decimal(0)
    floor_per_kwh: Decimal | None = None
    cap_per_kwh: Decimal | None = None


@dataclass(frozen=True, slots=True)
class EnergyComponent:
    """Charge each imported kWh, by `prices` or by `series`; components stack (generation, delivery)."""

    id: str
    label: str
    prices: tuple[Price, ...] = ()
    series: SeriesPrice | None = None


@dataclass(frozen=True, slots=True)
class DemandCharge:
    """Charge the highest metered kW per billing period and price row.

    A row's window may recur on many days: it still has ONE maximum per billing period. The metered value is
    the mean import over blocks of `metering_minutes`, aligned to the clock.
    """

    id: str
    label: str
    prices: tuple[Price, ...]
    metering_minutes: int = 15

    @property
    def kind(self) -> Literal["flat", "tou"]:
        """Return "tou" when days or hours limit any of its prices, else "flat"."""
        limited = any(not when.whole_days for price in self.prices for when in price.when)
        return "tou" if limited else "flat"


@dataclass(frozen=True, slots=True)
class FixedCharge:
    """Charge an amount per billing month, local day, or year (a twelfth per billing month)."""

    id: str
    label: str
    amount: Decimal
    per: FixedUnit = "month"


@dataclass(frozen=True, slots=True)
class Export:
    """Pay for exported kWh: by `prices`, by the load's export price `series`, or by a rule not billed yet."""

    method: ExportMethod
    prices: tuple[Price, ...] = ()
    series: SeriesPrice | None = None


@dataclass(frozen=True, slots=True)
class MinimumBill:
    """Raise the charges of a billing period (export credit included, before tax) to at least this."""

    amount: Decimal
    per: Literal["month", "day"] = "month"


@dataclass(frozen=True, slots=True)
class Tax:
    """Add a percentage of the lines whose id starts with one of `on` (empty = all lines before taxes)."""

    id: str
    label: str
    percent: Decimal
    on: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Tariff:
    """Hold one version of a tariff.

    `time_zone` None means the source names none: the caller gives one. Validity dates are local, inclusive.
    `holidays` are single dates; `recurring_holidays` are month*100 + day of every year. `line_decimals` is
    the number of decimals to which each line is rounded (half up). `unsupported` names elements that the
    engine refuses to bill; while it is not empty there is no total. `notes` go to every bill's warnings.
    """

    name: str
    currency: str
    time_zone: str | None = None
    utility: str = ""
    source: str = ""
    valid_from: date | None = None
    valid_to: date | None = None
    seasons: tuple[Season, ...] = ()
    holidays: tuple[date, ...] = ()
    recurring_holidays: tuple[int, ...] = ()
    energy: tuple[EnergyComponent, ...] = ()
    demand: tuple[DemandCharge, ...] = ()
    fixed: tuple[FixedCharge, ...] = ()
    export: Export | None = None
    minimum: MinimumBill | None = None
    reactive_price_per_kvar: Decimal | None = None
    taxes: tuple[Tax, ...] = ()
    line_decimals: int = 2
    unsupported: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
