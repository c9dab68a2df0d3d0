"""List the cell models and find the one, or the ones, that a fleet record's chemistry stands for."""

from __future__ import annotations

from fleet.battery.cell_model import CellModel
from fleet.battery.cells.lfp_250ah import LFP_250AH
from fleet.battery.cells.nmc111_kokam_75ah import NMC111_KOKAM_75AH
from fleet.battery.cells.nmc622_denso_50ah import NMC622_DENSO_50AH
from fleet.battery.cells.nmc_a_75ah import NMC_A_75AH

CELL_MODELS: dict[str, CellModel] = {
    model.name: model for model in (LFP_250AH, NMC111_KOKAM_75AH, NMC622_DENSO_50AH, NMC_A_75AH)
}

_COMPARED_WHEN_UNSURE = {"nmc": (NMC111_KOKAM_75AH, NMC622_DENSO_50AH)}
_BY_REFERENCE_NAME = {model.reference_name.lower(): model for model in CELL_MODELS.values()}

CHEMISTRIES: tuple[str, ...] = (*CELL_MODELS, *_COMPARED_WHEN_UNSURE)
"""Every name that a fleet record or a command may give."""


def cell_models(chemistry: str) -> tuple[CellModel, ...]:
    """Return the models of a chemistry or model name; for plain "nmc" two, to be judged by the worse.

    Raises ValueError naming the known ones.
    """
    name = chemistry.strip().lower()
    if name in _COMPARED_WHEN_UNSURE:
        return _COMPARED_WHEN_UNSURE[name]
    model = CELL_MODELS.get(name) or _BY_REFERENCE_NAME.get(name)
    if model is None:
        raise ValueError(f"No ageing model is called '{chemistry}'. Known: {', '.join(CHEMISTRIES)}.")
    return (model,)
