"""Ask ENTSO-E and Nord Pool through their packages (the extra `prices`); `billing.sources` reads what they answer."""

from __future__ import annotations

import asyncio
import importlib
import logging
from datetime import date, datetime, time
from types import ModuleType
from typing import Any

from billing.sources import entsoe
from billing.sources.entsoe import SourceError
from depot.words import tr

TIMEOUT_S = 20
ACKNOWLEDGEMENT = b"Acknowledgement_MarketDocument"


def ask_entsoe(area: str, start_at: datetime, end_at: datetime, token: str) -> bytes:
    """Return the XML document that answers for the prices of a span, at most a year; empty when there is none yet.

    Raises SourceError with words that carry no token.
    """
    package = _package("entsoe", "entsoe-py")
    import pandas as pd
    import requests

    if not token:
        raise SourceError(tr("DEPOT_ENTSOE_TOKEN is not set: ENTSO-E gives a token to registered users."))
    client = package.EntsoeRawClient(token, retry_count=1, retry_delay=0, timeout=TIMEOUT_S)
    try:
        text: str = client.query_day_ahead_prices(
            entsoe.AREAS.get(area, area), pd.Timestamp(start_at), pd.Timestamp(end_at)
        )
        return text.encode()
    except package.exceptions.NoMatchingDataError:
        return b""
    except requests.HTTPError as error:
        return _refusal(error.response)
    except requests.RequestException:
        raise SourceError(tr("ENTSO-E could not be reached.")) from None
    except ValueError:
        raise SourceError(tr("The package entsoe-py knows no area {area}.", area=area)) from None


def ask_nordpool(area: str, day: date, currency: str) -> dict[str, Any]:
    """Return the JSON document that answers for a delivery day; empty when there is none yet. Raises SourceError."""
    package = _package("pynordpool", "pynordpool")
    import aiohttp

    if currency not in list(package.Currency):
        raise SourceError(
            tr(
                "Nord Pool gives no prices in {currency}: {known}.",
                currency=currency,
                known=", ".join(package.Currency),
            )
        )
    try:
        return asyncio.run(_nordpool_day(package, area, day, currency))
    except package.NordPoolEmptyResponseError:
        return {}
    except (package.NordPoolError, aiohttp.ClientError, TimeoutError) as error:
        raise SourceError(tr("Nord Pool could not be reached, or refused the question.")) from error
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise SourceError(tr("Nord Pool answered in a form that is not known.")) from error


async def _nordpool_day(package: ModuleType, area: str, day: date, currency: str) -> dict[str, Any]:
    import aiohttp

    async with asyncio.timeout(TIMEOUT_S), aiohttp.ClientSession() as session:
        client = package.NordPoolClient(session)
        noon = datetime.combine(day, time(12))
        answer = await client.async_get_delivery_period(noon, package.Currency(currency), [area])
        document: dict[str, Any] = answer.raw
        return document


def _refusal(response: Any) -> bytes:
    """Return ENTSO-E's own words for what it did not like; `from None`, as an HTTPError's text holds the token."""
    if ACKNOWLEDGEMENT in response.content:
        content: bytes = response.content
        return content
    raise SourceError(tr("ENTSO-E answered {status_code}.", status_code=response.status_code)) from None


def _package(module: str, name: str) -> ModuleType:
    """Import a package of the extra; the logs of questions are cut, as those to ENTSO-E hold the token."""
    for name_of_log in (module, "urllib3"):
        logging.getLogger(name_of_log).setLevel(logging.WARNING)
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        cure = tr("pip install --require-hashes --no-deps -r requirements-prices.lock (the extra `prices`)")
        raise SourceError(tr("The package {name} is not installed: {cure}.", name=name, cure=cure)) from error
