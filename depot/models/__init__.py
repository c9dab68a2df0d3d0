"""The site: who, where, limits; and what every app shares."""

from depot.models.base import Scoped, ScopedQuerySet
from depot.models.meter_sources import MeterSource
from depot.models.meters import Forecast, Meter, MeterReading, Quality
from depot.models.people import ApiKey, IdempotencyKey, Membership, Role, Scope, User
from depot.models.records import Alert, AlertMail, AlertPreference, AuditEvent
from depot.models.site import Depot, ElectricalNode, InterconnectionAgreement, SolarArray, StationaryBattery
from depot.models.webhooks import Webhook, WebhookDelivery
from depot.models.work import ImportBatch, Job

__all__ = [
    "Alert",
    "AlertMail",
    "AlertPreference",
    "ApiKey",
    "AuditEvent",
    "Depot",
    "ElectricalNode",
    "Forecast",
    "IdempotencyKey",
    "ImportBatch",
    "InterconnectionAgreement",
    "Job",
    "Membership",
    "Meter",
    "MeterReading",
    "MeterSource",
    "Quality",
    "Role",
    "Scope",
    "Scoped",
    "ScopedQuerySet",
    "SolarArray",
    "StationaryBattery",
    "User",
    "Webhook",
    "WebhookDelivery",
]
