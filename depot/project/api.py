"""The REST API: each app's doors under one address."""

from django.urls import path  # noqa: F401

urlpatterns: list = []
