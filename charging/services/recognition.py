"""Which vehicle is at the plug: by its token, its VIN, the address of its charging controller, or its place."""

from __future__ import annotations

from charging.models import Charger
from fleet.models import Vehicle

PREFIXES = ("VID:", "VIN:", "EVCCID:", "MAC:")


def plain(token: str) -> str:
    """Return a token without the signs and prefixes in which stations differ: "VID:00-1a-2B" is "001A2B"."""
    text = token.strip().upper()
    for prefix in PREFIXES:
        text = text.removeprefix(prefix)
    return "".join(sign for sign in text if sign.isalnum())


def find_vehicle(charger: Charger, token: str) -> Vehicle | None:
    """Return the vehicle of this charger's depot that a token names; None when it is none or more than one."""
    if not token:
        return None
    exact = Vehicle.objects.filter(depot=charger.depot_id, id_token=token).first()
    if exact is not None:
        return exact
    wanted = plain(token)
    names = Vehicle.objects.filter(depot=charger.depot_id).values_list("pk", "id_token", "vin")
    found = {pk for pk, *known in names if wanted and wanted in {plain(name) for name in known if name}}
    return Vehicle.objects.get(pk=found.pop()) if len(found) == 1 else None
