"""The REST API: each app's doors under one address."""

from django.urls import include, path

urlpatterns = [
    path("", include("depot.api")),
    path("", include("fleet.api")),
    path("", include("billing.api")),
    path("", include("charging.api")),
]
