"""Random URDB tariffs and loads: every monthly component is what NREL's engine bills, where that is right.

Thousands of seeds can be run by hand: `DEPOT_ORACLE_SEEDS=0:1000 pytest tests/billing/tariff/test_oracle.py`.
"""

import copy
import os
from datetime import UTC
from importlib.util import find_spec

import numpy as np
import pytest

from billing.tariff import bill, read_tariff
from tests.billing.tariff.pysam import Case, Monthly, pysam_bill, random_case

FIRST, LAST = map(int, os.environ.get("DEPOT_ORACLE_SEEDS", "0:240").split(":"))
LINES = {
    "energy": ("energy", "export"),
    "flat": ("demand_flat",),
    "tou": ("demand_tou",),
    "fixed": ("fixed",),
    "minimum": ("minimum",),
}

needs_pysam = pytest.mark.skipif(
    find_spec("PySAM") is None,
    reason="NREL-PySAM, the oracle for bills, is not installed (pip install NREL-PySAM)",
)


def our_bill(case: Case) -> Monthly:
    result = bill(read_tariff(copy.deepcopy(case.record)), case.load, time_zone=UTC)
    assert result.total is not None, result.unsupported
    return Monthly(
        *(
            np.array([float(sum(x.amount for x in p.lines if x.id.startswith(ids))) for p in result.periods])
            for ids in LINES.values()
        )
    )


@needs_pysam
@pytest.mark.parametrize("seed", range(FIRST, LAST))
def test_every_monthly_component_is_the_other_engines(seed: int):
    case = random_case(seed)
    ours, theirs = our_bill(case), pysam_bill(case)

    for name in Monthly._fields:
        assert getattr(ours, name) == pytest.approx(getattr(theirs, name), abs=0.01), name


def test_the_random_tariffs_hold_every_element_that_is_compared():
    records = [random_case(seed).record for seed in range(8, 33)]

    units = {r["energyratestructure"][0][0]["unit"] for r in records if len(r["energyratestructure"][0]) > 1}
    assert units == {"kWh", "kWh daily", "kWh/kW", "kWh/kW daily"}
    rules = {r.get("dgrules") for r in records}
    assert rules == {None, "Net Metering", "Net Billing Instantaneous", "Buy All Sell All"}
    for key in ("flatdemandstructure", "demandratestructure", "lookbackrange", "lookbackmonths", "mincharge"):
        assert any(key in record for record in records), key
