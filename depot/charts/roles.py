"""What a colour means. The values are CSS variables of static/css/tokens.css."""

from __future__ import annotations

from dataclasses import dataclass

from depot.words import mark


@dataclass(frozen=True, slots=True)
class Role:
    """A meaning in charts: its word, the colour of lines and marks, the colour of areas, its dash."""

    word: str
    line: str
    fill: str
    dash: str = "solid"
    width: float = 1.5


def _role(word: str, token: str, *, line: str = "", **style: float | str) -> Role:
    return Role(word, f"var(--{line or token})", f"var(--{token}-fill)", **style)  # type: ignore[arg-type]


ROLES: dict[str, Role] = {
    "charge": _role(mark("Charging"), "charge"),
    "discharge": _role(mark("Discharging"), "discharge"),
    "solar": _role(mark("Solar"), "solar", line="solar-line"),
    "building": _role(mark("Building"), "building"),
    "import": Role(mark("Grid"), "var(--import)", "var(--building-fill)", width=2.0),
    "limit": Role(mark("Limit"), "var(--limit)", "var(--will-miss-fill)", dash="dash"),
    "peak": Role(mark("Peak so far"), "var(--limit)", "var(--will-miss-fill)", dash="dot"),
    "price": _role(mark("Price"), "price"),
    "ready": _role(mark("Ready"), "good"),
    "at_risk": Role(mark("At risk"), "var(--at-risk)", "var(--at-risk-fill)"),
    "will_miss": Role(mark("Will miss"), "var(--will-miss)", "var(--will-miss-fill)"),
    "away": Role(mark("Away"), "var(--chart-axis)", "var(--chart-away)"),
    "soc": _role(mark("State of charge"), "charge", width=2.0),
}
"""Meaning -> style. Every chart of the product draws only with these."""
