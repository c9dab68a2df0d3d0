"""Rounding to the minor unit and printing."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from depot.money import format_money, minor_units, round_money

AMOUNTS = st.decimals(-(10**9), 10**9, allow_nan=False, allow_infinity=False, places=5)
CURRENCIES = st.sampled_from(["USD", "JPY", "KWD", "NOK"])


@pytest.mark.parametrize(
    ("amount", "currency", "rounded"),
    [
        ("2.345", "USD", "2.35"),
        ("2.335", "USD", "2.34"),
        ("-2.345", "USD", "-2.35"),
        ("2.5", "JPY", "3"),
        ("1.0005", "KWD", "1.001"),
        ("-0.004", "EUR", "0.00"),
    ],
)
def test_halves_go_away_from_zero(amount: str, currency: str, rounded: str) -> None:
    assert str(round_money(Decimal(amount), currency)) == rounded


@given(AMOUNTS, CURRENCIES)
def test_rounding_moves_at_most_half_a_minor_unit_and_only_once(amount: Decimal, currency: str) -> None:
    rounded = round_money(amount, currency)
    assert abs(rounded - amount) <= Decimal(1).scaleb(-minor_units(currency)) / 2
    assert round_money(rounded, currency) == rounded


@pytest.mark.parametrize(
    ("amount", "currency", "text"),
    [
        ("1234.56", "USD", "$1,234.56"),
        ("-1234567.891", "EUR", "-€1,234,567.89"),
        ("1234.5", "ISK", "1,235 ISK"),
        ("12.5", "NOK", "12.50 NOK"),
        ("0", "GBP", "£0.00"),
    ],
)
def test_amounts_read_as_people_write_them(amount: str, currency: str, text: str) -> None:
    assert format_money(Decimal(amount), currency) == text


def test_floats_and_non_numbers_are_refused() -> None:
    with pytest.raises(TypeError, match="Decimal"):
        round_money(0.1, "USD")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="not an amount"):
        round_money(Decimal("NaN"), "USD")
    for wrong in ("usd", "US", "DOLLAR", "U$D"):
        with pytest.raises(ValueError, match="ISO 4217"):
            round_money(Decimal(1), wrong)
