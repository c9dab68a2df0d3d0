"""Chargers, sessions, plans and the commands between them."""

from charging.models.chargers import Charger, ChargingSession, Connector, MeterSample
from charging.models.overrides import Override
from charging.models.plans import ChargerCommand, Plan

__all__ = [
    "Charger",
    "ChargerCommand",
    "ChargingSession",
    "Connector",
    "MeterSample",
    "Override",
    "Plan",
]
