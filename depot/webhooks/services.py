"""Write down what is to be told, tell it, and tell it again after longer and longer pauses."""

from __future__ import annotations

import json
import logging
import uuid
from datetime import timedelta
from typing import Any

from django.db import transaction

from depot import audit, clock
from depot.models import Depot, User, Webhook, WebhookDelivery
from depot.webhooks import signing
from depot.webhooks.sending import Answer, post
from depot.words import later, tr

log = logging.getLogger(__name__)

State = WebhookDelivery.State
PAUSES = [timedelta(seconds=seconds) for seconds in (10, 60, 300, 1800, 7200, 21_600)]
"""After each failed attempt; one attempt more than there are pauses, then it is given up."""
KEEP = timedelta(days=14)
MOST_AT_ONCE = 200
GONE = 410


def publish(depot: Depot, topic: str, event: str, data: dict[str, Any]) -> None:
    """Tell every active webhook of a depot that wants `topic`; written in the caller's transaction, sent after it."""
    for webhook in subscribers(depot, topic):
        write(webhook, event, data)


def subscribers(depot: Depot, topic: str) -> list[Webhook]:
    """Return the active webhooks of a depot that want a topic."""
    return [
        webhook for webhook in Webhook.objects.filter(depot=depot, active=True) if topic in webhook.topics
    ]


def write(webhook: Webhook, event: str, data: dict[str, Any]) -> WebhookDelivery:
    """Write down one delivery and ask for it to be sent once this transaction is committed."""
    key, now = uuid.uuid4(), clock.wall_now()
    body = {
        "id": str(key),
        "event": event,
        "at": clock.now().isoformat(),
        "depot": webhook.depot.slug,
        "data": data,
    }
    delivery = WebhookDelivery.objects.create(
        pk=key, webhook=webhook, event=event, body=json.dumps(body), created_at=now, next_at=now
    )
    _ask(delivery)
    return delivery


def _ask(delivery: WebhookDelivery) -> None:
    from depot.jobs import enqueue

    attempt = delivery.attempts + 1
    payload = {"delivery": str(delivery.pk), "attempt": attempt}
    due = f"{delivery.next_at.timestamp():.6f}"  # a delivery that is sent again has its first attempt again
    enqueue("webhook", delivery.webhook.depot, f"{delivery.pk} {attempt} {due}", payload)


def ask_for_due() -> int:
    """Ask for the deliveries whose next attempt is due; return how many. Asking twice changes nothing."""
    now = clock.wall_now()
    due = WebhookDelivery.objects.filter(state=State.WAITING, next_at__lte=now, attempts__gt=0)
    found = list(due.select_related("webhook__depot").order_by("next_at")[:MOST_AT_ONCE])
    for delivery in found:
        _ask(delivery)
    return len(found)


def deliver(key: str, attempt: int) -> Answer | None:
    """Make one attempt; None when it was made already, or the delivery is no longer wanted.

    The attempt and the moment of the next are written before it is made: who dies in between has made it.
    """
    now = clock.wall_now()
    pause = PAUSES[min(attempt, len(PAUSES)) - 1]
    waiting = WebhookDelivery.objects.filter(pk=key, state=State.WAITING, attempts=attempt - 1)
    if not waiting.update(attempts=attempt, next_at=now + pause):
        return None
    delivery = WebhookDelivery.objects.select_related("webhook__depot").get(pk=key)
    webhook = delivery.webhook
    if not webhook.active:
        _close(delivery, State.FAILED, Answer(0, tr("The webhook is switched off.")))
        return None
    body = delivery.body.encode()
    answer = post(webhook.url, body, signing.headers(webhook.secret, key, int(now.timestamp()), body))
    _judge(delivery, answer)
    WebhookDelivery.objects.filter(webhook=webhook, created_at__lt=now - KEEP).delete()
    return answer


def _judge(delivery: WebhookDelivery, answer: Answer) -> None:
    """Write what came of an attempt, and say so to people where it is given up."""
    from depot.alerts.services import Cause, clear, raise_alert

    webhook = delivery.webhook
    if answer.heard:
        _close(delivery, State.HEARD, answer)
        clear(webhook.depot, f"webhook:{webhook.pk}")
        return
    over = delivery.attempts > len(PAUSES) or answer.status == GONE
    _close(delivery, State.FAILED if over else State.WAITING, answer)
    if not over:
        return
    if answer.status == GONE:
        Webhook.objects.filter(pk=webhook.pk).update(active=False)
    title = tr("Webhook {webhook} did not hear of {event}", webhook=webhook.name, event=delivery.event)
    why = tr("Its last answer was {status}.", status=answer.status) if answer.status else answer.words
    raise_alert(
        webhook.depot,
        Cause(f"webhook:{webhook.pk}", "warning", title, f"{why} {tr('See its deliveries.')}"),
    )


def _close(delivery: WebhookDelivery, state: str, answer: Answer) -> None:
    WebhookDelivery.objects.filter(pk=delivery.pk, attempts=delivery.attempts).update(
        state=state, answered_at=clock.wall_now(), status=answer.status, answer=answer.words[:300]
    )


def send_again(delivery: WebhookDelivery, by: User) -> None:
    """Try a delivery that was given up or heard once more, with all its pauses; its id stays the same."""
    now = clock.wall_now()
    with transaction.atomic():
        again = WebhookDelivery.objects.exclude(state=State.WAITING).filter(pk=delivery.pk)
        if not again.update(state=State.WAITING, attempts=0, next_at=now):
            return
        delivery.attempts, delivery.next_at = 0, now
        _ask(delivery)
        sentence = later(
            "{by} sent {event} to webhook {webhook} again.",
            by=str(by),
            event=delivery.event,
            webhook=str(delivery.webhook),
        )
        audit.record(delivery.webhook.depot, by, "webhook.sent_again", sentence, delivery=str(delivery.pk))


def renew_secret(webhook: Webhook, by: User) -> str:
    """End a webhook's secret at once; return the only readable copy of the new one."""
    webhook.nonce = uuid.uuid4()
    sentence = later("{by} renewed the secret of webhook {webhook}.", by=str(by), webhook=str(webhook))
    with transaction.atomic():
        webhook.save(update_fields=["nonce"])
        audit.record(webhook.depot, by, "webhook.secret_renewed", sentence)
    return signing.readable(webhook.secret)


def tell_readiness(depot: Depot, states: dict[str, dict[str, Any]]) -> None:
    """Tell each webhook which pull-outs have another state than it was told last; `states` by pull-out.

    One that is over is forgotten. What is told and what is remembered are written together.
    """
    for webhook in subscribers(depot, Webhook.Topic.READINESS):
        with transaction.atomic():
            locked = (
                Webhook.objects.select_for_update(no_key=True, of=("self",))
                .select_related("depot")
                .get(pk=webhook.pk)
            )
            told = locked.readiness
            changes = [
                values | {"was": told.get(key)}
                for key, values in states.items()
                if told.get(key) != values["state"]
            ]
            current = {key: values["state"] for key, values in states.items()}
            if current == told:
                continue
            Webhook.objects.filter(pk=webhook.pk).update(readiness=current)
            if changes:
                write(locked, "readiness.changed", {"changes": changes})
