"""Webhooks: what happens in a depot is told to other programs, signed, and again until they have heard it."""

from depot.webhooks.services import publish

__all__ = ["publish"]
