"""GTFS feeds: blocks from trips, stop times and calendars (gtfs.org/documentation/schedule/reference)."""

from fleet.formats.gtfs.read import FORMAT, read

__all__ = ["FORMAT", "read"]
