"""Public holidays of countries and their parts, from the `holidays` package."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from functools import lru_cache

import holidays

from depot.words import tr


class UnknownPlace(ValueError):  # noqa: N818 - says what is wrong with the place
    """A country or part of it of which no holidays are known; `field` names which."""

    def __init__(self, field: str, message: str) -> None:
        self.field = field
        super().__init__(message)


@lru_cache(maxsize=1)
def _places() -> Mapping[str, list[str]]:
    return holidays.list_supported_countries(include_aliases=True)


def check_place(country: str, subdivision: str) -> None:
    """Raise UnknownPlace unless holidays of this country (ISO 3166, two letters) and part of it are known."""
    if country not in _places():
        raise UnknownPlace(
            "country",
            tr("No holidays are known of “{country}”. Write a country like US, DE or CH.", country=country),
        )
    if subdivision and subdivision not in _places()[country]:
        some = ", ".join(_places()[country][:8]) or "none"
        raise UnknownPlace(
            "subdivision",
            tr(
                "“{subdivision}” is no part of {country} with its own holidays. Known: {some}…",
                subdivision=subdivision,
                country=country,
                some=some,
            ),
        )


@lru_cache(maxsize=256)
def holidays_of(country: str, subdivision: str, year: int) -> Mapping[date, str]:
    """Return the public holidays of a year by date. Raises UnknownPlace for a place that is not known."""
    check_place(country, subdivision)
    return dict(holidays.country_holidays(country, subdiv=subdivision or None, years=year, language="en_US"))
