"""The text of a charge taper is read as points, and what makes no sense is refused with the cure."""

import pytest
from django.core.exceptions import ValidationError

from fleet.battery.charge_taper import read_charge_taper
from tests.factories import make_type


def test_points_are_read_and_nothing_is_no_taper():
    assert read_charge_taper(" 80:150,100 : 30 ") == ((0.8, 150.0), (1.0, 30.0))
    assert read_charge_taper("") == ()


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("80", "'80' is not a point; write SoC in % and power in kW"),
        ("80:x", "'80:x' is not a point"),
        ("120:5", "'120:5' is outside 0 to 100 %"),
        ("80:-5", "'80:-5' is outside"),
        ("80:nan", "'80:nan' is outside"),
        ("80:inf", "'80:inf' is outside"),
        ("100:10, 80:50", "The SoC must rise"),
        ("80:10, 100:50", "The power must not rise"),
        ("50:100, 60:20, 100:10", "The power must fall faster and faster"),
    ],
)
def test_what_makes_no_sense_is_refused_with_the_cure(text, sentence):
    with pytest.raises(ValueError, match=sentence.replace("?", r"\?")):
        read_charge_taper(text)


@pytest.mark.django_db
def test_a_type_with_a_wrong_taper_is_not_valid(depot):
    with pytest.raises(ValidationError, match="is not a point"):
        make_type(depot, charge_taper="full").full_clean()
