"""Where charging slows down as a battery fills, as a person writes it: "80:150, 100:30"."""

from __future__ import annotations

import math
from functools import lru_cache
from itertools import pairwise

from depot.words import mark, tr

_EXAMPLE = mark('write SoC in % and power in kW, like "80:150, 100:30"')


@lru_cache(maxsize=256)
def read_charge_taper(text: str) -> tuple[tuple[float, float], ...]:
    """Return the points (SoC 0..1, most charge power in kW) of a text; none for an empty one.

    Between points the power follows straight lines; below the first and beyond the last it stays. Raises ValueError
    with a sentence where SoC does not rise, or where the power rises or flattens on the way down.
    """
    points = tuple(_point(part) for part in text.split(",") if part.strip())
    for (low, high_kw), (high, low_kw) in pairwise(points):
        if high <= low:
            raise ValueError(tr("The SoC must rise from point to point; sort them and leave out doubles."))
        if low_kw > high_kw:
            raise ValueError(tr("The power must not rise with the SoC; let it fall or stay."))
    slopes = [(low_kw - high_kw) / (high - low) for (low, high_kw), (high, low_kw) in pairwise(points)]
    if any(later > sooner + 1e-9 for sooner, later in pairwise(slopes)):
        raise ValueError(tr("The power must fall faster and faster; leave out the points where it flattens."))
    return points


def _point(part: str) -> tuple[float, float]:
    soc, _, power = part.partition(":")
    try:
        percent, power_kw = float(soc), float(power)
    except ValueError:
        raise ValueError(
            tr("{point!r} is not a point; {example}.", point=part.strip(), example=tr(_EXAMPLE))
        ) from None
    if not (0.0 <= percent <= 100.0 and power_kw >= 0.0 and math.isfinite(power_kw)):
        raise ValueError(
            tr(
                "{point!r} is outside 0 to 100 % or below 0 kW; {example}.",
                point=part.strip(),
                example=tr(_EXAMPLE),
            )
        )
    return percent / 100.0, power_kw
