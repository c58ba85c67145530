"""Intervals of an ensemble: those known for one network and for one fold a case, and what they cover."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from boneage.core.errors import BoneAgeError
from boneage.estimate.interval import ensemble_intervals, held_out_means
from boneage.evaluation.intervals import calibrate, intervals

YEARS = st.floats(0.5, 18.5)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(YEARS, YEARS), min_size=9, max_size=120), st.lists(YEARS, min_size=1, max_size=4))
def test_of_one_network_they_are_split_conformal(cases, votes):
    truth, said = np.array(cases).T
    low, high = ensemble_intervals(truth, said[np.newaxis], np.array([votes]))
    expected = intervals(calibrate(truth, said), np.array(votes))
    np.testing.assert_allclose((low, high), expected, atol=1e-9)


def test_of_one_fold_a_case_they_are_jackknife_plus():
    rng = np.random.default_rng(3)
    truth, said, votes = rng.uniform(9, 11, (3, 20))
    held_out = np.full((20, 20), np.nan)
    np.fill_diagonal(held_out, said)
    off = np.abs(said - truth)
    # Barber et al. 2021, equation 1.6: ranks floor(0.1 x 21) and ceil(0.9 x 21).
    expected = np.sort(votes - off)[1], np.sort(votes + off)[18]
    found = ensemble_intervals(truth, held_out, votes[:, np.newaxis])
    np.testing.assert_allclose([one[0] for one in found], expected)


def test_the_intervals_of_folds_hold_nine_in_ten_new_cases():
    rng = np.random.default_rng(7)

    def draw(count):
        seen = rng.uniform(2, 16, count)
        return seen, seen + rng.normal(0, 1, count)

    covered = []
    for _ in range(40):
        (seen, truth), (new, of_new) = draw(200), draw(200)
        folds = np.arange(200) % 5
        lines = [np.polyfit(seen[folds != fold], truth[folds != fold], 1) for fold in range(5)]
        said = np.array([np.polyval(line, seen) for line in lines])
        held_out = np.where(folds == np.arange(5)[:, np.newaxis], said, np.nan)
        low, high = ensemble_intervals(truth, held_out, np.array([np.polyval(line, new) for line in lines]))
        covered.append(np.mean((of_new >= low) & (of_new <= high)))
    assert 0.88 < np.mean(covered) < 0.94


def test_a_case_that_every_network_was_trained_on_does_not_count():
    truth, said = np.linspace(2, 16, 40), np.linspace(2.5, 15, 40)
    with_more = np.concatenate([said, [np.nan] * 5])[np.newaxis]
    votes = np.array([[9.0]])
    plain = ensemble_intervals(truth, said[np.newaxis], votes)
    assert ensemble_intervals(np.concatenate([truth, [0.0] * 5]), with_more, votes) == plain
    assert np.isnan(held_out_means(with_more)[-1])


def test_too_few_cases_are_said():
    with pytest.raises(BoneAgeError, match="too few"):
        ensemble_intervals(np.ones(5), np.ones((1, 5)), np.ones((1, 1)))
