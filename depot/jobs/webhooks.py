"""Tell one webhook of one event, once."""

from __future__ import annotations

from typing import Any

from depot.jobs import Progress, job
from depot.models import Job
from depot.webhooks.services import deliver


@job("webhook", title="Webhook")
def tell(job: Job, progress: Progress) -> dict[str, Any]:
    """Make one attempt; what was not heard is asked for again when its pause is over."""
    answer = deliver(job.payload["delivery"], job.payload["attempt"])
    return {"status": answer.status if answer is not None else None}
