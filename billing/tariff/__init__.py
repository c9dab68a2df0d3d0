"""Tariffs, bills and price curves: pure functions from data to data."""

from billing.tariff.bill import bill, peaks_so_far
from billing.tariff.curve import DemandWindow, PriceCurve, demand_case, price_curve
from billing.tariff.load import LoadSeries, make_load
from billing.tariff.load_csv import read_load
from billing.tariff.model import Tariff
from billing.tariff.problems import InputError, LoadError, Notice, TariffError, UnsupportedTariffError
from billing.tariff.read import read_tariff
from billing.tariff.result import BillLine, BillPeriod, BillResult, Peak
from billing.tariff.schema import to_document

__all__ = [
    "BillLine",
    "BillPeriod",
    "BillResult",
    "DemandWindow",
    "InputError",
    "LoadError",
    "LoadSeries",
    "Notice",
    "Peak",
    "PriceCurve",
    "Tariff",
    "TariffError",
    "UnsupportedTariffError",
    "bill",
    "demand_case",
    "make_load",
    "peaks_so_far",
    "price_curve",
    "read_load",
    "read_tariff",
    "to_document",
]
