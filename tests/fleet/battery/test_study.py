"""The profile file and the answer of `battery_wear`, without Django."""

import pytest

from fleet.battery.study import ProfileError, Study, describe, read_profile, run_study
from fleet.battery.wear import PackValue
from tests.fleet.battery.duties import DUTIES, duty

DAY_CSV = "hours,soc\n" + "\n".join(f"{hour},{soc}" for hour, soc in DUTIES["v2g"])
PACK = PackValue(capacity_kwh=226, price_per_kwh=150)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "file is empty"),
        ("soc\n0.5\n", "day.csv, row 1: column 'hours' is missing"),
        ("hours,soc,speed\n0,0.5,3\n", "row 1: column 'speed' is not known"),
        ("hours,soc,soc\n0,0.5,0.5\n", "row 1: a column appears twice"),
        ("hours,soc\n0,0.5\n", "only 1 sample"),
        ("hours,soc\n0,80\n1,0.5\n", "row 2, column soc: '80' is not valid; .*0.8"),
        ("hours,soc\n0,0.5\n1,\n", "row 3, column soc: '' is not valid"),
        ("hours,soc\n0,0.5\nnan,0.5\n", "row 3, column hours: 'nan'"),
        ("hours,soc\n0,0.5\n0,0.6\n", "row 3, column hours: 0 does not come after 0"),
        ("hours,soc,temperature_c\n0,0.5,300\n1,0.5,20\n", "row 2, column temperature_c: '300'"),
        ("hours,soc\n0,0.5,7\n1,0.5\n", "row 2: 3 values for 2 columns"),
        ("hours,soc\n0\n1,0.5\n", "row 2: 1 values for 2 columns"),
    ],
)
def test_bad_files_are_refused_with_place_and_cure(text: str, words: str) -> None:
    with pytest.raises(ProfileError, match=words):
        read_profile(text, "day.csv", 25.0)


def test_all_problems_are_told_at_once_up_to_a_limit() -> None:
    rows = "\n".join(f"{hour},9" for hour in range(50))
    with pytest.raises(ProfileError) as caught:
        read_profile(f"hours,soc\n{rows}\n", "day.csv", 25.0)
    assert len(caught.value.problems) == 21
    assert caught.value.problems[-1] == "… and 30 more."


def test_columns_may_come_in_any_order_with_blank_lines_and_a_byte_order_mark() -> None:
    profile = read_profile("\ufeffSOC, Temperature_C ,hours\n0.5,10,0\n\n0.6,12,1\n", "day.csv", 25.0)
    assert profile.soc.tolist() == [0.5, 0.6]
    assert profile.temperature_c.tolist() == [10, 12]
    assert read_profile(DAY_CSV, "day.csv", 31.0).temperature_c.tolist() == [31.0] * 11


def test_the_answer_has_every_part_and_adds_up() -> None:
    answer = run_study(Study(read_profile(DAY_CSV, "day.csv", 25.0), "lfp", 3, repeat=True, pack=PACK))
    rows = answer["years"]
    assert [row["year"] for row in rows] == [1, 2, 3]
    for row, capacity in zip(rows, answer["relative_capacity"], strict=True):
        assert row["relative_capacity"] == capacity
        assert capacity == pytest.approx(1 - row["calendar_loss"] - row["cycle_loss"])
    soc_cycles = sum(box["count"] * (box["depth_from"] + box["depth_to"]) / 2 for box in answer["cycles"])
    assert soc_cycles == pytest.approx(answer["equivalent_full_cycles"], rel=0.2)
    assert sum(box["count"] for box in answer["cycles"]) == pytest.approx(2 * 3 * 365, abs=2)
    assert answer["wear"]["marginal_cost_per_kwh"] == pytest.approx(0.0125, abs=0.002)
    assert answer["extrapolated"]
    assert answer["warnings"] == [
        "LFP-graphite, 250 Ah prismatic: 100% of the energy cycles on days shallower than "
        "the tested 80% depth."
    ]
    assert f"Marginal wear: {answer['wear']['marginal_cost_per_kwh']:.4f} per kWh" in describe(answer)


def test_a_year_without_repetition_equals_its_day_repeated() -> None:
    year = run_study(Study(duty("v2g"), "nmc", 1, repeat=False, pack=PACK))
    day = run_study(Study(duty("v2g", days=1), "nmc", 1, repeat=True, pack=PACK, fixed_soc=True))
    duty_of_a_new_one = run_study(Study(duty("v2g", days=1), "nmc", 1, repeat=True, pack=PACK))
    assert duty_of_a_new_one["relative_capacity"][0] < day["relative_capacity"][0]
    assert year["relative_capacity"] == pytest.approx(day["relative_capacity"])
    assert year["compared"] == ["nmc111", "nmc622"]
    assert year["cell"]["model"] == "nmc622"


def test_use_outside_the_tests_is_told() -> None:
    hot = run_study(Study(duty("deep", 50.0, days=2), "lfp", 1, repeat=True, pack=PACK))
    assert hot["warnings"] == [
        "LFP-graphite, 250 Ah prismatic: 100% of the time lies outside the tested 10 to 45 °C."
    ]


def test_too_few_hours_or_impossible_years_are_refused() -> None:
    with pytest.raises(ValueError, match="lasts 24 hours"):
        run_study(Study(duty("v2g", days=1), "lfp", 1, repeat=False, pack=PACK))
    with pytest.raises(ValueError, match="between 1 and 50"):
        run_study(Study(duty("v2g", days=1), "lfp", 0, repeat=True, pack=PACK))
