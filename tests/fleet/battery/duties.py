"""Daily duties that the battery tests share."""

import numpy as np

from fleet.battery.profile import SocProfile, make_profile

# (hour of day, SoC) points, linear between.
DUTIES: dict[str, list[tuple[float, float]]] = {
    "late80": [(0, 0.5), (3, 0.5), (6, 0.8), (6.5, 0.8), (8.5, 0.68), (14, 0.68), (16, 0.56), (24, 0.5)],
    "early100": [(0, 1), (6.5, 1), (8.5, 0.87), (14, 0.87), (16, 0.74), (18, 0.74), (22, 1), (24, 1)],
    "v2g": [
        *[(0, 0.35), (5, 0.8), (6.5, 0.8), (8.5, 0.68), (10, 0.68), (13, 0.9)],
        *[(14, 0.9), (16, 0.78), (17, 0.78), (20, 0.35), (24, 0.35)],
    ],
    "deep": [(0, 0.95), (6, 0.95), (12, 0.05), (13, 0.05), (18, 0.95), (24, 0.95)],
    "rest60": [(0, 0.6), (24, 0.6)],
}


def duty(name: str, temperature_c: float = 25.0, step_hours: float = 1.0, days: int = 365) -> SocProfile:
    """Return so many days of a duty, sampled regularly."""
    hours = np.arange(0.0, 24.0 * days, step_hours)
    if name == "shallow":
        return make_profile(hours, 0.6 + 0.05 * np.sin(hours * 2 * np.pi / 6), temperature_c)
    at, soc = zip(*DUTIES[name], strict=True)
    return make_profile(hours, np.interp(hours % 24, at, soc), temperature_c)


def random_days(draws: list[float], days: int) -> SocProfile:
    """Return whole days of a profile with the drawn SoC values at regular hours."""
    hours = np.linspace(0.0, 24.0 * days, len(draws))
    return make_profile(hours, draws, 25.0)
