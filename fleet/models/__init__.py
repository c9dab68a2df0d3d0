"""Vehicles, what they must do, and how their batteries fare."""

from fleet.models.schedules import Assignment, Block, CalendarException, ServiceCalendar
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
    "Chemistry",
    "QuarantinedReading",
    "ServiceCalendar",
    "TelemetryReading",
    "Vehicle",
    "VehicleState",
    "VehicleType",
]
