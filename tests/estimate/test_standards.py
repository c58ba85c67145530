"""Bone age among children of one age: the published table, and where it ends."""

import pytest

from boneage.core.errors import BoneAgeError
from boneage.estimate.standards import check_age, standard, z_score
from boneage.phantom.ossification import tempo_spread


def test_the_values_are_those_of_the_table():
    # Greulich and Pyle 1959: boys of 10 years 125.68 ± 9.79 months, girls of 5 years 66.21 ± 11.65.
    assert standard(10, "M") == pytest.approx((125.68 / 12, 9.79 / 12))
    assert standard(5, "F") == pytest.approx((66.21 / 12, 11.65 / 12))
    assert z_score(125.68 / 12 - 9.79 / 6, 10, "M") == pytest.approx(-2)
    assert standard(10.5, "M")[0] == pytest.approx((125.68 + 137.32) / 24)


@pytest.mark.parametrize("sex", ["F", "M"])
def test_the_spread_is_the_one_that_hands_are_drawn_with(sex):
    for age in (2, 4, 6, 8, 10, 12, 14):
        assert standard(age, sex)[1] == pytest.approx(tempo_spread(age, sex), abs=0.01)


@pytest.mark.parametrize(("age", "sex"), [(0.1, "F"), (16.5, "F"), (17.5, "M")])
def test_beyond_the_table_there_is_no_score(age, sex):
    assert z_score(10, age, sex) is None


@pytest.mark.parametrize("age", [-1.0, 130.0, float("nan")])
def test_what_is_no_age_in_years_is_refused(age):
    with pytest.raises(BoneAgeError, match="years, not months"):
        check_age(age)
