"""A simulated station's words in OCPP 1.6: what it says and hears in 2.x form, turned on the wire."""

from __future__ import annotations

from typing import Any

Payload = dict[str, Any]
NEW_PURPOSES = {"ChargePointMaxProfile": "ChargingStationMaxProfile"}
LOCAL_ID = -1
"""What stands for a transaction whose number was never heard."""


class OldWords:
    """Turns messages; remembers which number the other side has given to which transaction."""

    def __init__(self) -> None:
        self.numbers: dict[str, int] = {}

    def said(self, action: str, payload: Payload) -> tuple[str, Payload] | None:
        """Return a 2.x call as 1.6 has it; None for what it has no words for."""
        match action:
            case "BootNotification":
                station = payload["chargingStation"]
                return action, {
                    "chargePointVendor": station["vendorName"],
                    "chargePointModel": station["model"],
                }
            case "StatusNotification":
                status = (
                    "Preparing" if payload["connectorStatus"] == "Occupied" else payload["connectorStatus"]
                )
                place = {"connectorId": payload["evseId"], "timestamp": payload["timestamp"]}
                return action, {"status": status, "errorCode": "NoError", **place}
            case "TransactionEvent":
                return self._event(payload)
            case "Heartbeat":
                return action, payload
        return None

    def _event(self, payload: Payload) -> tuple[str, Payload]:
        local, at = payload["transactionInfo"]["transactionId"], payload["timestamp"]
        register = round(_register(payload["meterValue"][-1]))
        if payload["eventType"] == "Started":
            token = payload.get("idToken", {}).get("idToken", "unknown")
            start = {"connectorId": payload["evse"]["id"], "idTag": token[:20], "meterStart": register}
            return "StartTransaction", {**start, "timestamp": at}
        number = self.numbers.get(local, LOCAL_ID)
        values = [_old_value(value) for value in payload["meterValue"]]
        if payload["eventType"] == "Ended":
            stop = {
                "transactionId": number,
                "meterStop": register,
                "timestamp": at,
                "reason": "EVDisconnected",
            }
            return "StopTransaction", {**stop, "transactionData": values}
        return "MeterValues", {
            "connectorId": payload["evse"]["id"],
            "transactionId": number,
            "meterValue": values,
        }

    def answered(self, action: str, payload: Payload, answer: Payload) -> None:
        """Learn a transaction's number from the answer to its start."""
        if action == "TransactionEvent" and payload["eventType"] == "Started" and "transactionId" in answer:
            self.numbers[payload["transactionInfo"]["transactionId"]] = answer["transactionId"]

    def heard(self, payload: Payload) -> Payload:
        """Return the payload of a SetChargingProfile in 2.x form."""
        profile = dict(payload["csChargingProfiles"])
        number = profile.pop("chargingProfileId")
        profile["id"] = number
        profile["chargingSchedule"] = [{"id": number, **profile["chargingSchedule"]}]
        purpose = profile["chargingProfilePurpose"]
        profile["chargingProfilePurpose"] = NEW_PURPOSES.get(purpose, purpose)
        if "transactionId" in profile:
            mine = {given: local for local, given in self.numbers.items()}
            profile["transactionId"] = mine.get(profile["transactionId"], "")
        return {"evseId": payload["connectorId"], "chargingProfile": profile}

    def composite(self, answer: Payload) -> Payload:
        """Return the answer to GetCompositeSchedule as 1.6 has it."""
        schedule = answer["schedule"]
        body = {name: schedule[name] for name in ("duration", "chargingRateUnit", "chargingSchedulePeriod")}
        return {
            "status": answer["status"],
            "connectorId": schedule["evseId"],
            "scheduleStart": schedule["scheduleStart"],
            "chargingSchedule": body,
        }


def _register(value: Payload) -> float:
    return float(
        next(one["value"] for one in value["sampledValue"] if one["measurand"].endswith("Import.Register"))
    )


def _old_value(value: Payload) -> Payload:
    sampled = [
        {
            "value": str(one["value"]),
            "measurand": one["measurand"],
            "context": one["context"],
            "unit": one["unitOfMeasure"]["unit"],
        }
        for one in value["sampledValue"]
    ]
    return {"timestamp": value["timestamp"], "sampledValue": sampled}
