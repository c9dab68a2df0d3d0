"""The worker: Celery carries the work, Job rows in the database are the truth."""

import os

from celery import Celery
from kombu.transport import TRANSPORT_ALIASES

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "depot.project.settings")

TRANSPORT_ALIASES["filesystem"] = "depot.project.folder_broker:Transport"
TRANSPORT_ALIASES["redis"] = TRANSPORT_ALIASES["rediss"] = "depot.project.redis_broker:Transport"
app = Celery("depot")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks(["depot.jobs"])
