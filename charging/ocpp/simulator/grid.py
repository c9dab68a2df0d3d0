"""What a simulated OCPP 2.1 station does for the grid: moving set-points, signals, priority, its inverter."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from charging.ocpp.simulator.composite import Profiles

Payload = dict[str, Any]
ACTIONS = (
    "UpdateDynamicSchedule", "AFRRSignal", "UsePriorityCharging", "SetDERControl", "GetDERControl", "ClearDERControl",
)  # fmt: skip


class GridWords:
    """Answers what a station is told for the grid; `follow_up` is what it then says by itself: action and payload."""

    def __init__(self, profiles: Profiles) -> None:
        self._profiles = profiles
        self.priority = False
        self.controls: dict[str, Payload] = {}
        """The controls of the inverter by their ids, as they were set."""
        self.follow_up: list[tuple[str, Payload]] = []

    def reply(self, action: str, payload: Payload, at: datetime) -> Payload:
        """Return the answer to one of `ACTIONS`."""
        match action:
            case "UpdateDynamicSchedule":
                moved = self._profiles.update(payload["chargingProfileId"], payload["scheduleUpdate"], at)
                return {"status": "Accepted" if moved else "Rejected"}
            case "AFRRSignal":
                self._profiles.signal = payload["signal"]
                return {"status": "Accepted"}
            case "UsePriorityCharging":
                self.priority = payload["activate"]
                said = {"transactionId": payload["transactionId"], "activated": self.priority}
                self.follow_up.append(("NotifyPriorityCharging", said))
                return {"status": "Accepted"}
            case "SetDERControl":
                self.controls[payload["controlId"]] = payload
                return {"status": "Accepted"}
            case "GetDERControl":
                return self._report(payload)
        return self._clear(payload)

    def _report(self, payload: Payload) -> Payload:
        names = ("isDefault", "controlId", "controlType")
        found = [
            control
            for control in self.controls.values()
            if all(payload.get(name) in (None, control[name]) for name in names)
        ]
        if not found:
            return {"status": "NotFound"}
        fixed = [
            {
                "id": control["controlId"],
                "isDefault": control["isDefault"],
                "isSuperseded": False,
                "fixedPF": control["fixedPFInject"],
            }
            for control in found
            if "fixedPFInject" in control
        ]
        parts = {"fixedPFInject": fixed} if fixed else {}
        self.follow_up.append(("ReportDERControl", {"requestId": payload["requestId"], **parts}))
        return {"status": "Accepted"}

    def _clear(self, payload: Payload) -> Payload:
        gone = [
            number
            for number, control in self.controls.items()
            if control["isDefault"] == payload["isDefault"]
            and payload.get("controlId") in (None, number)
            and payload.get("controlType") in (None, control["controlType"])
        ]
        for number in gone:
            del self.controls[number]
        return {"status": "Accepted" if gone else "NotFound"}


def due(profiles: Profiles, at: datetime) -> list[int]:
    """Return the dynamic profiles whose update a station has to ask for now."""
    return [
        number
        for number, profile in profiles.held.items()
        if "dynUpdateInterval" in profile
        and at
        >= datetime.fromisoformat(profile["dynUpdateTime"]) + timedelta(seconds=profile["dynUpdateInterval"])
    ]
