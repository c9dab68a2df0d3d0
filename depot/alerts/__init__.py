"""Alerts: one open alert per cause, cleared when the cause is gone."""

from depot.alerts.services import (
    acknowledge,
    clear,
    open_alerts,
    pressing_alerts,
    raise_alert,
    snooze,
    sync,
)

__all__ = ["acknowledge", "clear", "open_alerts", "pressing_alerts", "raise_alert", "snooze", "sync"]
