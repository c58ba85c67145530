"""Intervals hold what they promise: on exchangeable cases at least the level, in every band."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from boneage.core.errors import BoneAgeError
from boneage.core.tables import OLDEST_YEARS, read_table, write_table
from boneage.evaluation.intervals import (
    BAND_STARTS,
    BANDS,
    COVERAGE,
    LEAST_CASES,
    calibrate,
    coverage_table,
    intervals,
    notices,
)

ERRORS = st.floats(-6, 6)


def drawn(rng, count):
    """Cases whose errors are larger, and lopsided, in the young: truths and predictions in years."""
    prediction = rng.uniform(0.5, 18.5, count)
    error = np.where(prediction < 6, rng.exponential(2.0, count) - 0.5, rng.standard_t(3, count) * 0.4)
    return np.clip(prediction - error, 0, OLDEST_YEARS), prediction


def of_one_band(errors):
    prediction = np.full(len(errors), 10.0)
    return prediction - np.array(errors), prediction


@settings(deadline=None, max_examples=40)
@given(st.lists(ERRORS, min_size=20, max_size=40), st.floats(0.06, 0.95))
def test_each_case_left_out_in_turn_is_covered_often_enough(errors, alpha):
    # Exchangeability itself: any of these cases may be the new one. No luck is involved.
    truth, prediction = of_one_band(errors)
    size = np.abs(prediction - truth)
    covered = 0
    for left_out in range(len(errors)):
        rest = np.arange(len(errors)) != left_out
        covered += size[left_out] <= calibrate(truth[rest], prediction[rest], alpha)["Half-width (years)"][0]
    assert covered >= (1 - alpha) * len(errors) - 1e-9


@pytest.mark.parametrize(("cases", "alpha"), [(60, 0.1), (150, 0.3), (500, 0.1)])
def test_new_cases_are_covered_at_the_level_in_all_and_in_each_band(cases, alpha):
    rng = np.random.default_rng(cases)
    draws, of_band = 1000, np.zeros((len(BAND_STARTS), 2), int)
    for _ in range(draws):
        # One new case for each calibration: the draws are independent, so their sum is binomial.
        bands = calibrate(*drawn(rng, cases), alpha)
        truth, prediction = drawn(rng, 1)
        low, high = intervals(bands, prediction)
        covered = low[0] <= truth[0] <= high[0]
        of_band[np.searchsorted(BAND_STARTS, prediction[0], side="right") - 1] += (covered, 1)
    # A right calibration fails here once in ten thousand seeds.
    assert stats.binom.cdf(of_band[:, 0].sum(), draws, 1 - alpha) > 1e-4
    if cases == 500:
        # Each band stands alone then; one half-width for all ages would fail in the first.
        for covered, new in of_band:
            assert stats.binom.cdf(covered, new, 1 - alpha) > 1e-4


@settings(deadline=None)
@given(st.lists(ERRORS, min_size=30, max_size=80), st.floats(0.05, 0.9), st.floats(0.05, 0.9))
def test_a_higher_level_is_never_a_narrower_interval(errors, one, other):
    truth, prediction = of_one_band(errors)
    strict, lax = (calibrate(truth, prediction, alpha) for alpha in sorted((one, other)))
    assert (strict["Half-width (years)"] >= lax["Half-width (years)"]).all()


@pytest.mark.parametrize(
    ("cases", "rank"), [(9, 9), (10, 10), (19, 18), (20, 19), (39, 36), (69, 63), (100, 91)]
)
def test_the_half_width_is_the_error_of_rank_nine_tenths_of_one_more(cases, rank):
    errors = np.arange(1, cases + 1) / 100
    found = calibrate(*of_one_band(errors), 0.1)["Half-width (years)"].tolist()
    assert found == pytest.approx([errors[rank - 1]])


@settings(deadline=None)
@given(st.lists(st.floats(-2, 22), min_size=9, max_size=250))
def test_bands_tell_all_cases_and_stand_alone_only_with_enough(predictions):
    prediction = np.array(predictions)
    bands = calibrate(np.clip(prediction, 0, 20), prediction)
    assert list(bands) == list(BANDS)
    assert bands["Validation cases"].sum() == len(prediction)
    assert bands["Bands joined"].sum() == len(BAND_STARTS)
    assert bands["Predictions from (years)"].iloc[0] == 0
    assert bands["Predictions below (years)"].iloc[-1] == OLDEST_YEARS
    assert (
        bands["Predictions from (years)"][1:].values == bands["Predictions below (years)"][:-1].values
    ).all()
    assert len(bands) == 1 or (bands["Validation cases"] >= LEAST_CASES).all()
    assert len(notices(bands)) == (bands["Bands joined"] > 1).sum() + (len(prediction) < LEAST_CASES)


def bands_of(counts):
    prediction = np.repeat(np.array(BAND_STARTS) + 1, counts)
    return calibrate(prediction, prediction)


def test_a_band_with_too_few_cases_joins_its_smaller_neighbour_and_it_is_said():
    bands = bands_of([2, 10, 40, 50, 35, 20])
    assert bands["Predictions from (years)"].tolist() == [0, 9, 12]
    assert bands["Validation cases"].tolist() == [52, 50, 55]
    assert bands["Bands joined"].tolist() == [3, 1, 2]
    assert notices(bands) == [
        "predictions below 9: 3 bands of age share one interval (52 validation cases), as each needs 30",
        "predictions from 12 on: 2 bands of age share one interval (55 validation cases), as each needs 30",
    ]
    assert notices(bands_of([30] * 6)) == []
    assert [len(bands_of(counts)) for counts in ([29, 0, 0, 0, 0, 0], [29, 30, 30, 30, 30, 30])] == [1, 5]
    assert "share one interval" in notices(bands_of([0, 0, 5, 5, 0, 0]))[0]
    assert "fewer than 30 validation cases" in notices(bands_of([0, 0, 5, 5, 0, 0]))[1]


def test_an_interval_has_its_bands_half_width_within_a_life():
    prediction = np.repeat(np.array(BAND_STARTS) + 1, LEAST_CASES)
    bands = calibrate(prediction + np.repeat([0.5, 1, 2, 3, 2, 4], LEAST_CASES), prediction)
    low, high = intervals(bands, np.array([-1.0, 0.2, 2.999, 3.0, 10.0, 19.0, 30.0]))
    assert low.tolist() == pytest.approx([0, 0, 2.499, 2, 7, 15, 20])
    assert high.tolist() == pytest.approx([0, 0.7, 3.499, 4, 13, 20, 20])
    assert [ends.shape for ends in intervals(bands, np.array([]))] == [(0,), (0,)]


def test_coverage_is_told_by_band_and_in_all_with_its_exact_interval():
    bands = bands_of([30, 0, 0, 0, 0, 100]).assign(**{"Half-width (years)": [1.0, 2.0]})
    start = bands["Predictions from (years)"].iloc[1]
    truth, prediction = np.array([start + 3.0] * 10), start + np.array([2.0] * 7 + [6.0] * 3)
    table = coverage_table(bands, truth, prediction).set_index("Predictions")
    assert ["Predictions", *table.columns] == list(COVERAGE)
    last = table.loc[f"from {start:g} on"]
    assert (last["Validation cases"], last["Test cases"], last["Covered"], last["Coverage"]) == (
        100,
        10,
        7,
        0.7,
    )
    # Clopper and Pearson for 7 of 10, as in tables.
    assert last[["Coverage low", "Coverage high"]].tolist() == pytest.approx([0.3475, 0.9333], abs=1e-4)
    empty = table.loc[f"below {start:g}"]
    assert empty["Test cases"] == 0
    assert empty[["Coverage", "Coverage low", "Coverage high", "Mean width (years)"]].isna().all()
    assert table.loc["all", ["Validation cases", "Test cases", "Covered"]].tolist() == [130, 10, 7]
    widths = np.minimum(prediction + 2, OLDEST_YEARS) - (prediction - 2)
    assert table.loc["all", "Mean width (years)"] == pytest.approx(widths.mean())
    assert (table["Level"] == 0.9).all()


def test_bands_outlive_a_csv(tmp_path):
    bands = calibrate(*drawn(np.random.default_rng(5), 200))
    path = write_table(tmp_path / "intervals.csv", bands)
    read = read_table(path, BANDS).apply(pd.to_numeric)
    prediction = np.linspace(0, 19, 40)
    assert np.allclose(intervals(read, prediction), intervals(bands, prediction))


@pytest.mark.parametrize(
    ("truth", "prediction", "words"),
    [
        ([], [], "no validation case"),
        ([1.0] * 9, [1.0] * 8, "do not match"),
        ([[1.0] * 9], [[1.0] * 9], "do not match"),
        ([1.0] * 9, [1.0] * 8 + [np.nan], "not a finite number"),
        ([1.0] * 8 + [np.inf], [1.0] * 9, "not a finite number"),
        ([1.0] * 8, [1.0] * 8, "8 validation cases are too few for a 0.9 interval, 9 are needed"),
    ],
)
def test_cases_that_calibrate_nothing_are_refused(truth, prediction, words):
    with pytest.raises(BoneAgeError, match=words):
        calibrate(np.array(truth), np.array(prediction))


def test_faulty_levels_and_test_cases_are_refused():
    bands = calibrate(*of_one_band([0.5] * 40))
    for alpha in (0, 1, -0.1, np.nan):
        with pytest.raises(BoneAgeError, match="alpha"):
            calibrate(*of_one_band([0.5] * 40), alpha)
    with pytest.raises(BoneAgeError, match="no test case"):
        coverage_table(bands, np.array([]), np.array([]))
    with pytest.raises(BoneAgeError, match="finite"):
        intervals(bands, np.array([np.nan]))
