"""The web server's door."""

import gc
import os
import warnings

from django.conf import settings
from django.core.asgi import get_asgi_application
from django.urls import get_resolver

from depot.project.body_limit import BodyLimit

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "depot.project.settings")

# Static files are small and served from disk: reading them synchronously is what we want.
warnings.filterwarnings("ignore", message="StreamingHttpResponse must consume synchronous iterators")

application = BodyLimit(get_asgi_application(), settings.LARGEST_REQUEST)

# Load all pages now and not for the first visitor, and keep what is loaded for good out of every search for garbage:
# going through it all takes as long as a page.
_ = get_resolver().url_patterns
gc.collect()
gc.freeze()
