"""Old commands go; what still waits stays."""

from __future__ import annotations

from datetime import timedelta

from charging.models import ChargerCommand
from charging.services.housekeeping import prune_commands
from tests.factories import NOW, make_charger


def test_commands_that_ended_a_week_ago_are_forgotten(depot, other_depot):
    charger, foreign = make_charger(depot), make_charger(other_depot)
    for owner, age_days, state in (
        (charger, 8, "accepted"),
        (charger, 8, "waiting"),
        (charger, 6, "accepted"),
        (foreign, 8, "accepted"),
    ):
        ChargerCommand.objects.create(
            charger=owner,
            action="set_default",
            state=state,
            created_at=NOW - timedelta(days=age_days),
            expires_at=NOW - timedelta(days=age_days),
        )
    assert prune_commands(depot, NOW) == 1
    assert sorted(ChargerCommand.objects.filter(charger=charger).values_list("state", flat=True)) == [
        "accepted",
        "waiting",
    ]
    assert ChargerCommand.objects.filter(charger=foreign).exists()
