"""An address may hold no NUL: no name has one, and databases refuse it."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.utils.deprecation import MiddlewareMixin

from depot.access.errors import bad_address


class NoNul(MiddlewareMixin):
    """Answer 400 to an address with a NUL in its path or its parameters, before anybody reads them."""

    def process_request(self, request: HttpRequest) -> HttpResponse | None:
        query = request.META.get("QUERY_STRING", "")
        return bad_address(request) if "\0" in request.path or "%00" in query or "\0" in query else None
