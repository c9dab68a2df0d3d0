"""Vehicles, what they must do, and how their batteries fare."""

from fleet.models.charging_requests import ChargingRequest
from fleet.models.consumption import DayTemperature, LearntConsumption, MeasuredTrip
from fleet.models.ingest_log import IngestBatch
from fleet.models.schedules import (
    Assignment,
    Block,
    CalendarException,
    Outage,
    ScheduleSettings,
    ServiceCalendar,
)
from fleet.models.telematics import TelematicsFeed
from fleet.models.vehicles import (
    BatteryHealth,
    Chemistry,
    QuarantinedReading,
    TelemetryReading,
    Vehicle,
    VehicleState,
    VehicleType,
)

__all__ = [
    "Assignment",
    "BatteryHealth",
    "Block",
    "CalendarException",
    "ChargingRequest",
    "Chemistry",
    "DayTemperature",
    "IngestBatch",
    "LearntConsumption",
    "MeasuredTrip",
    "Outage",
    "QuarantinedReading",
    "ScheduleSettings",
    "ServiceCalendar",
    "TelematicsFeed",
    "TelemetryReading",
    "Vehicle",
    "VehicleState",
    "VehicleType",
]
