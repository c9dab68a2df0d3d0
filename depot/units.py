"""Convert between the units that vehicles, meters and people use and the product's own (kW, kWh, km, °C)."""

from __future__ import annotations

KM_PER_MILE = 1.609344
WATTS_PER_KILOWATT = 1000.0
MINUTES_PER_HOUR = 60.0


def energy_kwh(power_kw: float, hours: float) -> float:
    """Return the energy of a constant power held for some hours."""
    return power_kw * hours


def power_kw(energy_kwh: float, hours: float) -> float:
    """Return the mean power of an energy over some hours; raise ValueError when the time is not positive."""
    if hours <= 0:
        raise ValueError(f"A mean power needs a positive time, not {hours} h.")
    return energy_kwh / hours


def hours(minutes: float) -> float:
    """Return minutes as hours."""
    return minutes / MINUTES_PER_HOUR


def kw_from_w(power_w: float) -> float:
    """Return watts as kilowatts (watt-hours as kilowatt-hours)."""
    return power_w / WATTS_PER_KILOWATT


def w_from_kw(power_kw: float) -> float:
    """Return kilowatts as watts (kilowatt-hours as watt-hours)."""
    return power_kw * WATTS_PER_KILOWATT


def km_from_miles(distance_miles: float) -> float:
    """Return international miles as kilometres."""
    return distance_miles * KM_PER_MILE


def miles_from_km(distance_km: float) -> float:
    """Return kilometres as international miles."""
    return distance_km / KM_PER_MILE


def kwh_per_km_from_kwh_per_mile(consumption_kwh_per_mile: float) -> float:
    """Return a consumption per mile as a consumption per kilometre."""
    return consumption_kwh_per_mile / KM_PER_MILE


def celsius_from_fahrenheit(temperature_f: float) -> float:
    """Return degrees Fahrenheit as degrees Celsius."""
    return (temperature_f - 32.0) * 5.0 / 9.0


def fahrenheit_from_celsius(temperature_c: float) -> float:
    """Return degrees Celsius as degrees Fahrenheit."""
    return temperature_c * 9.0 / 5.0 + 32.0
