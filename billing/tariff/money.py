"""Round quantities, rates and amounts as the bill's rules state."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction

from billing.tariff.model import Tariff

QUANTITY_STEP = Decimal("0.001")
RATE_STEP = Decimal("0.000001")


def quantity(tariff: Tariff, value: float | Decimal) -> Decimal:
    """Return a metered kWh or kW rounded half up to the tariff's quantity decimals, as it is billed.

    Zeros beyond three decimals are left out.
    """
    exact = value if isinstance(value, Decimal) else Decimal(repr(float(value)))
    billed = exact.quantize(Decimal(1).scaleb(-tariff.quantity_decimals), ROUND_HALF_UP)
    short = billed.quantize(QUANTITY_STEP, ROUND_HALF_UP)
    return short if short == billed else billed.normalize()


def shown(value: float) -> str:
    """Return a kWh or kW for a sentence: three decimals."""
    return f"{Decimal(repr(float(value))).quantize(QUANTITY_STEP, ROUND_HALF_UP):,}"


def rate(value: Decimal) -> Decimal:
    """Return a rate that was computed (prorated, averaged) rounded half up to six decimals."""
    return value.quantize(RATE_STEP, ROUND_HALF_UP)


def rounded(tariff: Tariff, amount: Decimal) -> Decimal:
    """Return an amount rounded half up to the tariff's line decimals; never minus zero."""
    result = amount.quantize(Decimal(1).scaleb(-tariff.line_decimals), ROUND_HALF_UP)
    return result if result else abs(result)


def times(value: Decimal, share: Fraction) -> Decimal:
    """Return a value times a share of a month; the value itself for a whole month."""
    return value if share == 1 else value * share.numerator / share.denominator


def prorated(price: Decimal, share: Fraction) -> Decimal:
    """Return a price times a share of a month, as the rate that is billed."""
    return price if share == 1 else rate(times(price, share))


def joined(*labels: str) -> str:
    """Return a line's label from those of its charge and its price row."""
    return " – ".join(label for label in labels if label)
