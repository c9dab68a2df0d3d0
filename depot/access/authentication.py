"""How a program says who it is: `Authorization: Bearer <key>`."""

from __future__ import annotations

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from rest_framework.authentication import BaseAuthentication, get_authorization_header
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request

from depot.access.keys import KeyUser, find_key
from depot.models import ApiKey


class ApiKeyAuthentication(BaseAuthentication):
    """Take an API key from the Authorization header."""

    def authenticate(self, request: Request) -> tuple[KeyUser, ApiKey] | None:
        scheme, _, raw = get_authorization_header(request).decode("latin-1").partition(" ")
        if scheme.lower() != "bearer":
            return None
        key = find_key(raw.strip())
        if key is None:
            raise AuthenticationFailed(
                "This API key is unknown, expired or revoked. Ask the depot's owner for one."
            )
        return KeyUser(key), key

    def authenticate_header(self, request: Request) -> str:
        return "Bearer"


class ApiKeyScheme(OpenApiAuthenticationExtension):
    target_class = "depot.access.authentication.ApiKeyAuthentication"
    name = "ApiKey"

    def get_security_definition(self, auto_schema: object) -> dict[str, str]:
        return {"type": "http", "scheme": "bearer", "description": "An API key of one depot."}
