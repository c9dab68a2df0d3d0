"""Geotab: JSON-RPC GetFeed of StatusData, one feed for each diagnostic, each with a version of its own.

https://developers.geotab.com/myGeotab/guides/dataFeed/
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from depot.words import tr
from fleet.telematics.asking import Ask, FeedError
from fleet.telematics.page import Account, Cursors, Page, Said

MOST = 5000
DIAGNOSTICS = {
    "DiagnosticStateOfChargeId": ("soc_percent", 1.0),
    "DiagnosticElectricVehicleChargingStateId": ("plugged_in", 0.0),
    "DiagnosticOdometerAdjustmentId": ("odometer_km", 1000.0),
}
"""Diagnostic -> field and units: SoC in %, charging 0 no, 1 AC, 2 DC (not whether it is plugged in), odometer in m."""

SESSION_OVER = "InvalidUserException"
HERE = "ThisServer"
OWN_SERVER = re.compile(r"[a-z0-9-]+\.geotab\.com")


def read_page(ask: Ask, account: Account, cursors: Cursors, memory: Mapping[str, Any], since: str) -> Page:
    """Return the next page of each diagnostic; a feed without a version begins at `since` (ISO 8601)."""
    talk = _Talk(ask, account, dict(memory))
    rows: list[tuple[str, Mapping[str, Any]]] = []
    after = dict(cursors)
    more = False
    for diagnostic in DIAGNOSTICS:
        search: dict[str, Any] = {"diagnosticSearch": {"id": diagnostic}}
        parameters: dict[str, Any] = {"typeName": "StatusData", "resultsLimit": MOST}
        if after.get(diagnostic):
            parameters["fromVersion"] = after[diagnostic]
        else:
            search["fromDate"] = since
        found = talk.call("GetFeed", parameters | {"search": search})
        try:
            data = found["data"]
            rows += [(diagnostic, row) for row in data if row["diagnostic"]["id"] == diagnostic]
            after[diagnostic] = str(found["toVersion"])
            more = more or len(data) >= MOST
        except (KeyError, TypeError) as error:
            raise _strange(error) from error
    try:
        vins = talk.vins({str(row["device"]["id"]) for _, row in rows})
        said = [one for diagnostic, row in rows if (one := _said(diagnostic, row, vins)) is not None]
    except (KeyError, TypeError, AttributeError) as error:
        raise _strange(error) from error
    return Page(tuple(said), after, more, talk.memory)


def _said(diagnostic: str, row: Mapping[str, Any], vins: Mapping[str, str]) -> Said | None:
    name, units = DIAGNOSTICS[diagnostic]
    value = row["data"] / units if units else True
    if not units and not row["data"]:
        return None
    device = str(row["device"]["id"])
    item = {"observed_at": row["dateTime"], "source_event_id": f"geotab:{row['id']}", name: value}
    return Said(vins.get(device, ""), device, item)


class _Talk:
    """Calls within a session, which is asked for when there is none or it is over.

    `memory` holds `server`, `session` and `vins` (device id -> VIN).
    """

    def __init__(self, ask: Ask, account: Account, memory: dict[str, Any]) -> None:
        self._ask, self._account, self.memory = ask, account, memory

    def call(self, method: str, parameters: Mapping[str, Any]) -> Any:
        """Return the result of a method; raises FeedError."""
        fresh = not self.memory.get("session")
        if fresh:
            self._begin()
        try:
            return self._call(self._server, method, {**parameters, "credentials": self._credentials})
        except _SessionOverError:
            if fresh:
                raise
        self._begin()
        return self._call(self._server, method, {**parameters, "credentials": self._credentials})

    def vins(self, devices: set[str]) -> Mapping[str, str]:
        """Return the VINs of devices; all are asked for again when one is not known."""
        known: dict[str, str] = self.memory.get("vins", {})
        if devices - known.keys():
            found = self.call("Get", {"typeName": "Device"})
            known = {str(row["id"]): str(row.get("vehicleIdentificationNumber") or "") for row in found}
            # One that the server does not list is not asked for every time.
            known |= dict.fromkeys(devices - known.keys(), "")
            self.memory["vins"] = known
        return known

    @property
    def _server(self) -> str:
        named = str(self.memory.get("server") or HERE)
        return self._account.base if named == HERE else f"https://{named}"

    @property
    def _credentials(self) -> dict[str, str]:
        account = self._account
        return {
            "database": account.database,
            "userName": account.user_name,
            "sessionId": self.memory["session"],
        }

    def _begin(self) -> None:
        """Log in; the password goes to the entered server only, which may name another of its own for the rest."""
        account = self._account
        asked = {
            "database": account.database,
            "userName": account.user_name,
            "password": account.secret,
        }
        found = self._call(account.base, "Authenticate", asked)
        try:
            server, session = str(found["path"]), str(found["credentials"]["sessionId"])
        except (KeyError, TypeError) as error:
            raise _strange(error) from error
        if server != HERE and not OWN_SERVER.fullmatch(server):
            raise FeedError(tr("Geotab names a server that is not one of its own."), refused=True)
        self.memory |= {"server": server, "session": session}

    def _call(self, base: str, method: str, parameters: Mapping[str, Any]) -> Any:
        answer = self._ask(f"{base}/apiv1", {}, {"method": method, "params": dict(parameters)})
        if not isinstance(answer, dict) or ("result" not in answer and "error" not in answer):
            raise _strange(answer.__class__.__name__)
        if "error" not in answer:
            return answer["result"]
        name = _name_of(answer["error"])
        if name == SESSION_OVER:
            raise _SessionOverError(
                tr("Geotab refuses the log-in ({name}). Enter the right one.", name=name), refused=True
            )
        raise FeedError(tr("Geotab answered {name}.", name=name))


class _SessionOverError(FeedError):
    """The log-in, or the session that came from it, does not hold (any more)."""


def _name_of(error: Any) -> str:
    """Return what kind of error Geotab names; its message may hold what was sent, and is left out."""
    try:
        name = str(error["errors"][0]["name"])
    except (KeyError, IndexError, TypeError):
        return tr("an error")
    return name if name.isidentifier() and len(name) <= 60 else tr("an error")


def _strange(what: object) -> FeedError:
    return FeedError(
        tr("Geotab answered in another form than expected ({what}).", what=json.dumps(str(what))[:80])
    )
