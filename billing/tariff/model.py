"""One version of a tariff, as data: what is charged, when, and at which price.

Every price is a `Price` row with conditions (`When`): season, kind of day, hours of the day. Within a
component the first row that matches a moment is the one that counts. Nothing here computes; `bill` and
`curve` do.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Literal

MINUTES_PER_DAY = 1440
WEEKDAYS = frozenset(range(5))
WEEKEND = frozenset({5, 6})
HOLIDAY = 7
ALL_DAYS = frozenset(range(8))
DAY_NAMES = {
    "weekday": WEEKDAYS,
    "weekend": WEEKEND,
    "holiday": frozenset({HOLIDAY}),
    **{n: frozenset({i}) for i, n in enumerate(("mon", "tue", "wed", "thu", "fri", "sat", "sun"))},
}
DEFAULT_METERING_MINUTES = 15
METERING_MINUTES = (5, 10, 15, 20, 30, 60)

ExportMethod = Literal["prices", "series", "net_metering", "net_billing_hourly", "buy_all_sell_all"]
FixedUnit = Literal["month", "day", "year"]
TierBasis = Literal["kwh", "kwh_per_day", "kwh_per_kw", "kwh_per_kw_per_day"]
DemandUnit = Literal["kW", "kVA"]


@dataclass(frozen=True, slots=True)
class Season:
    """Name a part of the year: inclusive spans of month*100 + day (601 is 1 June); may wrap New Year."""

    id: str
    label: str
    spans: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class EventDays:
    """Name the days on which a utility called an event (critical peak); a price may hold on them only."""

    id: str
    label: str
    days: tuple[date, ...]


@dataclass(frozen=True, slots=True)
class When:
    """Limit a price: seasons (empty = whole year), days (0 Monday .. 6 Sunday, 7 holiday), hours, event days.

    `hours` are half-open spans of local minutes of the day; a span whose end is not after its start runs past
    midnight on the same date (22:00-06:00 is 00:00-06:00 and 22:00-24:00 of each day it names).
    """

    seasons: tuple[str, ...] = ()
    days: frozenset[int] = ALL_DAYS
    hours: tuple[tuple[int, int], ...] = ((0, MINUTES_PER_DAY),)
    events: tuple[str, ...] = ()

    @property
    def whole_days(self) -> bool:
        """Tell whether neither days nor hours nor events limit it."""
        return self.days == ALL_DAYS and self.hours == ((0, MINUTES_PER_DAY),) and not self.events


ALWAYS = (When(),)


@dataclass(frozen=True, slots=True)
class Tier:
    """Hold the price of the slice of a quantity up to `up_to` (None = everything above the tier before)."""

    up_to: Decimal | None
    amount: Decimal


@dataclass(frozen=True, slots=True)
class Price:
    """State one price (per kWh or per kW, by its component) and when it holds (any of `when`).

    `tiers` price slices of the quantity, each at its own price; `amount` is then the first tier's price.
    `steps` (demand only) set one amount for the whole billing period by the step in which the kW fall.
    """

    id: str
    label: str
    amount: Decimal
    when: tuple[When, ...] = ALWAYS
    tiers: tuple[Tier, ...] = ()
    steps: tuple[Tier, ...] = ()


@dataclass(frozen=True, slots=True)
class SeriesPrice:
    """Price each interval from the load's price series: value x `factor` + `adder`, within floor and cap."""

    factor: Decimal = Decimal(1)
    adder_per_kwh: Decimal = Decimal(0)
    floor_per_kwh: Decimal | None = None
    cap_per_kwh: Decimal | None = None


@dataclass(frozen=True, slots=True)
class EnergyComponent:
    """Charge each imported kWh, by `prices`, by `series` or by one price a month; components stack.

    `monthly` holds (year * 100 + month, price per kWh) for riders that change every month. Tiers count the
    kWh of the billing period over all rows (`tier_basis` kwh, kwh_per_day), or kWh per kW of billing demand
    (kwh_per_kw, kwh_per_kw_per_day): the kW that demand charge `tier_demand` bills, or without one the
    highest 15-minute mean.
    """

    id: str
    label: str
    prices: tuple[Price, ...] = ()
    series: SeriesPrice | None = None
    monthly: tuple[tuple[int, Decimal], ...] = ()
    tier_basis: TierBasis = "kwh"
    tier_demand: str = ""


@dataclass(frozen=True, slots=True)
class Ratchet:
    """Bill at least `percent` of the highest kW of the last `months_back` billing periods.

    Only periods that begin in one of `months` (1..12; empty = all) count. It looks backwards only.
    """

    percent: Decimal
    months_back: int = 11
    months: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class DemandCharge:
    """Charge the highest metered kW per billing period and price row.

    A row's window may recur on many days: it still has ONE maximum per billing period. The metered value is
    the mean import over blocks of `metering_minutes`, aligned to the clock; with `unit` kVA the apparent
    power of each block. `highest` > 1 takes the mean of that many highest blocks (`on_different_days`: one a
    day). `per` day charges each day's maximum; `per` year charges a twelfth of the price a month on the
    highest of the calendar year so far, and reprices earlier months when it rises. `mean_of_periods` bills
    the mean of that many billing periods' values. `least_kw` is the least value of every period.
    """

    id: str
    label: str
    prices: tuple[Price, ...]
    metering_minutes: int = 15
    unit: DemandUnit = "kW"
    per: FixedUnit = "month"
    highest: int = 1
    on_different_days: bool = True
    mean_of_periods: int = 1
    least_kw: Decimal = Decimal(0)
    ratchet: Ratchet | None = None

    @property
    def kind(self) -> Literal["flat", "tou"]:
        """Return "tou" when days or hours limit any of its prices, else "flat"."""
        limited = any(not when.whole_days for price in self.prices for when in price.when)
        return "tou" if limited else "flat"


@dataclass(frozen=True, slots=True)
class Overage:
    """Charge the kW above a subscription: the highest excess, or the sum of hourly excesses.

    With `hourly_sum` the highest excess of each hour counts, at most `count` of them (0 = all).
    """

    price_per_kw: Decimal
    hourly_sum: bool = False
    count: int = 0


@dataclass(frozen=True, slots=True)
class Subscription:
    """Charge subscribed (contracted, declared) power in blocks of `block_kw` per billing period.

    `subscribed_kw` None takes the fewest blocks that hold the period's highest kW.
    """

    id: str
    label: str
    price_per_block: Decimal
    block_kw: Decimal = Decimal(1)
    subscribed_kw: Decimal | None = None
    overage: Overage | None = None
    metering_minutes: int = 15


@dataclass(frozen=True, slots=True)
class Coincident:
    """Charge the mean kW in hours that were announced afterwards (`moments`, aware starts of blocks).

    `same_period` charges each billing period on the moments inside it. `year_before` charges every billing
    period of a year on the moments of the year before, or on `known_kw` ((year, kW) pairs).
    """

    id: str
    label: str
    price_per_kw: Decimal
    moments: tuple[datetime, ...] = ()
    metering_minutes: int = 60
    basis: Literal["same_period", "year_before"] = "same_period"
    known_kw: tuple[tuple[int, Decimal], ...] = ()


@dataclass(frozen=True, slots=True)
class Reactive:
    """Charge the highest kvar, or the kvarh, of a billing period above `free_per_kw` times the kW or kWh."""

    price: Decimal
    unit: Literal["kvar", "kvarh"] = "kvar"
    free_per_kw: Decimal = Decimal(0)


@dataclass(frozen=True, slots=True)
class FixedCharge:
    """Charge `count` x an amount per billing month, local day, or year (a twelfth per billing month)."""

    id: str
    label: str
    amount: Decimal
    per: FixedUnit = "month"
    count: int = 1


@dataclass(frozen=True, slots=True)
class Export:
    """Pay for exported kWh.

    `prices` and `series` pay each step; `net_billing_hourly` nets import and export within each clock hour
    first; `buy_all_sell_all` takes both columns as meters of their own. `net_metering` takes exported kWh
    off the imported ones of the same price row; what is left over rolls on to later periods as kWh until
    the end of `true_up_month`, when it is paid `true_up_price_per_kwh`. `carry_credit`: a billing period
    whose charges are negative is 0, and the rest is credited to the next one.
    """

    method: ExportMethod
    prices: tuple[Price, ...] = ()
    series: SeriesPrice | None = None
    true_up_month: int = 12
    true_up_price_per_kwh: Decimal = Decimal(0)
    carry_credit: bool = False


@dataclass(frozen=True, slots=True)
class MinimumBill:
    """Raise the charges (export credit included, before tax) to at least this.

    Per `year` the last billing period of a calendar year is raised by what all twelve fall short.
    """

    amount: Decimal
    per: FixedUnit = "month"


@dataclass(frozen=True, slots=True)
class Tax:
    """Add a percentage of lines, or an amount per imported kWh (a duty).

    `on` are beginnings of line ids (empty = all lines but percentage taxes), less those of `but_not`. A
    negative percentage is a discount (primary voltage). Duties come first, so that a percentage includes
    them.
    """

    id: str
    label: str
    percent: Decimal = Decimal(0)
    per_kwh: Decimal | None = None
    on: tuple[str, ...] = ()
    but_not: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Proration:
    """Prorate what is priced per month when a billing period is not about a month long.

    Periods of `whole_from_days` to `whole_to_days` days count as a month; others as days / `standard_days`.
    """

    standard_days: int = 30
    whole_from_days: int = 27
    whole_to_days: int = 33


@dataclass(frozen=True, slots=True)
class Tariff:
    """Hold one version of a tariff: all charges of one price sheet.

    `time_zone` None means the source names none: the caller gives one. Validity dates are local, inclusive.
    `holidays` are single dates; `recurring_holidays` are month*100 + day of every year. `line_decimals` is
    the number of decimals to which each line is rounded (half up), `quantity_decimals` that of kWh and kW.
    `unsupported` names elements that the engine refuses to bill; while it is not empty there is no total.
    `notes` go to every bill's warnings.
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
    events: tuple[EventDays, ...] = ()
    energy: tuple[EnergyComponent, ...] = ()
    demand: tuple[DemandCharge, ...] = ()
    subscriptions: tuple[Subscription, ...] = ()
    coincident: tuple[Coincident, ...] = ()
    fixed: tuple[FixedCharge, ...] = ()
    export: Export | None = None
    minimum: MinimumBill | None = None
    reactive: Reactive | None = None
    taxes: tuple[Tax, ...] = ()
    proration: Proration | None = None
    line_decimals: int = 2
    quantity_decimals: int = 3
    unsupported: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
