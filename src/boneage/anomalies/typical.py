"""Hands unlike the rest of their data set in shape, pose or skeleton.

The data set itself defines what is usual: principal components of all hands. What they cannot reconstruct is
unusual: a fist, a right hand, a plaster cast, an extra finger, abnormal bone growth.
"""

import cv2
import numpy as np
from scipy.stats import median_abs_deviation

from boneage.anomalies.anomaly import Anomaly, between
from boneage.anomalies.hand import Hand
from boneage.anomalies.outline import CELLS, edge_pattern

LEAST_HANDS = 100
"""Fewer hands than this do not show what is usual."""

_COMPONENTS = 60
_HANDS_PER_COMPONENT = 10
_PARTS = 5
# In standard deviations (from the median absolute deviation) above the set's median.
_UNUSUAL = (1.5, 8.0)


def hand_pattern(hand: Hand) -> np.ndarray:
    """Edges inside a hand's outline, turned upright, float32 (640,); zeros if no hand was found."""
    if not hand.found:
        return np.zeros(np.prod(CELLS), np.float32)
    # Metal and letters would outshine the bones.
    picture = hand.upright(np.clip(hand.normalised, -2.0, 4.0))
    mask = hand.upright(hand.mask.astype(np.float32))
    share = cv2.resize(mask, (CELLS[1], CELLS[0]), interpolation=cv2.INTER_AREA)
    return (edge_pattern(picture).reshape(CELLS) * share[..., None]).ravel()


def unusual_hands(patterns: np.ndarray) -> dict[int, Anomaly]:
    """Anomalies of hands unlike the others, by row.

    Each hand is compared with the other four fifths of the set, so that an odd one does not vouch for itself.

    Args:
        patterns: From :func:`hand_pattern`, (n, 640).

    Returns:
        Empty for fewer than :data:`LEAST_HANDS` hands.
    """
    rows = np.flatnonzero(patterns.any(axis=1))
    if len(rows) < LEAST_HANDS:
        return {}
    rest = _unexplained(patterns[rows])
    spread = median_abs_deviation(rest, scale="normal")
    if spread == 0.0:
        return {}
    found = {}
    for row, apart in zip(rows.tolist(), ((rest - np.median(rest)) / spread).tolist(), strict=True):
        if (score := between(apart, _UNUSUAL)) > 0.0:
            why = f"shape, pose or bones unlike the set's other hands, by {apart:.1f} standard deviations"
            found[row] = Anomaly("unusual hand", score, why)
    return found


def _unexplained(patterns: np.ndarray) -> np.ndarray:
    """Squared residual of each hand after projection on the principal components of the others."""
    # Imported here: it takes a second, and only the detectors need it.
    from sklearn.decomposition import PCA

    patterns = patterns.astype(float)
    part = np.arange(len(patterns)) % _PARTS
    rest = np.empty(len(patterns))
    for one in range(_PARTS):
        others, these = patterns[part != one], patterns[part == one]
        count = min(_COMPONENTS, len(others) // _HANDS_PER_COMPONENT)
        # Identical hands have no variance.
        with np.errstate(invalid="ignore"):
            usual = PCA(count, svd_solver="covariance_eigh").fit(others)
        rest[part == one] = ((these - usual.inverse_transform(usual.transform(these))) ** 2).sum(axis=1)
    return rest
