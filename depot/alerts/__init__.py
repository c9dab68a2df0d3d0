"""Alerts: one open alert per cause, cleared when the cause is gone."""

from depot.alerts.services import clear, open_alerts, raise_alert, sync

__all__ = ["clear", "open_alerts", "raise_alert", "sync"]
