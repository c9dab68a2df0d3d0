"""Samsara: GET /fleet/vehicles/stats/feed, up to three kinds of value a call, each call with a cursor of its own.

https://developers.samsara.com/reference/getvehiclestatsfeed
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any
from urllib.parse import urlencode

from depot.words import tr
from fleet.telematics.asking import Ask, FeedError
from fleet.telematics.page import Account, Cursors, Page, Said

PATH = "/fleet/vehicles/stats/feed"
CHARGING = 2
"""Of evChargingStatus: 0 is unknown, 1 not charging (plugged in or not), 2 charging."""

Reading = Callable[[Any], tuple[str, Any] | None]


def _part(name: str, units: float) -> Reading:
    return lambda value: (name, value / units)


STATS: Mapping[str, Reading] = {
    "evStateOfChargeMilliPercent": _part("soc_percent", 1000),
    "evChargingStatus": lambda value: ("plugged_in", True) if value == CHARGING else None,
    "obdOdometerMeters": _part("odometer_km", 1000),
    "evBatteryStateOfHealthMilliPercent": _part("soh_percent", 1000),
    "evAverageBatteryTemperatureMilliCelsius": _part("battery_temp_c", 1000),
}
STREAMS = {
    "state": ("evStateOfChargeMilliPercent", "evChargingStatus", "obdOdometerMeters"),
    "battery": ("evBatteryStateOfHealthMilliPercent", "evAverageBatteryTemperatureMilliCelsius"),
}


def read_page(ask: Ask, account: Account, cursors: Cursors, memory: Mapping[str, Any], since: str) -> Page:
    """Return the next page of each stream. A feed without a cursor begins with what is newest."""
    said: list[Said] = []
    after = dict(cursors)
    more = False
    for stream, stats in STREAMS.items():
        query = {"types": ",".join(stats)} | ({"after": after[stream]} if after.get(stream) else {})
        url = f"{account.base}{PATH}?{urlencode(query)}"
        answer = ask(url, {"Authorization": f"Bearer {account.secret}"}, None)
        try:
            said += [one for vehicle in answer["data"] for one in _said(vehicle, stats)]
            pages = answer["pagination"]
            after[stream] = str(pages["endCursor"] or after.get(stream, ""))
            more = more or bool(pages["hasNextPage"])
        except (KeyError, TypeError, AttributeError) as error:
            raise FeedError(
                tr("Samsara answered in another form than expected ({error!r}).", error=error)
            ) from error
    return Page(tuple(said), after, more, memory)


def _said(vehicle: Mapping[str, Any], stats: tuple[str, ...]) -> Iterator[Said]:
    vin = str((vehicle.get("externalIds") or {}).get("samsara.vin", ""))
    for stat in stats:
        for value in vehicle.get(stat) or ():
            found = STATS[stat](value["value"])
            if found is not None:
                item = {
                    "observed_at": value["time"],
                    "source_event_id": f"samsara:{stat}",
                    found[0]: found[1],
                }
                yield Said(vin, str(vehicle["id"]), item)
