"""What a colour means. The values are CSS variables of static/css/tokens.css."""

from __future__ import annotations

from dataclasses import dataclass


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
    "charge": _role("Charging", "charge"),
    "discharge": _role("Discharging", "discharge"),
    "solar": _role("Solar", "solar", line="solar-line"),
    "building": _role("Building", "building"),
    "import": Role("Grid", "var(--import)", "var(--building-fill)", width=2.0),
    "limit": Role("Limit", "var(--limit)", "var(--will-miss-fill)", dash="dash"),
    "peak": Role("Peak so far", "var(--limit)", "var(--will-miss-fill)", dash="dot"),
    "price": _role("Price", "price"),
    "ready": _role("Ready", "good"),
    "at_risk": Role("At risk", "var(--at-risk)", "var(--at-risk-fill)"),
    "will_miss": Role("Will miss", "var(--will-miss)", "var(--will-miss-fill)"),
    "away": Role("Away", "var(--chart-axis)", "var(--chart-away)"),
    "soc": _role("State of charge", "charge", width=2.0),
}
"""Meaning -> style. Every chart of the product draws only with these."""
