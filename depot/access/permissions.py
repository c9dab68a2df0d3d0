"""What an API caller may do: a key by its scopes, a person by their role."""

from __future__ import annotations

from typing import Any

from rest_framework.permissions import SAFE_METHODS, BasePermission
from rest_framework.request import Request

from depot.models import ApiKey, Scope


class HasScope(BasePermission):
    """Reading needs `read`; writing needs the view's `write_scope`. A log-in session may only read."""

    message = "This API key lacks the scope for this call."

    def has_permission(self, request: Request, view: Any) -> bool:
        if not request.user or not request.user.is_authenticated:
            return False
        if not isinstance(request.auth, ApiKey):
            return request.method in SAFE_METHODS
        needed = Scope.READ if request.method in SAFE_METHODS else getattr(view, "write_scope", None)
        return needed is not None and needed in request.auth.scopes
