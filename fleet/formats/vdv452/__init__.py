"""VDV 452 timetables (tables in the interface format VDV 451): blocks from rotations, trips and driving times."""

from fleet.formats.vdv452.read import FORMAT, read

__all__ = ["FORMAT", "read"]
