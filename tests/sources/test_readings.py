"""One or two readings of an image: which count, and what is said of them."""

import math

import pytest

from boneage.sources.readings import read_readings
from boneage.sources.units import Unit

YEARS, MONTHS, WEEKS = Unit("years", ""), Unit("months", ""), Unit("weeks", "")


@pytest.mark.parametrize(
    ("cells", "folder", "mean", "remark"),
    [
        (("7", "8"), 7, 7.5, ""),
        (("0", "7.5"), 7, 7.5, "counts as not read"),
        (("7.5", "0"), None, 7.5, "counts as not read"),
        (("0", "0"), 0, 0.0, ""),
        (("0", "0.5"), 0, 0.25, ""),
        (("0", "0"), None, 0.0, ""),
        (("7.5", "NA"), 7, 7.5, ""),
        (("-", "7.5"), 7, 7.5, ""),
        (("7.5", ""), 7, 7.5, ""),
        (("7", "9.5"), 8, 8.25, "differ by more than 2 years; their mean is used"),
        (("11.5",), 7, 11.5, "more than 3 years from the folder's year of age (7); used nevertheless"),
        (("10.9",), 7, 10.9, ""),
        (("1.5", "5"), 3, 3.25, "differ by more than 2 years; their mean is used"),
    ],
)
def test_what_counts_and_what_is_said(cells, folder, mean, remark):
    reading = read_readings(cells, YEARS, folder)
    assert reading.mean == pytest.approx(mean)
    assert not reading.fault
    assert remark in reading.remark
    assert bool(remark) == bool(reading.remark)


@pytest.mark.parametrize(
    ("cells", "unit", "folder", "fault"),
    [
        (("0", "0"), YEARS, 7, "counts as not read"),
        (("0",), MONTHS, 7, "counts as not read"),
        (("",), YEARS, 7, "no reading"),
        (("NA",), YEARS, 7, "not a number"),
        (("7", "-1"), YEARS, 7, "negative"),
        (("7", "84"), YEARS, 7, "above 20"),
        # One reader wrote years, the other months.
        (("11", "130"), MONTHS, 10, "would agree if one were in years; not used"),
        (("11", "130"), MONTHS, None, "would agree if one were in years; not used"),
        (("8", "0.7"), YEARS, 8, "would agree if one were in months; not used"),
        # A year typed into a table of months.
        (("12.5",), MONTHS, 12, "would fit in years; not used"),
        (("10", "530"), WEEKS, None, "would agree if one were in years; not used"),
        (("12.5",), WEEKS, 12, "would fit in years; not used"),
    ],
)
def test_what_cannot_be_used_has_its_reason(cells, unit, folder, fault):
    reading = read_readings(cells, unit, folder)
    assert fault in reading.fault
    assert math.isnan(reading.mean)


def test_a_child_far_ahead_of_its_age_keeps_its_reading_also_where_months_would_fit():
    reading = read_readings(("5.5", "5.75"), YEARS, 1)
    assert reading.fault == ""
    assert reading.mean == pytest.approx(5.625)
    assert "used nevertheless" in reading.remark
