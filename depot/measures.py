"""Write distances, temperatures and consumption in a depot's units: kilometres and °C, or miles and °F. PURE."""

from __future__ import annotations

from depot.units import fahrenheit_from_celsius, km_from_miles, miles_from_km
from depot.words import figures

METRIC, US = "metric", "us"
SYSTEMS = {METRIC: "Kilometres, °C", US: "Miles, °F"}
"""By the value that a depot holds."""


def distance(km: float, units: str, digits: int = 0) -> str:
    """Write a distance: 1,234 km, or 767 mi."""
    if units == US:
        return f"{figures(f'{miles_from_km(km):,.{digits}f}')} mi"
    return f"{figures(f'{km:,.{digits}f}')} km"


def temperature(celsius: float, units: str, digits: int = 0) -> str:
    """Write a temperature: 21 °C, or 70 °F."""
    if units == US:
        return f"{figures(f'{fahrenheit_from_celsius(celsius):.{digits}f}')} °F"
    return f"{figures(f'{celsius:.{digits}f}')} °C"


def consumption(kwh_per_km: float, units: str) -> str:
    """Write what driving takes: 0.93 kWh/km, or 1.50 kWh/mi."""
    if units == US:
        return f"{figures(f'{kwh_per_km * km_from_miles(1.0):.2f}')} kWh/mi"
    return f"{figures(f'{kwh_per_km:.2f}')} kWh/km"
