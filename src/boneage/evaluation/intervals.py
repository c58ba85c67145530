"""How far a prediction may be off: split-conformal prediction intervals, calibrated on the validation cases.

The interval is the prediction plus and minus a half-width: so large that the errors of nine in ten validation
cases, counted with the correction for their number, lie within it. Whatever the network and however its
errors are distributed, such an interval holds a new case's bone age with a probability of at least 90 %, if
the new case and the validation cases are exchangeable. After Vovk, Gammerman and Shafer, "Algorithmic
Learning in a Random World", 2005, chapters 2 and 4, and Lei, G'Sell, Rinaldo, Tibshirani and Wasserman,
"Distribution-free predictive inference for regression", Journal of the American Statistical Association
2018; 113:1094-1111.

One half-width for all ages would be too wide where errors are small and too narrow where they are large. So
there is one for each band of predicted ages (Mondrian, in Vovk's word; groups in Romano, Barber, Sabatti and
Candès, "With malice toward none: assessing uncertainty via equalized coverage", Harvard Data Science Review
2020; 2(2)), and the 90 % hold within each band. Bands go by the prediction, as a new case has no other age.

What the guarantee stands on: validation and test cases are drawn by case from the same lot (by lot within
each year, sex and race, so that they are exchangeable there and as good as exchangeable in all), and training
chooses nothing by the validation cases (no early stopping, no best epoch), so to the finished network both
are equally new. What breaks it: images from another scanner, hospital or population; images turned or lit
as none of the validation cases; a network, an ensemble or a recipe that was picked because it did best on
these same validation cases (the more there were to pick from, the more so); several images of one case.
It is a promise over draws of the validation cases too: with few of them, the interval of one run may hold
somewhat more or fewer than 90 % (``LEAST_CASES``).

The libraries that do this (crepes, MAPIE) are not on Colab, and it is one rank in a sorted list.
"""

import math

import numpy as np
import pandas as pd
from scipy import stats

from boneage.core.columns import Column, Table, with_interval
from boneage.core.errors import BoneAgeError
from boneage.core.tables import OLDEST_YEARS

ALPHA = 0.1
"""The share of cases that may lie outside of their interval: the intervals are 90 % intervals."""

BAND_STARTS = (0.0, 3.0, 6.0, 9.0, 12.0, 15.0)
"""Where each band of predicted ages begins, in years; predictions beyond belong to the outermost bands."""

LEAST_CASES = 30
"""The fewest validation cases with which a band stands alone. What share of new cases a 90 % interval from n
cases truly holds is drawn from a beta distribution (Vovk, "Conditional validity of inductive conformal
predictors", Machine Learning 2013; 92:349-376); from 30 on it is at least 80 % in 95 of 100 draws."""

BANDS = Table(
    "Half-widths of the prediction intervals",
    [
        Column("Predictions from (years)", "Lowest predicted age of the band.", ".1f"),
        Column("Predictions below (years)", "Its upper bound.", ".1f"),
        Column("Bands joined", "How many bands of age share the half-width.", ".0f"),
        Column("Validation cases", "Number of validation cases it is calibrated on.", ",.0f"),
        Column("Level", "The nominal coverage.", ".2f"),
        Column("Half-width (years)", "Added to and subtracted from the prediction.", ".2f"),
    ],
    about="One row a band of predicted ages.",
)
COVERAGE = Table(
    "Prediction intervals on the test cases",
    [
        Column("Predictions", "Band of predicted ages.", heading="Predictions", unit="years"),
        Column(
            "Validation cases",
            "Number of validation cases that the interval is calibrated on.",
            ",.0f",
            "Validation",
            "cases",
        ),
        Column("Test cases", "Number of test cases.", ",.0f", "Test", "cases"),
        Column("Covered", "Number of test cases whose ground truth lies in their interval.", ",.0f"),
        with_interval(
            "Coverage",
            "Their share, with its exact 95 % interval (Clopper and Pearson, 1934).",
            ".2f",
            unit="share, 95 % interval",
        ),
        Column(
            "Mean width (years)",
            "From the lower to the upper end, mean of the test cases; narrower is better.",
            ".1f",
            "Width",
        ),
        Column("Level", "The nominal coverage.", ".2f", "Nominal", "share"),
    ],
    about="One row a band of predicted ages, and one of all ages.",
    note="Coverage: share of the test cases inside their interval, with the exact 95 % interval of that "
    "share (Clopper and Pearson, 1934). Width: mean over the test cases.",
)
ALL_PREDICTIONS = "all"

_COVERAGE_CONFIDENCE = 0.95
# An error of exactly the half-width lies within, whatever the last bit of the sum says.
_ROUNDING_YEARS = 1e-9


def calibrate(truth: np.ndarray, prediction: np.ndarray, alpha: float = ALPHA) -> pd.DataFrame:
    """The half-width of the intervals in each band of predicted ages.

    Of n errors in a band, the half-width is the one of rank ceil((n + 1)(1 - alpha)). A band of fewer than
    ``LEAST_CASES`` is joined with the smaller of its neighbours, the smallest band first; with fewer in all,
    all ages share one half-width. Bands are joined by their counts, never by the errors, so that the
    guarantee stays.

    Args:
        truth: Bone ages of the validation cases in years, (cases,). Never of the test cases, on which the
            coverage is shown, nor of training cases, whose errors are too small.
        prediction: Their predictions in years, (cases,).
        alpha: The share that may lie outside, above 0 and below 1.

    Returns:
        ``BANDS``, one row a band, numbers only; ``Level`` is 1 - alpha.

    Raises:
        BoneAgeError: The two differ in length, are empty, hold what is not a finite number, or are too few
            for a finite interval (at 90 %, fewer than 9); or alpha is out of range.
    """
    truth, prediction = _checked(truth, prediction, "validation")
    if not 0 < alpha < 1:
        raise BoneAgeError(f"intervals: alpha {alpha} must be above 0 and below 1, such as {ALPHA}")
    size, band_of = np.abs(prediction - truth), _band_of(prediction, BAND_STARTS)
    rows = []
    for group in _groups(np.bincount(band_of, minlength=len(BAND_STARTS))):
        last = group[-1] + 1
        below = BAND_STARTS[last] if last < len(BAND_STARTS) else OLDEST_YEARS
        of_group = size[np.isin(band_of, group)]
        half_width = _half_width(of_group, alpha)
        rows.append((BAND_STARTS[group[0]], below, len(group), len(of_group), 1 - alpha, half_width))
    return pd.DataFrame(rows, columns=list(BANDS))


def intervals(bands: pd.DataFrame, prediction: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The prediction interval of each prediction.

    Args:
        bands: What :func:`calibrate` returns, from validation cases of the same network.
        prediction: Predictions in years, (cases,).

    Returns:
        Lower and upper ends in years, (cases,) each. They are kept between 0 and ``OLDEST_YEARS``, where
        every bone age lies, which costs no coverage.

    Raises:
        BoneAgeError: A prediction is not a finite number.
    """
    prediction = np.asarray(prediction, float)
    if not np.isfinite(prediction).all():
        raise BoneAgeError(
            "intervals: a prediction is not a finite number; look at its image and its network"
        )
    half_width = bands["Half-width (years)"].to_numpy()[
        _band_of(prediction, bands["Predictions from (years)"].to_numpy())
    ]
    low, high = np.clip([prediction - half_width, prediction + half_width], 0.0, OLDEST_YEARS)
    return low, high


def coverage_table(bands: pd.DataFrame, truth: np.ndarray, prediction: np.ndarray) -> pd.DataFrame:
    """How many of the test cases lie within their interval, by band and in all.

    Args:
        bands: What :func:`calibrate` returns, from the validation cases.
        truth: Bone ages of the test cases in years, (cases,).
        prediction: Their predictions in years, (cases,).

    Returns:
        ``COVERAGE``, one row a band and a last one of all. ``Coverage low`` and ``high`` are the
        exact 95 % interval of the coverage (Clopper and Pearson, Biometrika 1934; 26:404-413): a level
        outside of it speaks against exchangeable cases, or for an unlucky draw of validation cases. A band
        without a test case has no coverage (NaN).

    Raises:
        BoneAgeError: The two differ in length, are empty or hold what is not a finite number.
    """
    truth, prediction = _checked(truth, prediction, "test")
    low, high = intervals(bands, prediction)
    covered = (truth >= low - _ROUNDING_YEARS) & (truth <= high + _ROUNDING_YEARS)
    band_of = _band_of(prediction, bands["Predictions from (years)"].to_numpy())
    parts = [
        (words, count, band_of == band)
        for band, (words, count) in enumerate(zip(_words(bands), bands["Validation cases"], strict=True))
    ]
    parts.append((ALL_PREDICTIONS, bands["Validation cases"].sum(), np.ones(len(truth), bool)))
    level = bands["Level"].iloc[0]
    rows = [
        (words, int(count), *_coverage(covered[part], (high - low)[part]), level)
        for words, count, part in parts
    ]
    return pd.DataFrame(rows, columns=list(COVERAGE))


def notices(bands: pd.DataFrame) -> list[str]:
    """Where validation cases were too few for a band of their own, in words."""
    columns = zip(_words(bands), bands["Bands joined"], bands["Validation cases"], strict=True)
    said = [
        f"predictions {words}: {joined} bands of age share one interval ({count} validation cases), as each "
        f"needs {LEAST_CASES}"
        for words, joined, count in columns
        if joined > 1
    ]
    if bands["Validation cases"].sum() < LEAST_CASES:
        said.append(
            f"fewer than {LEAST_CASES} validation cases: the intervals may hold far more or fewer than "
            f"{bands['Level'].iloc[0]:.0%} of new cases"
        )
    return said


def _checked(truth: np.ndarray, prediction: np.ndarray, split: str) -> tuple[np.ndarray, np.ndarray]:
    truth, prediction = np.asarray(truth, float), np.asarray(prediction, float)
    if truth.shape != prediction.shape or truth.ndim != 1:
        raise BoneAgeError(
            f"intervals: {truth.shape} {split} truths and {prediction.shape} predictions do not match"
        )
    if not len(truth):
        raise BoneAgeError(f"intervals: no {split} case; give the split a share when the labels are made")
    if not (np.isfinite(truth).all() and np.isfinite(prediction).all()):
        raise BoneAgeError(
            f"intervals: a {split} truth or prediction is not a finite number; train that run again"
        )
    return truth, prediction


def _band_of(prediction: np.ndarray, starts: np.ndarray | tuple[float, ...]) -> np.ndarray:
    return np.searchsorted(starts[1:], prediction, side="right")


def _groups(counts: np.ndarray) -> list[list[int]]:
    """Neighbouring bands joined until each group has ``LEAST_CASES``, or all are one."""
    groups = [[band] for band in range(len(counts))]
    while len(groups) > 1:
        cases = [int(counts[group].sum()) for group in groups]
        at = int(np.argmin(cases))
        if cases[at] >= LEAST_CASES:
            break
        beside = [place for place in (at - 1, at + 1) if 0 <= place < len(groups)]
        first = min(at, min(beside, key=lambda place: cases[place]))
        groups[first : first + 2] = [groups[first] + groups[first + 1]]
    return groups


def _half_width(size: np.ndarray, alpha: float) -> float:
    # Rounded, as 0.9 times a number of cases may come out a trifle above the whole number that it is.
    rank = math.ceil(round((len(size) + 1) * (1 - alpha), 9))
    if rank > len(size):
        raise BoneAgeError(
            f"intervals: {len(size)} validation cases allow no {1 - alpha:.3g} interval, "
            f"{math.ceil(round(1 / alpha, 9)) - 1} are needed; give validation a larger share"
        )
    return float(np.sort(size)[rank - 1])


def _coverage(covered: np.ndarray, width: np.ndarray) -> tuple[int, int, float, float, float, float]:
    count, inside = len(covered), int(covered.sum())
    if not count:
        return 0, 0, np.nan, np.nan, np.nan, np.nan
    exact = stats.binomtest(inside, count).proportion_ci(_COVERAGE_CONFIDENCE, method="exact")
    return count, inside, inside / count, float(exact.low), float(exact.high), float(width.mean())


def _words(bands: pd.DataFrame) -> list[str]:
    if len(bands) == 1:
        return ["of any age"]
    starts, ends = bands["Predictions from (years)"], bands["Predictions below (years)"]
    inner = [f"from {start:g} to {end:g}" for start, end in zip(starts[1:-1], ends[1:-1], strict=True)]
    return [f"below {ends.iloc[0]:g}", *inner, f"from {starts.iloc[-1]:g} on"]
