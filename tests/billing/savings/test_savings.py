"""Savings: the tables of docs/algorithms/savings.md, and properties of the baseline and the waterfall."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.savings import (
    Session,
    charge_only,
    moved_site,
    site_power,
    solar_self_use,
    unmanaged,
    waterfall,
    with_solar,
)
from billing.savings.charge_only import ROUND_TRIP
from billing.savings.events import Call, Metered, settle
from billing.savings.programmes import CustomerBaseline
from billing.tariff import BillLine, BillPeriod, BillResult
from depot.timegrid import TimeGrid
from tests.billing.tariff.examples import DOCS, table_rows

EVENING = datetime(2025, 7, 1, 18, tzinfo=UTC)
PARTS = (DOCS / "savings.md").read_text().split("\n## ")


def session(from_hour: float, to_hour: float, soc_in: float, soc_out: float, vehicle: str = "bus") -> Session:
    """Return a session of a 200 kWh battery; hours count from the evening."""
    start, end = (EVENING + timedelta(hours=hour) for hour in (from_hour, to_hour))
    return Session(vehicle, start, end, soc_in, soc_out, 200.0, 50.0, 0.9)


def clock(text: str) -> float:
    return int(text[:2]) + int(text[3:]) / 60 - 18


@pytest.mark.parametrize("row", table_rows(PARTS[1]), ids=lambda row: row[0])
def test_the_published_baseline(row: list[str]):
    stay = session(clock(row[1]), clock(row[2]), float(row[3]), float(row[4]))

    baseline = unmanaged([stay], TimeGrid(EVENING, 60, 4))

    assert baseline.charge_kw == pytest.approx([float(cell) for cell in row[5:9]])
    assert baseline.carry_kwh == pytest.approx(float(row[9]))


@pytest.mark.parametrize("row", table_rows(PARTS[2]))
def test_the_published_site(row: list[str]):
    building, solar, vehicles = ([float(cell)] for cell in row[:3])
    power = site_power(building, solar, vehicles, None if row[3] == "none" else float(row[3]))

    assert [power.import_kw[0], power.export_kw[0]] == [float(cell) for cell in row[4:]]


def test_a_site_needs_series_of_one_length():
    with pytest.raises(ValueError, match="1, 2 and 1 steps"):
        site_power([1], [1, 2], [1])


def bill_of(amounts: dict[str, str], total: bool = True, currency: str = "USD") -> BillResult:
    lines = tuple(
        BillLine(id, id, Decimal(1), "x", Decimal(amount), Decimal(amount), "")
        for id, amount in amounts.items()
    )
    period = BillPeriod(EVENING, EVENING + timedelta(days=30), lines, {})
    return BillResult(
        currency, "UTC", (period,), period.total if total else None, (), () if total else ("ratchet.",)
    )


def test_the_published_waterfall():
    rows = {row[0]: row[1:] for row in table_rows(PARTS[3])}
    names = {"energy": "energy.a", "demand": "demand_flat.a", "other": "fixed.a", "export": "export.a"}
    before, after = (bill_of({id: rows[name][side] for name, id in names.items()}) for side in (0, 1))
    wear_baseline, wear_actual = map(Decimal, rows["wear"][:2])

    found = waterfall(
        before, after, wear_actual, wear_baseline, -Decimal(rows["programmes"][2]), -Decimal(rows["solar"][2])
    )

    assert [(step.id, str(step.amount), str(step.running_total)) for step in found.steps] == [
        (name, row[2], row[3]) for name, row in rows.items()
    ]
    assert found.net_saving == Decimal("567.00")
    assert found.steps[2].sentence == "Other demand peaks saved $400.00."
    assert found.steps[4].sentence == "Fixed charges, minimum bill and taxes made no difference."
    assert found.steps[7].sentence == "Different use of the batteries cost $8.00."


money = st.decimals(-9999, 9999, places=2).map(str)
bills = st.fixed_dictionaries(dict.fromkeys(("energy.a", "demand_tou.b", "tax.c", "export.d"), money)).map(
    bill_of
)


@given(bills, bills, money.map(Decimal), money.map(Decimal))
def test_a_waterfall_adds_up_exactly(before: BillResult, after: BillResult, wear: Decimal, revenue: Decimal):
    found = waterfall(before, after, wear, Decimal(0), revenue)

    assert sum(step.amount for step in found.steps[:-1]) == found.steps[-1].running_total
    assert found.steps[-1].amount == after.total + wear - revenue
    assert found.net_saving == before.total - found.steps[-1].amount

    sunny = with_solar(found.steps, "USD", Decimal("12.34"))
    assert [step.id for step in sunny.steps] == [step.id for step in found.steps]
    assert sum(step.amount for step in sunny.steps[:-1]) == sunny.steps[-1].amount == found.steps[-1].amount
    assert sunny.net_saving == found.net_saving
    assert with_solar(sunny.steps, "USD", Decimal(0)).steps == found.steps


def test_the_published_charge_only_depot():
    part = next(part for part in PARTS if "Managed charging without V2G" in part.splitlines()[0])
    rows = [[float(cell) for cell in row[1:]] for row in table_rows(part) if ":" in row[0]]
    charge, discharge, expected = (np.array(column) for column in list(zip(*rows, strict=True))[:3])
    found = charge_only(charge, discharge)
    assert found.charge_kwh == pytest.approx(expected, abs=0.005)
    assert found.owed_kwh == pytest.approx(rows[-1][3], abs=0.005)


def test_the_published_parts_of_an_events_pay():
    part = next(part for part in PARTS if "Managed charging without V2G" in part.splitlines()[0])
    rows = [row for row in table_rows(part) if len(row) == 6 and row[0].isdigit()]
    assert len(rows) == 2
    usual = CustomerBaseline(np.full(2, 100.0), (), 0.0, capped=False)
    call = Call(date(2026, 3, 12), (0, 2), "reduce", pay_per_kwh=Decimal(2))

    def paid(imported: np.ndarray, exported: np.ndarray) -> Decimal:
        metered = Metered((imported - exported) / 0.5, exported, np.zeros(2))
        return settle(call, usual, metered, 0.5, "USD").pay

    for left_kw, discharged_kw, nobody, between, actual, of_v2g in rows:
        charge, discharge = np.full(2, float(left_kw)) * 0.5, np.full(2, float(discharged_kw)) * 0.5
        imported, exported = np.maximum(charge - discharge, 0), np.maximum(discharge - charge, 0)
        site = moved_site(imported, exported, charge_only(charge, discharge).charge_kwh - charge + discharge)
        assert paid(site.import_kw, site.export_kw) == Decimal(between)
        assert paid(imported, exported) == Decimal(actual)
        assert Decimal(nobody) == 0 and Decimal(of_v2g) == Decimal(actual) - Decimal(between)


@given(st.lists(st.tuples(st.floats(0, 50), st.floats(0, 50)), min_size=1, max_size=40))
def test_what_charge_only_leaves_out_is_what_was_given(steps: list[tuple[float, float]]):
    charge, discharge = (np.array(column) for column in zip(*steps, strict=True))
    found = charge_only(charge, discharge)
    left_out = (charge - found.charge_kwh).sum()
    assert left_out + found.owed_kwh == pytest.approx(discharge.sum() / ROUND_TRIP)
    assert ((found.charge_kwh >= -1e-9) & (found.charge_kwh <= charge + 1e-9)).all()
    half = len(steps) // 2
    first = charge_only(charge[:half], discharge[:half])
    second = charge_only(charge[half:], discharge[half:], first.owed_kwh)
    assert [*first.charge_kwh, *second.charge_kwh] == pytest.approx(found.charge_kwh)


def test_the_meter_moves_by_the_vehicles_alone():
    site = moved_site(np.array([50.0, 0, 0, 6]), np.array([0.0, 20, 0, 2]), np.array([10.0, 15, -30, 0]), 12)
    assert site.import_kw.tolist() == [60, 0, 0, 6]
    assert site.export_kw.tolist() == [0, 5, 12, 2]
    used = solar_self_use(np.array([10.0, 10]), np.array([30.0, 30]), np.array([0.0, 50]))
    assert used.tolist() == [10, 30]


def test_a_waterfall_needs_two_bills_of_one_kind():
    good = bill_of({"energy.a": "1"})
    with pytest.raises(ValueError, match="without a total has no waterfall: ratchet"):
        waterfall(good, bill_of({"energy.a": "1"}, total=False), Decimal(0), Decimal(0))
    with pytest.raises(ValueError, match="differ in currency or billing periods"):
        waterfall(good, bill_of({"energy.a": "1"}, currency="EUR"), Decimal(0), Decimal(0))


def test_what_v2g_gave_is_not_charged_by_the_baseline():
    """A vehicle that gave 30 kWh and was refilled the next evening is charged for driving only."""
    chain = [session(0, 2, 0.80, 0.65), session(24, 34, 0.45, 0.80)]

    baseline = unmanaged(chain, TimeGrid(EVENING, 60, 48))

    assert baseline.charge_kw.sum() * 0.9 == pytest.approx(200 * (0.80 - 0.45) - 30)
    assert baseline.carry_kwh == pytest.approx(0)


def test_a_debt_is_charged_in_the_next_session():
    chain = [session(0, 1, 0.40, 0.85), session(2, 6, 0.85, 0.85)]

    baseline = unmanaged(chain, TimeGrid(EVENING, 60, 6))

    assert baseline.charge_kw == pytest.approx([50, 0, 50, 0, 0, 0])
    assert unmanaged([], TimeGrid(EVENING, 60, 2), carry_kwh=3.5).carry_kwh == 3.5


socs = st.floats(0, 1)


@given(
    st.lists(st.tuples(socs, socs, st.floats(0.1, 9)), min_size=1, max_size=6), st.sampled_from([5, 15, 60])
)
def test_energy_is_conserved_and_power_stays_within_limits(
    stays: list[tuple[float, float, float]], minutes: int
):
    chain = [
        session(10 * n, 10 * n + hours, soc_in, soc_out) for n, (soc_in, soc_out, hours) in enumerate(stays)
    ]
    grid = TimeGrid(EVENING, minutes, 60 * 60 // minutes)

    baseline = unmanaged(chain, grid)

    delivered_kwh = baseline.charge_kw.sum() * grid.step_hours * 0.9
    assert delivered_kwh + baseline.carry_kwh == pytest.approx(sum(stay.net_kwh for stay in chain), abs=1e-6)
    assert ((baseline.charge_kw >= 0) & (baseline.charge_kw <= 50 + 1e-9)).all()
    for stay, after in zip(chain, [*chain[1:], None], strict=True):
        end = (stay.unplugged_at - EVENING) / grid.step
        start = (after.plugged_in_at - EVENING) / grid.step if after else grid.steps
        assert not baseline.charge_kw[int(np.ceil(end)) : int(start)].any()


def test_what_a_charger_loses_takes_longer_to_charge():
    stay = replace(session(0, 4, 0.4, 0.6), charge_loss_kw=5.0)
    baseline = unmanaged([stay], TimeGrid(EVENING, 60, 4))
    assert baseline.charge_kw.tolist() == pytest.approx([50.0, 0.0, 0.0, 0.0])
    useless = replace(stay, charge_loss_kw=45.0)
    assert unmanaged([useless], TimeGrid(EVENING, 60, 4)).carry_kwh == pytest.approx(40.0)


def test_charging_before_the_grid_counts_for_the_carry_only():
    baseline = unmanaged([session(-1.5, 3, 0.40, 0.85)], TimeGrid(EVENING, 60, 3))

    assert baseline.charge_kw == pytest.approx([25, 0, 0])
    assert baseline.carry_kwh == pytest.approx(0)


@pytest.mark.parametrize(
    ("chain", "sentence"),
    [
        ([session(1, 1, 0.5, 0.6)], "ends before it begins"),
        ([session(0, 1, 50, 0.6)], "SoC outside 0..1"),
        ([Session("bus", EVENING, EVENING + timedelta(hours=1), 0.5, 0.6, 200, 50, 90)], "an efficiency in"),
        ([session(0, 2, 0.5, 0.6), session(1, 3, 0.5, 0.6)], "overlap or are out of order"),
        ([session(0, 2, 0.5, 0.6), session(3, 4, 0.5, 0.6, "van")], "Sessions of bus and van are mixed"),
    ],
)
def test_impossible_sessions_are_refused(chain: list[Session], sentence: str):
    with pytest.raises(ValueError, match=sentence):
        unmanaged(chain, TimeGrid(EVENING, 60, 4))
