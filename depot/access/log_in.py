"""How many wrong passwords are let through: few for one name, more for one address that tries many names."""

from __future__ import annotations

from typing import Any

from axes.attempts import get_cool_off_threshold
from axes.handlers.database import AxesDatabaseHandler
from axes.models import AccessAttempt
from django.conf import settings
from django.db.models import Sum
from django.http import HttpRequest


class LogInLimits(AxesDatabaseHandler):
    """Count failures by name and address, and all failures of an address together."""

    def get_failures(self, request: HttpRequest, credentials: dict[str, Any] | None = None) -> int:
        """Return the failures of a name at an address; the limit itself once the address has too many of all."""
        own: int = super().get_failures(request, credentials)
        from_address = AccessAttempt.objects.filter(
            ip_address=request.axes_ip_address,  # type: ignore[attr-defined]
            attempt_time__gte=get_cool_off_threshold(request),
        )
        of_all = from_address.aggregate(total=Sum("failures_since_start"))["total"] or 0
        return max(own, settings.AXES_FAILURE_LIMIT) if of_all >= settings.FAILURES_PER_ADDRESS else own
