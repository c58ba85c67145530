"""Bootstrap intervals and p-values over cases, and Holm correction."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy import stats

BOOTSTRAP_RESAMPLES = 2000

PAIRED_RESAMPLES = 10_000
"""Enough for the smallest p, 2 / 10,001, to stay below 0.05 after Holm correction for 36 pairs."""

# Resamples at a time: few, to limit memory on a source of many thousand cases.
_BATCH = 100


def mae_interval(error: np.ndarray, seed: int = 0) -> tuple[float, float]:
    """95 % percentile bootstrap interval of an MAE over cases.

    After Efron and Tibshirani, "An Introduction to the Bootstrap", 1993, chapter 13. It covers the choice of
    test cases, not the training seed.

    Args:
        error: Prediction minus ground truth in years, (cases,).
        seed: Seeds the resampling.

    Returns:
        Lower and upper end in years; NaN for fewer than two cases.
    """
    return mixed_mae_interval([error], [1.0], seed)


def mixed_mae_interval(
    errors: Sequence[np.ndarray], shares: Sequence[float], seed: int = 0
) -> tuple[float, float]:
    """The interval of :func:`mae_interval` for cases of several kinds, each drawn by itself.

    Args:
        errors: For each kind prediction minus ground truth in years, (cases,).
        shares: How much each kind counts in the MAE.
        seed: Seeds the resampling.
    """
    sizes = [np.abs(np.asarray(error, float)) for error in errors]
    if min(map(len, sizes)) < 2:
        return np.nan, np.nan

    def mae(*drawn: np.ndarray, axis: int) -> np.ndarray:
        mean: np.ndarray = np.tensordot(shares, [of_kind.mean(axis=axis) for of_kind in drawn], axes=1)
        return mean

    interval = stats.bootstrap(
        sizes,
        mae,
        vectorized=True,
        method="percentile",
        n_resamples=BOOTSTRAP_RESAMPLES,
        batch=_BATCH,
        rng=np.random.default_rng(seed),
    ).confidence_interval
    return float(interval.low), float(interval.high)


def mean_differences(differences: np.ndarray, seed: int = 0) -> pd.DataFrame:
    """Means of paired differences with 95 % intervals and p-values, by the bootstrap over cases.

    The percentile interval is after Efron and Tibshirani, "An Introduction to the Bootstrap", 1993, chapter
    13. p is two-sided: twice the smaller share of resamples at or beyond zero, with one added to both counts
    so that it is never zero (Davison and Hinkley, "Bootstrap Methods and their Application", 1997, chapter
    4). All rows are resampled with the same cases.

    Args:
        differences: For each pair and case the absolute error of one minus that of the other, in years,
            (pairs, cases).
        seed: Seeds the resampling.

    Returns:
        ``difference``, ``low``, ``high`` in years and ``p``, one row per pair; all but the first are NaN for
        fewer than two cases.
    """
    differences = np.asarray(differences, float)
    mean = differences.mean(axis=1)
    if differences.shape[1] < 2:
        return pd.DataFrame({"difference": mean, "low": np.nan, "high": np.nan, "p": np.nan})
    drawn = stats.bootstrap(
        (differences,),
        np.mean,
        axis=-1,
        method="percentile",
        n_resamples=PAIRED_RESAMPLES,
        batch=_BATCH,
        rng=np.random.default_rng(seed),
    )
    return _differences(mean, drawn.bootstrap_distribution)


def training_differences(
    errors: Sequence[np.ndarray], pairs: Sequence[tuple[int, int]], seed: int = 0
) -> pd.DataFrame:
    """Differences in MAE between networks that were trained once or several times.

    The bootstrap draws cases, the same for all, and for each network trainings out of those that it has. A
    few trainings make for intervals that are somewhat too narrow: of three, the bootstrap sees two thirds of
    the variance. One training says nothing about another.

    Args:
        errors: For each network its absolute errors in years, (trainings, cases).
        pairs: Which networks to compare, the first minus the second.
        seed: Seeds the resampling.

    Returns:
        As :func:`mean_differences`, one row per pair.
    """
    cases = errors[0].shape[1]
    of_cases, of_trainings = np.random.default_rng(seed), np.random.default_rng([seed, 1])
    means: list[list[np.ndarray]] = [[] for _ in errors]
    for _ in range(0, PAIRED_RESAMPLES, _BATCH):
        drawn = of_cases.integers(0, cases, (_BATCH, cases))
        for network, size in enumerate(errors):
            trainings = of_trainings.integers(0, len(size), (_BATCH, len(size)))
            of_each = np.take_along_axis(size[:, drawn].mean(axis=-1).T, trainings, axis=1)
            means[network].append(of_each.mean(axis=1))
    mae, resampled = (
        np.array([size.mean() for size in errors]),
        np.array([np.concatenate(one) for one in means]),
    )
    one, other = np.array(pairs).T
    return _differences(mae[one] - mae[other], resampled[one] - resampled[other])


def _differences(mean: np.ndarray, resampled: np.ndarray) -> pd.DataFrame:
    low, high = np.percentile(resampled, [2.5, 97.5], axis=-1)
    beyond = np.minimum((resampled <= 0).sum(axis=-1), (resampled >= 0).sum(axis=-1))
    p = np.minimum(1.0, 2 * (1 + beyond) / (1 + PAIRED_RESAMPLES))
    return pd.DataFrame({"difference": mean, "low": low, "high": high, "p": p})


def holm(p: np.ndarray) -> np.ndarray:
    """p-values after Holm correction for multiple tests.

    After Holm, "A simple sequentially rejective multiple test procedure", Scandinavian Journal of
    Statistics 1979; 6:65-70.

    Args:
        p: p-values from 0 to 1, (tests,).

    Returns:
        The corrected p-values, in the same order.
    """
    p = np.asarray(p, float)
    order = np.argsort(p)
    corrected = np.empty_like(p)
    corrected[order] = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    capped: np.ndarray = np.minimum(corrected, 1.0)
    return capped
