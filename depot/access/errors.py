"""One shape for every API error: RFC 9457 problem details with a code."""

from __future__ import annotations

from typing import Any, cast

from django.core.exceptions import PermissionDenied
from django.http import Http404
from rest_framework.exceptions import APIException, NotFound, ValidationError
from rest_framework.exceptions import PermissionDenied as ApiPermissionDenied
from rest_framework.response import Response
from rest_framework.views import exception_handler


def problem(error: Exception, context: dict[str, Any]) -> Response | None:
    """Answer an error with `title`, `status`, `code`, `detail` and, for bad fields, `errors`."""
    response = exception_handler(error, context)
    if response is None:
        return None
    if isinstance(error, Http404):
        error = NotFound()
    elif isinstance(error, PermissionDenied):
        error = ApiPermissionDenied()
    answered = cast(APIException, error)
    body: dict[str, Any] = {
        "type": "about:blank",
        "title": type(answered).default_detail,
        "status": response.status_code,
        "code": answered.default_code,
    }
    if isinstance(error, ValidationError):
        body["detail"] = "Some values cannot be used; errors names each."
        body["errors"] = response.data
    else:
        body["detail"] = str(answered.detail)
        codes = answered.get_codes()
        body["code"] = codes if isinstance(codes, str) else answered.default_code
    response.data = body
    response.content_type = "application/problem+json"
    return response
