"""PURE: which vehicle should drive which block of a day."""
