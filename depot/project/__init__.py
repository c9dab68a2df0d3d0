"""The roof over the apps: settings, addresses, the worker, navigation."""

from depot.project.celery import app as celery_app

__all__ = ["celery_app"]
