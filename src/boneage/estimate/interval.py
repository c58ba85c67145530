"""Prediction intervals of an ensemble, from cases that some of its networks were not trained on.

For each case the networks that were not trained on it predict it; how far their mean is off is its residual.
The interval of a new image is made of what the same networks say of the new image, each plus and minus that
residual. For the folds of a cross-validation this is CV+, for one fold a case jackknife+ (Barber, Candès,
Ramdas and Tibshirani, "Predictive inference with the jackknife+", Annals of Statistics 2021; 49:486-507); for
several networks on one split, or any mixture, jackknife+-after-bootstrap (Kim, Xu and Barber, NeurIPS 2020);
for one network split-conformal prediction, as in :mod:`boneage.evaluation.intervals`.

As there, each band of predicted ages has residuals of its own. The interval of one network holds the bone age
of a new case like these with a probability of 90 %; that of several with at least 80 % by the theorem (1 - 2
alpha, without bands), and with about 90 % in practice.
"""

import math

import numpy as np

from boneage.core.tables import OLDEST_YEARS
from boneage.evaluation.intervals import ALPHA, calibrate


def held_out_means(held_out: np.ndarray) -> np.ndarray:
    """The mean prediction of each case by the networks that were not trained on it.

    Args:
        held_out: Years, (networks, cases); NaN where a network was trained on the case.

    Returns:
        Years, (cases,); NaN for a case that every network was trained on.
    """
    said = ~np.isnan(held_out)
    total = np.where(said, held_out, 0.0).sum(axis=0)
    return np.divide(total, said.sum(axis=0), out=np.full(held_out.shape[1], np.nan), where=said.any(axis=0))


def ensemble_intervals(
    truth: np.ndarray, held_out: np.ndarray, votes: np.ndarray, alpha: float = ALPHA
) -> tuple[np.ndarray, np.ndarray]:
    """The prediction interval of each image.

    Args:
        truth: Bone ages of the cases in years, (cases,).
        held_out: Their predictions by the networks not trained on them, as in :func:`held_out_means`.
        votes: What each network says of each image in years, (networks, images).
        alpha: The share that may lie outside.

    Returns:
        Lower and upper ends in years, (images,) each, within 0 to ``OLDEST_YEARS``.

    Raises:
        BoneAgeError: Too few cases for an interval (at 90 %, fewer than 9).
    """
    usable = ~np.isnan(held_out).all(axis=0)
    truth, held_out = truth[usable], held_out[:, usable]
    said = held_out_means(held_out)
    residual = np.abs(said - truth)
    starts = calibrate(truth, said, alpha)["Predictions from (years)"].to_numpy()[1:]
    band_of_case, band_of_image = (np.searchsorted(starts, of, side="right") for of in (said, votes.mean(0)))
    share = ~np.isnan(held_out) / (~np.isnan(held_out)).sum(axis=0)
    ends = []
    for vote, band in zip(votes.T, band_of_image, strict=True):
        like = band_of_case == band
        centre, off = vote @ share[:, like], residual[like]
        # Rounded, because 0.9 times a count may come out slightly above a whole number.
        rank = math.ceil(round((len(off) + 1) * (1 - alpha), 9))
        ends.append((np.sort(centre - off)[len(off) - rank], np.sort(centre + off)[rank - 1]))
    low, high = np.clip(np.array(ends).reshape(-1, 2).T, 0.0, OLDEST_YEARS)
    return low, high
