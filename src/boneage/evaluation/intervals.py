"""Split-conformal prediction intervals, calibrated on the validation cases.

The interval is the prediction plus and minus a half-width that covers 90 % of the validation errors, with the
finite-sample correction. For any network and error distribution it contains a new case's bone age with a
probability of at least 90 %, if the new case and the validation cases are exchangeable. After Vovk, Gammerman
and Shafer, "Algorithmic Learning in a Random World", 2005, chapters 2 and 4, and Lei, G'Sell, Rinaldo,
Tibshirani and Wasserman, "Distribution-free predictive inference for regression", Journal of the American
Statistical Association 2018; 113:1094-1111.

Each band of predicted ages has its own half-width (Mondrian conformal prediction, Vovk; Romano, Barber,
Sabatti and Candès, "With malice toward none: assessing uncertainty via equalized coverage", Harvard Data
Science Review 2020; 2(2)), as errors differ with age, and the 90 % hold within each band. Bands go by the
prediction, because a new case has no other age.

The guarantee rests on two things: validation and test cases are drawn at random by case (within each year,
sex and race), and training selects nothing by validation error (no early stopping, no best epoch). It fails
for images from another scanner, hospital or population; for images rotated or exposed unlike any validation
case; for a network, ensemble or recipe chosen by its error on these validation cases, which may then be
smaller than that of new cases (the more candidates, the worse; coverage on test cases stays honest); and for
several images of one case. It also holds on average over draws of the validation cases: with few of them, the
coverage of one run may differ from 90 % (``LEAST_CASES``).

The libraries for this (crepes, MAPIE) are not on Colab, and it takes one rank in a sorted list.
"""

import math

import numpy as np
import pandas as pd
from scipy import stats

from boneage.core.columns import Column, Table, with_interval
from boneage.core.errors import BoneAgeError
from boneage.core.tables import OLDEST_YEARS

ALPHA = 0.1
"""The share of cases that may lie outside their interval, for 90 % intervals."""

BAND_STARTS = (0.0, 3.0, 6.0, 9.0, 12.0, 15.0)
"""Lower bounds of the bands of predicted ages in years; predictions beyond go to the outermost bands."""

LEAST_CASES = 30
"""The fewest validation cases for a band of its own. The true coverage of a 90 % interval from n cases has
a beta distribution (Vovk, "Conditional validity of inductive conformal predictors", Machine Learning 2013;
92:349-376); from 30 cases on it is at least 80 % in 95 of 100 draws."""

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
    about="One row per band of predicted ages.",
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
    about="One row per band of predicted ages, and one of all ages.",
    note="Coverage: share of the test cases inside their interval, with the exact 95 % interval of that "
    "share (Clopper and Pearson, 1934). Width: mean over the test cases.",
)
ALL_PREDICTIONS = "all"

_COVERAGE_CONFIDENCE = 0.95
# Tolerance for rounding: an error equal to the half-width lies inside.
_ROUNDING_YEARS = 1e-9


def calibrate(truth: np.ndarray, prediction: np.ndarray, alpha: float = ALPHA) -> pd.DataFrame:
    """The half-width of the intervals in each band of predicted ages.

    Of n errors in a band, it is the one of rank ceil((n + 1)(1 - alpha)). A band of fewer than
    ``LEAST_CASES`` is joined with the smaller of its neighbours, the smallest band first; with fewer in
    total, all ages share one half-width. Bands are joined by counts, never by errors, which keeps the
    guarantee.

    Args:
        truth: Bone ages of the validation cases in years, (cases,); never of test or training cases.
        prediction: Their predictions in years, (cases,).
        alpha: The share that may lie outside, above 0 and below 1.

    Returns:
        ``BANDS``, one row per band; ``Level`` is 1 - alpha.

    Raises:
        BoneAgeError: The two differ in length, are empty, contain a value that is not finite, or are too few
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
        bands: From :func:`calibrate`, on validation cases of the same network.
        prediction: Predictions in years, (cases,).

    Returns:
        Lower and upper ends in years, (cases,) each, clipped to 0 to ``OLDEST_YEARS``, which costs no
        coverage.

    Raises:
        BoneAgeError: A prediction is not a finite number.
    """
    prediction = np.asarray(prediction, float)
    if not np.isfinite(prediction).all():
        raise BoneAgeError("intervals: a prediction is not a finite number; check its image and its network")
    half_width = bands["Half-width (years)"].to_numpy()[
        _band_of(prediction, bands["Predictions from (years)"].to_numpy())
    ]
    low, high = np.clip([prediction - half_width, prediction + half_width], 0.0, OLDEST_YEARS)
    return low, high


def coverage_table(bands: pd.DataFrame, truth: np.ndarray, prediction: np.ndarray) -> pd.DataFrame:
    """The share of test cases inside their interval, by band and overall.

    Args:
        bands: From :func:`calibrate`, on the validation cases.
        truth: Bone ages of the test cases in years, (cases,).
        prediction: Their predictions in years, (cases,).

    Returns:
        ``COVERAGE``, one row per band and a last one overall. ``Coverage low`` and ``high`` are the exact
        95 % interval (Clopper and Pearson, Biometrika 1934; 26:404-413): a nominal level outside it suggests
        cases that are not exchangeable, or an unlucky draw of validation cases. NaN for a band without test
        cases.

    Raises:
        BoneAgeError: The two differ in length, are empty or contain a value that is not finite.
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
    """Notices on bands with too few validation cases for a half-width of their own."""
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
            f"intervals: {truth.shape} {split} bone ages and {prediction.shape} predictions do not match"
        )
    if not len(truth):
        raise BoneAgeError(f"intervals: no {split} case; give that split a share and make the labels again")
    if not (np.isfinite(truth).all() and np.isfinite(prediction).all()):
        raise BoneAgeError(
            f"intervals: a {split} bone age or prediction is not a finite number; train that run again"
        )
    return truth, prediction


def _band_of(prediction: np.ndarray, starts: np.ndarray | tuple[float, ...]) -> np.ndarray:
    return np.searchsorted(starts[1:], prediction, side="right")


def _groups(counts: np.ndarray) -> list[list[int]]:
    """Joins neighbouring bands until each group has ``LEAST_CASES``, or one group is left."""
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
    # Rounded, because 0.9 times a count may come out slightly above a whole number.
    rank = math.ceil(round((len(size) + 1) * (1 - alpha), 9))
    if rank > len(size):
        raise BoneAgeError(
            f"intervals: {len(size)} validation cases are too few for a {1 - alpha:.3g} interval, "
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
