"""Round and print amounts of money. Decimal only: a float has no place in a bill."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal

from depot.words import figures, sign_follows

# Minor units of ISO 4217 where they differ from two.
_MINOR_UNITS = {
    **dict.fromkeys(("CLP", "ISK", "JPY", "KRW", "PYG", "UGX", "VND", "XAF", "XOF", "XPF"), 0),
    **dict.fromkeys(("BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"), 3),
}
_SYMBOLS = {
    "USD": "$",
    "EUR": "€",
    "GBP": "£",
    "JPY": "¥",
    "CAD": "CA$",
    "AUD": "A$",
    "NZD": "NZ$",
    "INR": "₹",
}


def minor_units(currency: str) -> int:
    """Return the number of decimals of an ISO 4217 currency; raise ValueError when it is no currency code."""
    if len(currency) != 3 or not (currency.isascii() and currency.isalpha() and currency.isupper()):
        raise ValueError(
            f"'{currency}' is not a currency: give three capital letters of ISO 4217, such as USD."
        )
    return _MINOR_UNITS.get(currency, 2)


def round_money(amount: Decimal, currency: str) -> Decimal:
    """Return an amount rounded half away from zero to the currency's minor unit.

    Raises TypeError for anything but a Decimal, so that a float cannot enter a bill unseen, and ValueError
    for an amount that is not finite.
    """
    if not isinstance(amount, Decimal):
        raise TypeError(f"Money must be a Decimal, not {type(amount).__name__}.")
    if not amount.is_finite():
        raise ValueError(f"{amount} is not an amount of money.")
    rounded = amount.quantize(Decimal(1).scaleb(-minor_units(currency)), rounding=ROUND_HALF_UP)
    return rounded if rounded else abs(rounded)  # no "-0.00" on a bill


def format_money(amount: Decimal, currency: str) -> str:
    """Return an amount for people, rounded: "$1,234.56", "-€3.00", "1,234 ISK"; in German "1.234,56 €"."""
    rounded = round_money(amount, currency)
    sign = "-" if rounded < 0 else ""
    digits = figures(f"{abs(rounded):,f}")
    symbol = _SYMBOLS.get(currency)
    if symbol is None:
        return f"{sign}{digits} {currency}"
    return f"{sign}{digits}\u00a0{symbol}" if sign_follows() else f"{sign}{symbol}{digits}"


def currency_sign(currency: str) -> str:
    """Return the sign that stands for a currency in units such as $/kWh; its code where it has none."""
    return _SYMBOLS.get(currency, currency)
