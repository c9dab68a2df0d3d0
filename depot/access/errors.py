"""One shape for every API error: RFC 9457 problem details with a code."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import PermissionDenied, RequestDataTooBig
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.views import defaults
from rest_framework.exceptions import APIException, NotFound, ValidationError
from rest_framework.exceptions import PermissionDenied as ApiPermissionDenied
from rest_framework.response import Response
from rest_framework.views import exception_handler

MEDIA_TYPE = "application/problem+json"
API_PREFIX = "/api/"


class TooLarge(APIException):
    status_code = 413
    default_code = "too_large"
    default_detail = "The request is larger than 10 MB. Split it."


def problem(error: Exception, context: dict[str, Any]) -> Response | None:
    """Answer an error with `title`, `status`, `code`, `detail` and, for bad fields, `errors`."""
    answered = _as_api_error(error)
    response = exception_handler(answered, context)
    if response is None or not isinstance(answered, APIException):
        return response
    body: dict[str, Any] = {
        "type": "about:blank",
        "title": type(answered).default_detail,
        "status": response.status_code,
        "code": answered.default_code,
    }
    if isinstance(answered, ValidationError):
        body["detail"] = "Some values cannot be used; errors names each."
        body["errors"] = response.data
    else:
        codes = answered.get_codes()
        body["detail"] = str(answered.detail)
        body["code"] = codes if isinstance(codes, str) else answered.default_code
    response.data = body
    response.content_type = MEDIA_TYPE
    return response


def _as_api_error(error: Exception) -> Exception:
    if isinstance(error, Http404):
        return NotFound("There is nothing here that you may see.")
    if isinstance(error, PermissionDenied):
        return ApiPermissionDenied()
    if isinstance(error, RequestDataTooBig):
        return TooLarge()
    return error


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer an address that does not exist: in the API's shape below /api/, as a page elsewhere."""
    if not request.path.startswith(API_PREFIX):
        return defaults.page_not_found(request, exception)
    detail = "There is no such address. Addresses of the API have no slash at the end; see /api/docs/."
    return _plain(404, "not_found", "Not found.", detail)


def server_error(request: HttpRequest) -> HttpResponse:
    """Answer a fault of the program: in the API's shape below /api/, as a page elsewhere."""
    if not request.path.startswith(API_PREFIX):
        return defaults.server_error(request)
    detail = "Something went wrong inside the program. Nothing was stored; the log has the details."
    return _plain(500, "error", "A server error occurred.", detail)


def _plain(status: int, code: str, title: str, detail: str) -> HttpResponse:
    body = {"type": "about:blank", "title": title, "status": status, "code": code, "detail": detail}
    return JsonResponse(body, status=status, content_type=MEDIA_TYPE)
