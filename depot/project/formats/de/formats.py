"""How Django writes raw numbers where German is spoken: as in English, because pages put them in attributes."""

DECIMAL_SEPARATOR = "."
THOUSAND_SEPARATOR = ","
NUMBER_GROUPING = 0
