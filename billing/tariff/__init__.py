"""Tariffs, bills and price curves: pure functions from data to data."""

from billing.tariff.bill import bill
from billing.tariff.carried import NOTHING, Carried, carried_from
from billing.tariff.compare import Compared, compare
from billing.tariff.curve import PriceCurve, Used, demand_case, price_curve, taken_as_convex
from billing.tariff.curve_demand import DemandWindow
from billing.tariff.history import History, read_history
from billing.tariff.load import LoadSeries, make_load
from billing.tariff.load_csv import read_load
from billing.tariff.load_write import write_load
from billing.tariff.model import Tariff
from billing.tariff.peaks import peaks_so_far
from billing.tariff.problems import InputError, LoadError, Notice, TariffError, UnsupportedTariffError
from billing.tariff.read import read_tariff
from billing.tariff.result import BillLine, BillPeriod, BillResult, Peak
from billing.tariff.schema_write import to_document

ENGINE = "1"
"""Version of the billing rules; raised when a rule changes an amount. A final bill names the one that made it."""

__all__ = [
    "ENGINE",
    "NOTHING",
    "BillLine",
    "BillPeriod",
    "BillResult",
    "Carried",
    "Compared",
    "DemandWindow",
    "History",
    "InputError",
    "LoadError",
    "LoadSeries",
    "Notice",
    "Peak",
    "PriceCurve",
    "Tariff",
    "TariffError",
    "UnsupportedTariffError",
    "Used",
    "bill",
    "carried_from",
    "compare",
    "demand_case",
    "make_load",
    "peaks_so_far",
    "price_curve",
    "read_history",
    "read_load",
    "read_tariff",
    "taken_as_convex",
    "to_document",
    "write_load",
]
