"""Months or years: what decides, and when nobody can tell."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from boneage.core.errors import BoneAgeError
from boneage.sources.units import Unit, find_unit, number_of, unit_in_words, years_of

WHOLE = list(range(1, 19))


@pytest.mark.parametrize(
    ("column", "unit"),
    [
        ("Bone Age (months)", "months"),
        ("boneage_mo", "months"),
        ("BoneAgeMonths", "months"),
        ("boneagemonths", "months"),
        ("Knochenalter [Monate]", "months"),
        ("âge osseux (mois)", "months"),
        ("edad ósea (meses)", "months"),
        ("骨龄（月）", "months"),
        ("Bone Age, yrs", "years"),
        ("bone_age_years", "years"),
        ("Knochenalter in Jahren", "years"),
        ("bone age (y)", "years"),
        ("Bone Age (weeks)", "weeks"),
        ("boneageweeks", "weeks"),
        ("Knochenalter [Wochen]", "weeks"),
        ("edad ósea (semanas)", "weeks"),
        ("bone_age_days", "days"),
        ("âge osseux (jours)", "days"),
        ("骨龄（天）", "days"),
        ("Tanner stage", ""),
        ("image tag", ""),
        ("boneage", ""),
        ("reading 1", ""),
        ("months or years", ""),
    ],
)
def test_the_unit_that_a_header_states(column, unit):
    assert unit_in_words(column) == unit


@pytest.mark.parametrize(
    ("values", "column", "folder", "unit"),
    [
        # The range: no age in years is above 20; a stray typing error decides nothing.
        ([120, 57, 12, 180], "boneage", [], "months"),
        # Fractions, and infants only.
        ([10.5, 7.25, 3, 12.75], "boneage", [], "years"),
        ([0.25, 0.5, 1.2, 1], "boneage", [], "years"),
        # The header's words.
        (WHOLE, "bone age (months)", [], "months"),
        (WHOLE, "bone age (years)", [], "years"),
        ([230, 520, 61], "bone age (weeks)", [], "weeks"),
        ([230, 520, 61], "bone age (weeks)", [4, 9, 1], "weeks"),
        ([8, 20, 3], "bone age (weeks)", [0, 0, 0], "weeks"),
        ([3650, 4000, 2900], "bone age (days)", [], "days"),
        ([120, 200, 90], "bone age (days)", [], "days"),
        ([120, 200, 9], "bone age (days)", [0, 0, 0], "days"),
        # The folders: infants in months, infants in years, whole years.
        ([3, 6, 9, 14], "boneage", [0, 0, 1, 1], "months"),
        ([0.25, 0.5, 1.2, 1], "bone_age", [0, 0, 1, 1], "years"),
        ([7, 8, 12], "bone_age", [7, 8, 12], "years"),
        ([7, 8, 12, 125], "bone_age", [7, 8, 12, 12], "years"),
        ([84, 96, 150], "bone_age", [7, 8, 12], "months"),
        ([0, 0, 9], "bone_age", [0, 0, 0], "months"),
    ],
)
def test_the_unit_is_found_from_what_is_known(values, column, folder, unit):
    found = find_unit("t.csv", values, [column], list(zip(values, folder, strict=False)))
    assert found.name == unit
    assert found.why


@pytest.mark.parametrize(
    ("values", "column", "folder", "words"),
    [
        (WHOLE, "boneage", [], "could be months as well as years"),
        ([3, 7, 14], "boneage", [], "1|3 to 14"),
        ([84, 96, 150], "bone age (years)", [], "its header says years, but 3 of 3 values are above 20"),
        ([0.25, 0.5, 1.2], "bone age (months)", [], "its header says months, but none of 3"),
        (
            [7, 8, 12],
            "bone age (months)",
            [7, 8, 12],
            "its header says months, but .* agree with the folders",
        ),
        ([84, 8, 9], "bone age (years)", [], "its header says years"),
        ([12.5, 7.25, 3, 10], "bone age (weeks)", [], "its header says weeks, but none of 4"),
        ([120, 96, 150], "bone age (weeks)", [10, 8, 12], "its header says weeks, but in months, they agree"),
        ([10, 8, 12], "bone age (days)", [10, 8, 12], "its header says days, but in years, they agree"),
    ],
)
def test_where_both_units_fit_or_contradict_it_stops_and_names_the_option(values, column, folder, words):
    pairs = list(zip(values, folder, strict=False))
    with pytest.raises(BoneAgeError, match=words) as caught:
        find_unit("t.csv", values, [column], pairs)
    assert "t.csv" in str(caught.value)
    assert "--unit months or --unit years" in str(caught.value)
    for unit in ("months", "years"):
        assert find_unit("t.csv", values, [column], pairs, given=unit).name == unit


def test_a_column_of_both_units_is_noticed():
    with pytest.raises(BoneAgeError, match=r"t\.csv: its bone ages seem to mix both units: .* --unit"):
        find_unit("t.csv", [126, 10.5, 96, 8.25, 150, 12.5], ["boneage"])
    # Infants of a table in months whose readings are means of two.
    assert find_unit("t.csv", [126, 10.5, 96.5, 8.5, 150.25, 22.5], ["boneage"]).name == "months"


def test_a_header_of_both_units_is_noticed():
    with pytest.raises(BoneAgeError, match="its header says both"):
        find_unit("t.csv", [126, 10.5], ["reading 1 (months)", "reading 2 (years)"])


def test_days_are_neither():
    with pytest.raises(BoneAgeError, match="neither months nor years"):
        find_unit("t.csv", [3650, 4000, 2900], ["boneage"])


def test_more_weeks_than_a_child_can_have_are_none():
    with pytest.raises(BoneAgeError, match=r"t\.csv: .* not weeks as its header says .* above 1044.*write"):
        find_unit("t.csv", [3650, 4000, 2900], ["bone age (weeks)"])


@given(st.lists(st.integers(1, 18), min_size=3, max_size=40), st.integers(0, 2**32 - 1))
def test_a_table_that_agrees_with_its_folders_is_known_in_either_unit(folders, seed):
    ages = np.array(folders) + np.random.default_rng(seed).uniform(0.1, 0.9, len(folders))
    for unit, per_year in (("years", 1), ("months", 12)):
        values = np.round(ages * per_year, 2)
        assert find_unit("t.csv", values, ["bone_age"], list(zip(values, folders, strict=True))).name == unit


@pytest.mark.parametrize(
    ("cell", "years"),
    [
        ("90", 7.5),
        ("90.0", 7.5),
        ("90,0", 7.5),
        ("7 years", 7.0),
        ("7,5 J", float("nan")),
        ("7,5 Jahre", 7.5),
        ("90 mo", 7.5),
        ("7y 6m", 7.5),
        ("7 yrs, 6 months", 7.5),
        ("365.25 days", 1.0),
        ("12 weeks", 84 / 365.25),
        ("about 10", float("nan")),
        ("1_0", float("nan")),
        ("nan", float("nan")),
    ],
)
def test_a_cell_that_states_its_unit_counts_before_the_column(cell, years):
    assert years_of(cell, Unit("months", "")) == pytest.approx(years, nan_ok=True)


def test_a_number_has_digits():
    assert np.isnan(number_of("٣"))
    assert np.isnan(number_of(""))


def test_codes_for_unknown_are_of_no_unit():
    years = [7.5, 8.25, 12.5, 3.75]
    assert find_unit("t.csv", [*years, 999, 9999], ["boneage"]).name == "years"
    assert find_unit("t.csv", [*years, 999, 9999], ["bone age (years)"]).name == "years"
    assert find_unit("t.csv", [90, 999, 150], ["boneage"]).name == "months"


def test_years_and_months_with_a_point_between_are_not_taken_for_decimals():
    ages = [12.06, 7.11, 9.10, 8.03, 8.00, 15.09, 6.01, 4.05, 11.08, 10.02]
    with pytest.raises(BoneAgeError, match=r"t\.csv: its bone ages seem to be years\.months .*12\.06"):
        find_unit("t.csv", ages, ["bone age (years)"])
    assert find_unit("t.csv", [*ages, 7.5], ["boneage"]).name == "years"
    assert find_unit("t.csv", [age / 200 for age in ages], ["boneage"]).name == "years"
