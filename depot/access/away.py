"""A database that is away for a moment is no fault of the program: say so, and when to come again."""

from __future__ import annotations

import logging

from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse
from django.utils.deprecation import MiddlewareMixin

from depot.access.errors import unavailable

log = logging.getLogger(__name__)


class DatabaseAway(MiddlewareMixin):
    """Answer 503 instead of 500 when the database does not answer; every write is one transaction, so none is half."""

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        if not isinstance(exception, OperationalError | InterfaceError):
            return None
        log.error("%s %s: the database is away: %s", request.method, request.path, exception)
        return unavailable(request)
