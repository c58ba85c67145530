"""The distance from the training cases: 1 for one in a hundred like them, far for anything else."""

import numpy as np

from boneage.estimate.likeness import FAR, USUAL, in_words, known, nearest_cases, strangeness


def features(rng, count, mixing):
    return rng.normal(size=(count, 20)) @ mixing + 5


def test_others_like_the_cases_are_near_and_what_breaks_their_pattern_is_far():
    rng = np.random.default_rng(1)
    mixing = rng.normal(size=(20, 20))
    mixing[:, 10:] = 0.02 * rng.normal(size=(20, 10))
    of_cases, trained = features(rng, 800, mixing), np.arange(800) % 4 > 0
    one = known(of_cases, trained)
    assert np.mean(one.strangeness(features(rng, 2000, mixing)) > USUAL) < 0.03
    # Each feature within its own range, but not as they occur together.
    shuffled = rng.permuted(features(rng, 300, mixing), axis=0)
    assert np.median(one.strangeness(shuffled)) > one.strangeness(of_cases).mean()
    assert (strangeness([one, one], [of_cases[:5] + 10, of_cases[:5] + 10]) > FAR).all()


def test_a_feature_that_never_fires_does_no_harm():
    rng = np.random.default_rng(2)
    of_cases = np.hstack([rng.normal(size=(60, 3)), np.zeros((60, 1))])
    one = known(of_cases, np.arange(60) < 40)
    assert np.isfinite(one.strangeness(of_cases)).all()
    dead = known(np.zeros((60, 4)), np.arange(60) < 40)
    assert (dead.strangeness(np.zeros((2, 4))) == 0).all()


def test_the_nearest_case_to_a_case_is_itself():
    rng = np.random.default_rng(3)
    of_cases, trained = rng.normal(size=(30, 8)), np.arange(30) < 20
    one = known(of_cases, trained)
    found = nearest_cases([one], [of_cases[4:7]], [of_cases])
    assert found.shape == (3, 3)
    assert found[:, 0].tolist() == [4, 5, 6]


def test_a_distance_has_a_word():
    words = [in_words(one) for one in (0.5, USUAL, 1.2, FAR, 9.0)]
    assert words == [*["like the training cases"] * 2, *["unusual"] * 2, "unlike the training cases"]
