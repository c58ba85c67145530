"""Hands unlike the other hands of their set, in shape, pose or skeleton.

Nothing is said of what a hand should look like: the set says it. What most hands share, and the ways in
which they differ from one another, are learnt as principal components; what of a hand these cannot make up is
unusual: a fist, a right hand, a plaster cast, a finger too many, bones that grew differently.
"""

import cv2
import numpy as np
from scipy.stats import median_abs_deviation

from boneage.anomalies.anomaly import Anomaly, between
from boneage.anomalies.hand import Hand
from boneage.anomalies.outline import CELLS, edge_pattern

LEAST_HANDS = 100
"""Of fewer hands nothing can be learnt about what is usual."""

_COMPONENTS = 60
_HANDS_PER_COMPONENT = 10
_PARTS = 5
# In standard deviations (by the median absolute deviation) above the median of the set.
_UNUSUAL = (1.5, 8.0)


def hand_pattern(hand: Hand) -> np.ndarray:
    """The edges inside a hand's outline, turned upright, as (640,) float32; zeros where no hand was found."""
    if not hand.found:
        return np.zeros(CELLS[0] * CELLS[1] * CELLS[2], np.float32)
    # Metal and letters would outshine the bones.
    picture = hand.upright(np.clip(hand.normalised, -2.0, 4.0))
    share = cv2.resize(
        hand.upright(hand.mask.astype(np.float32)), (CELLS[1], CELLS[0]), interpolation=cv2.INTER_AREA
    )  # fmt: skip
    return (edge_pattern(picture).reshape(CELLS) * share[..., None]).ravel()


def unusual_hands(patterns: np.ndarray) -> dict[int, Anomaly]:
    """Anomalies of hands unlike the others.

    Each hand is compared with what the other four fifths of the set have in common, so that an odd one does
    not vouch for itself.

    Args:
        patterns: What :func:`hand_pattern` returned, (n, 640).

    Returns:
        Anomalies by row; none where the set has fewer than :data:`LEAST_HANDS` hands.
    """
    rows = np.flatnonzero(patterns.any(axis=1))
    if len(rows) < LEAST_HANDS:
        return {}
    rest = _unexplained(patterns[rows])
    spread = median_abs_deviation(rest, scale="normal")
    if spread == 0.0:
        return {}
    apart = (rest - np.median(rest)) / spread
    return {
        int(row): Anomaly("unusual hand", between(float(one), _UNUSUAL), _why(float(one)))
        for row, one in zip(rows, apart, strict=True)
        if between(float(one), _UNUSUAL) > 0.0
    }


def _why(apart: float) -> str:
    return f"shape, pose or bones unlike the set's other hands, by {apart:.1f} standard deviations"


def _unexplained(patterns: np.ndarray) -> np.ndarray:
    """For each hand the squared length of what the principal components of other hands leave of it."""
    # Here, and so in the other modules: it takes a second to import, which only the detectors need.
    from sklearn.decomposition import PCA

    patterns = patterns.astype(float)
    part = np.arange(len(patterns)) % _PARTS
    rest = np.empty(len(patterns))
    for one in range(_PARTS):
        others, these = patterns[part != one], patterns[part == one]
        count = min(_COMPONENTS, len(others) // _HANDS_PER_COMPONENT)
        # Hands that are all the same have no variance to share out.
        with np.errstate(invalid="ignore"):
            usual = PCA(count, svd_solver="covariance_eigh").fit(others)
        rest[part == one] = ((these - usual.inverse_transform(usual.transform(these))) ** 2).sum(axis=1)
    return rest
