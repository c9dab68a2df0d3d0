"""One shape for every API error: RFC 9457 problem details with a code."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import PermissionDenied, RequestDataTooBig, SuspiciousOperation
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.template.loader import get_template
from django.views import defaults
from rest_framework.exceptions import APIException, NotFound, ValidationError
from rest_framework.exceptions import PermissionDenied as ApiPermissionDenied
from rest_framework.views import exception_handler

from depot.access.wire import API_PREFIX, MEDIA_TYPE

RETRY_AFTER_S = 5


class TooLarge(APIException):
    status_code = 413
    default_code = "too_large"
    default_detail = "The request is larger than 10 MB. Split it."


def problem(error: Exception, context: dict[str, Any]) -> HttpResponse | None:
    """Answer an error with `title`, `status`, `code`, `detail` and, for bad fields, `errors`.

    The answer is JSON whatever the view renders. None for a fault of the program: it is logged and answered
    by `server_error`.
    """
    answered = _as_api_error(error)
    response = exception_handler(answered, context)
    if response is None or not isinstance(answered, APIException):
        return None
    errors = response.data if isinstance(answered, ValidationError) else None
    codes = answered.get_codes()
    answer = _problem(
        response.status_code,
        codes if isinstance(codes, str) else answered.default_code,
        str(answered.default_detail),
        "Some values cannot be used; errors names each." if errors else str(answered.detail),
        errors,
    )
    for name in ("WWW-Authenticate", "Retry-After", "Allow"):
        if name in response:
            answer[name] = response[name]
    return answer


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
    return _problem(404, "not_found", "Not found.", detail)


def bad_address(request: HttpRequest) -> HttpResponse:
    """Answer an address that cannot be read: in the API's shape below /api/, as a page elsewhere."""
    if not request.path.startswith(API_PREFIX):
        return defaults.bad_request(request, SuspiciousOperation("NUL in the address"))
    return _problem(400, "bad_address", "Malformed request.", "The address holds a NUL (%00). Leave it out.")


def server_error(request: HttpRequest) -> HttpResponse:
    """Answer a fault of the program: in the API's shape below /api/, as a page elsewhere."""
    if not request.path.startswith(API_PREFIX):
        return defaults.server_error(request)
    detail = "Something went wrong inside the program. Nothing was stored; the log has the details."
    return _problem(500, "error", "A server error occurred.", detail)


def unavailable(request: HttpRequest) -> HttpResponse:
    """Answer while the database is away: nothing was stored, try again soon."""
    if request.path.startswith(API_PREFIX):
        detail = "The database does not answer at the moment. Nothing was stored; send it again."
        answer = _problem(503, "database_unavailable", "The service is unavailable.", detail)
    else:
        answer = HttpResponse(get_template("503.html").render(), status=503)
    answer["Retry-After"] = str(RETRY_AFTER_S)
    return answer


def _problem(status: int, code: str, title: str, detail: str, errors: Any = None) -> HttpResponse:
    body = {"type": "about:blank", "title": title, "status": status, "code": code, "detail": detail}
    if errors:
        body["errors"] = errors
    return JsonResponse(body, status=status, content_type=MEDIA_TYPE)
