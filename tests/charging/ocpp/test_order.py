"""Whatever order the words about sessions come in, they end up the same: none shorter, doubled or open again."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta

import pytest

from charging.models import Charger, ChargingSession
from charging.ocpp import keeping
from charging.ocpp.events import Reading, TransactionEvent
from charging.services.plugs import plug_in
from tests import factories
from tests.charging.ocpp.conftest import asked  # noqa: F401 - a fixture

DAY = datetime(2026, 3, 10, tzinfo=UTC)


def at(hour: float) -> datetime:
    return DAY + timedelta(hours=hour)


@pytest.fixture
def charger(depot, asked) -> Charger:  # noqa: F811
    return factories.make_charger(depot, factories.make_vehicle(depot))


def word(kind: str, hour: float, kwh: float, number: str = "tx", evse_id: int = 1) -> TransactionEvent:
    reading = Reading(at(hour), import_kwh_total=kwh, soc=0.2 + kwh / 100)
    return TransactionEvent(kind, number, at(hour), evse_id, readings=(reading,), offline=True)


def hear(charger: Charger, *words: TransactionEvent) -> None:
    for one in words:
        [verdict] = keeping.apply_all([(charger.pk, one)])
        assert not isinstance(verdict, Exception)


def spans(charger: Charger) -> list[tuple[float, float | None]]:
    """Return when the charger's sessions began and ended, in hours of the day."""

    def hour(moment: datetime | None) -> float | None:
        return None if moment is None else (moment - DAY).total_seconds() / 3600

    rows = ChargingSession.objects.filter(connector__charger=charger).order_by("plugged_in_at")
    return [(hour(row.plugged_in_at), hour(row.unplugged_at)) for row in rows]


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
@pytest.mark.parametrize("said_evse", [1, 0])
def test_a_session_is_the_same_in_any_order(charger: Charger, order, said_evse: int) -> None:
    """With an EVSE in the end, and without (then an end that comes first fits no session yet)."""
    words = [word("started", 10, 0), word("updated", 10.5, 4), word("ended", 11, 9, evse_id=said_evse)]
    hear(charger, *(words[index] for index in order))
    hear(charger, *words)  # and all of it once more
    session = ChargingSession.objects.get()
    assert spans(charger) == [(10, 11)]
    assert (session.import_kwh, session.samples.count()) == (9, 3)
    assert (session.soc_in, session.soc_out) == pytest.approx((0.2, 0.29))


def test_a_late_start_ends_the_one_before_it(charger: Charger) -> None:
    hear(
        charger, word("started", 8, 0, "one"), word("updated", 10.5, 5, "two"), word("started", 10, 4, "two")
    )
    assert spans(charger) == [(8, 10), (10, None)]
    hear(charger, word("ended", 9.5, 4, "one"), word("ended", 12, 9, "two"))
    assert spans(charger) == [(8, 9.5), (10, 12)]


def test_what_is_replayed_never_opens_beside_newer_sessions(charger: Charger) -> None:
    hear(charger, word("started", 10, 5, "two"), word("ended", 11, 9, "two"))
    hear(charger, word("started", 8, 0, "one"))
    assert spans(charger) == [(8, 10), (10, 11)]
    hear(charger, word("ended", 9, 5, "one"), word("updated", 8.5, 2, "one"), word("started", 8, 0, "one"))
    assert spans(charger) == [(8, 9), (10, 11)]
    hear(charger, word("started", 12, 9, "three"), word("started", 9.25, 5, "between"))
    assert spans(charger) == [(8, 9), (9.25, 10), (10, 11), (12, None)]


def test_a_session_never_begins_inside_another(charger: Charger) -> None:
    hear(charger, word("started", 9, 0, "one"), word("ended", 10, 3, "one"), word("updated", 11, 4, "two"))
    hear(charger, word("updated", 8, 4, "two"))
    assert spans(charger) == [(9, 10), (10, None)]
    assert plug_in(charger.connectors.get(), "two", at(7)).plugged_in_at == at(10)
