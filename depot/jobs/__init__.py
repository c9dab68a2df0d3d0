"""Background work: rows are the truth, Celery carries them.

A job is asked for with `enqueue`; its key (kind, depot, window) makes it happen once. Handlers are registered
with `job` in each app's `jobs.py`.
"""

from depot.jobs.registry import JobKind, Progress, job
from depot.jobs.services import enqueue

__all__ = ["JobKind", "Progress", "enqueue", "job"]
