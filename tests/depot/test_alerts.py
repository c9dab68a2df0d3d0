"""Alerts: one open alert for each cause, for as long as it lasts."""

from __future__ import annotations

from datetime import timedelta

import pytest
import time_machine

from depot.alerts import clear, open_alerts, raise_alert, services, sync
from depot.alerts.services import Cause
from depot.models import Alert
from tests.factories import NOW

SILENT = Cause("charger:7", "warning", "C-07 is silent", "Since 14:20.")


@pytest.fixture
def clock():
    with time_machine.travel(NOW, tick=False) as traveller:
        yield traveller


def test_one_cause_is_one_alert_that_is_confirmed_and_reworded(depot, clock):
    raise_alert(depot, SILENT)
    clock.shift(timedelta(minutes=5))
    raise_alert(depot, Cause("charger:7", "critical", "C-07 is still silent", "x" * 900))
    alert = Alert.objects.get()
    assert (alert.level, alert.title) == ("critical", "C-07 is still silent")
    assert (alert.raised_at, alert.seen_at) == (NOW, NOW + timedelta(minutes=5))
    assert len(alert.detail) == 500


def test_a_cause_that_comes_back_is_a_new_alert(depot, clock):
    raise_alert(depot, SILENT)
    clock.shift(timedelta(minutes=5))
    clear(depot, "charger:7")
    clear(depot, "charger:7")
    clock.shift(timedelta(minutes=5))
    raise_alert(depot, SILENT)
    first, second = Alert.objects.order_by("pk")
    assert first.cleared_at == NOW + timedelta(minutes=5)
    assert second.cleared_at is None and second.raised_at == NOW + timedelta(minutes=10)


def test_two_who_raise_at_once_open_one_alert(depot, clock, monkeypatch):
    """Between looking and opening, somebody else opens it."""
    atomic = services.transaction.atomic

    def somebody_else_first():
        monkeypatch.undo()
        Alert.objects.create(
            depot=depot, key=SILENT.key, level="info", title="the other's words", raised_at=NOW, seen_at=NOW
        )
        return atomic()

    monkeypatch.setattr(services.transaction, "atomic", somebody_else_first)
    raise_alert(depot, SILENT)
    assert Alert.objects.get().title == "C-07 is silent"


def test_sync_opens_confirms_and_clears_what_begins_alike(depot, other_depot, clock):
    raise_alert(depot, Cause("plan:late", "critical", "No plan"))
    raise_alert(other_depot, SILENT)
    sync(depot, "charger:", [SILENT, Cause("charger:8", "warning", "C-08 is silent")])
    assert open_alerts(depot).count() == 3
    clock.shift(timedelta(minutes=1))
    sync(depot, "charger:", iter([Cause("charger:8", "warning", "C-08 is silent")]))
    assert set(open_alerts(depot).values_list("key", flat=True)) == {"plan:late", "charger:8"}
    sync(depot, "charger:", [])
    assert set(open_alerts(depot).values_list("key", flat=True)) == {"plan:late"}
    assert open_alerts(other_depot).count() == 1, "another depot's alerts are not touched"


def test_sync_refuses_a_cause_that_nobody_would_clear(depot, clock):
    with pytest.raises(ValueError, match="plan:late do not begin with charger:"):
        sync(depot, "charger:", [Cause("plan:late", "critical", "No plan")])
    assert not Alert.objects.exists()


def test_open_alerts_come_worst_first_then_newest(depot, clock):
    for level, key in (("info", "a"), ("critical", "b"), ("warning", "c"), ("critical", "d")):
        raise_alert(depot, Cause(key, level, key))
        clock.shift(timedelta(minutes=1))
    assert list(open_alerts(depot).values_list("key", flat=True)) == ["d", "b", "c", "a"]
