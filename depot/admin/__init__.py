"""Set-up of the site's shared parts: people, keys, and the records of what happened."""

from django.contrib import admin
from django.contrib.auth.models import Group

from depot.admin import keys, meters, people, records, webhooks

admin.site.unregister(Group)  # what people may do comes from their role in each depot, not from groups

__all__ = ["keys", "meters", "people", "records", "webhooks"]
