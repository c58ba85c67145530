"""How much an image is like the training cases, by what a network sees in it.

The Mahalanobis distance of its pooled features from those of the training cases, after Lee, Lee, Lee and
Shin, "A simple unified framework for detecting out-of-distribution samples and adversarial attacks", NeurIPS
2018, with a shrunken covariance (Ledoit and Wolf, Journal of Multivariate Analysis 2004; 88:365-411), as
there may be nearly as many features as cases. It is calibrated on cases that the network was not trained on.
The nearest neighbour by the features' direction (Sun et al., ICML 2022) was tried: a cat came out nearer than
most hands, because its fur excites every feature.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.linalg import solve_triangular
from scipy.spatial.distance import cdist
from sklearn.covariance import ledoit_wolf

USUAL, FAR = 1.0, 1.5
"""Up to the first an image is as near as 99 of 100 held-out cases; beyond the second it is refused."""


@dataclass(frozen=True, eq=False)
class Known:
    """What a network saw in the cases that it was trained on.

    Attributes:
        mean: Of each feature, (features,).
        scale: Its standard deviation, (features,).
        factor: Cholesky factor of the shrunken covariance of the standardised features, lower triangular.
        unit: The distance that one held-out case in a hundred exceeds.
    """

    mean: np.ndarray
    scale: np.ndarray
    factor: np.ndarray
    unit: float

    def standardised(self, features: np.ndarray) -> np.ndarray:
        """Features in standard deviations from their mean, (images, features)."""
        standardised: np.ndarray = (np.asarray(features, float) - self.mean) / self.scale
        return standardised

    def strangeness(self, features: np.ndarray) -> np.ndarray:
        """How far images are from the training cases, (images,); one held-out case in a hundred exceeds 1."""
        whitened = solve_triangular(self.factor, self.standardised(features).T, lower=True)
        distance: np.ndarray = np.linalg.norm(whitened, axis=0) / self.unit
        return distance


def known(features: np.ndarray, trained: np.ndarray) -> Known:
    """Fits what a network saw in its training cases, and the unit of distance on the others.

    Args:
        features: Of all cases, (cases, features).
        trained: bool, (cases,): whether it was trained on each; at least one is held out.
    """
    features = np.asarray(features, float)
    mean, scale = features[trained].mean(axis=0), features[trained].std(axis=0)
    # A feature that never fires has no spread, and must not count for infinitely much once it does.
    scale = np.maximum(scale, 1e-3 * max(float(scale.max()), 1e-6))
    covariance, _ = ledoit_wolf((features[trained] - mean) / scale, assume_centered=True)
    # A network that has died sees the same in every image, and then there is no covariance.
    factor = np.linalg.cholesky(covariance + 1e-6 * np.eye(len(covariance)))
    raw = Known(mean, scale, factor, 1.0)
    unit = float(np.quantile(raw.strangeness(features[~trained]), 0.99))
    return Known(mean, scale, factor, max(unit, 1e-6))


def strangeness(every: Sequence[Known], features: Sequence[np.ndarray]) -> np.ndarray:
    """How far images are from the training cases, mean over the networks, (images,).

    Args:
        every: What each network knows.
        features: What each sees in the images, for each (images, features).
    """
    of_each = [one.strangeness(seen) for one, seen in zip(every, features, strict=True)]
    mean: np.ndarray = np.mean(of_each, axis=0)
    return mean


def nearest_cases(
    every: Sequence[Known], features: Sequence[np.ndarray], of_cases: Sequence[np.ndarray], count: int = 3
) -> np.ndarray:
    """The cases whose standardised features are nearest to each image's, by all networks together.

    Args:
        every: What each network knows.
        features: What each sees in the images, for each (images, features).
        of_cases: What each sees in the cases, for each (cases, features).
        count: How many.

    Returns:
        (images, count), the nearest first.
    """
    apart = sum(
        cdist(one.standardised(seen), one.standardised(cases), "sqeuclidean") / seen.shape[1]
        for one, seen, cases in zip(every, features, of_cases, strict=True)
    )
    return np.argsort(apart, axis=1, kind="stable")[:, :count]


def in_words(strangeness: float) -> str:
    """A distance as a word."""
    if strangeness <= USUAL:
        return "like the training cases"
    return "unusual" if strangeness <= FAR else "unlike the training cases"
