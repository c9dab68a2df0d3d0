"""Which language a request is answered in: the browser's or the one its user chose; programs get English."""

from __future__ import annotations

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse
from django.utils import translation

from depot.words import ENGLISH, speaking

ENGLISH_PATHS = ("/api/", "/health/")


class Language:
    """Let the rooms speak what Django's LocaleMiddleware before it has chosen; the API is always English."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        english = request.path.startswith(ENGLISH_PATHS)
        language = ENGLISH if english else translation.get_language() or ENGLISH
        with translation.override(language), speaking(language):
            return self.get_response(request)
