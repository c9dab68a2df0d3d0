"""The product's settings and one more app: the kinds of jobs that these tests ask for."""

from depot.project.settings import *  # noqa: F403
from depot.project.settings import INSTALLED_APPS

INSTALLED_APPS = [*INSTALLED_APPS, "tests.processes"]
