"""Give the potential of a graphite anode, the driver of calendar ageing in all models here."""

from __future__ import annotations

import numpy as np

from fleet.battery.profile import FloatArray

_LITHIATION_EMPTY = 0.0085
_LITHIATION_FULL = 0.78


def anode_potential_v(soc: FloatArray) -> FloatArray:
    """Return the open-circuit potential of graphite against lithium at a state of charge.

    Curve: Safari and Delacourt, J. Electrochem. Soc. 158 (2011) A562. Lithiation from 0.85 % (empty) to 78 %
    (full): Schimpe et al., J. Electrochem. Soc. 165 (2018) A181.
    """
    x = _LITHIATION_EMPTY + soc * (_LITHIATION_FULL - _LITHIATION_EMPTY)
    potential: FloatArray = (
        0.6379
        + 0.5416 * np.exp(-305.5309 * x)
        + 0.044 * np.tanh(-(x - 0.1958) / 0.1088)
        - 0.1978 * np.tanh((x - 1.0571) / 0.0854)
        - 0.6875 * np.tanh((x + 0.0117) / 0.0529)
        - 0.0175 * np.tanh((x - 0.5692) / 0.0875)
    )
    return potential
