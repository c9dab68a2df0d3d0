"""Keep what a vehicle told its charger, and let energy flow both ways where everything allows it."""

from __future__ import annotations

from charging.models import Charger, ChargingSession
from charging.ocpp.needs import Needs
from charging.permission import discharge_permission
from charging.services.commands import send
from depot import clock
from depot.models import InterconnectionAgreement
from fleet.services.telemetry import CHARGER, Observation, observe


def keep(charger: Charger, evse_id: int, needs: Needs) -> None:
    """Keep needs with the running session, its SoC with the vehicle, and offer bidirectional transfer.

    A vehicle that has begun one-way is offered the modes it can do both ways: on OCPP 2.1 that makes vehicle and
    charger negotiate again.
    """
    here = ChargingSession.objects.filter(
        connector__charger=charger, connector__evse_id=evse_id, unplugged_at__isnull=True
    ).select_related("vehicle__type")
    session = here.first()
    if session is None:
        return
    session.needs = needs.said()
    session.save(update_fields=["needs"])
    vehicle = session.vehicle
    if vehicle is None:
        return
    if needs.soc is not None:
        word = Observation(
            vehicle.pk, clock.now(), CHARGER, f"{session.pk} needs", soc=needs.soc, plugged_in=True
        )
        observe([word], clock.now())
    modes = needs.both_ways()
    agreement = InterconnectionAgreement.objects.filter(depot=charger.depot_id).first()
    if modes and not needs.bidirectional and discharge_permission(vehicle, charger, agreement).allowed:
        send(
            charger,
            "allow_energy_transfer",
            {"transaction_id": session.transaction_id, "modes": modes},
            connector=session.connector,
            coalesce=f"transfer:{session.pk}",
        )
