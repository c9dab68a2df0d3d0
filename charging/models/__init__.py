"""Chargers, sessions, plans and the commands between them; what stations say of themselves."""

from charging.models.chargers import Charger, ChargingSession, Connector, MeterSample
from charging.models.not_ready import LedgerIsClosed, NotReady
from charging.models.outlooks import PeakOutlook
from charging.models.overrides import Override
from charging.models.plans import ChargerCommand, Plan
from charging.models.stations import (
    ChargerCertificate,
    Dialect,
    StationNotice,
    StationVariable,
    UnknownStation,
)
from charging.models.vehicle_days import VehicleDay

__all__ = [
    "Charger",
    "ChargerCertificate",
    "ChargerCommand",
    "ChargingSession",
    "Connector",
    "Dialect",
    "LedgerIsClosed",
    "MeterSample",
    "NotReady",
    "Override",
    "PeakOutlook",
    "Plan",
    "StationNotice",
    "StationVariable",
    "UnknownStation",
    "VehicleDay",
]
