"""Telemetry as vehicles' programs send it: read strictly, doubted where it cannot be true. Pure."""

from fleet.ingest.items import FIELDS, Item, read_item
from fleet.ingest.plausibility import Known, Limits, doubt

__all__ = ["FIELDS", "Item", "Known", "Limits", "doubt", "read_item"]
