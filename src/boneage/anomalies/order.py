"""Percentiles of small sets."""

from typing import Any

import numpy as np


def percentiles(values: np.ndarray, *shares: float) -> list[Any]:
    """The same as ``np.percentile``, to the last digit and of the same type.

    For a few thousand values NumPy's checks take longer than the work.

    Args:
        values: uint8, float32 or float64, without NaN; at least one.
        shares: From 0 to 100.
    """
    number = np.float64 if values.dtype == np.uint8 else values.dtype.type
    places = [(values.size - 1) * (number(share) / number(100)) for share in shares]
    firsts = [int(place) for place in places]
    both = np.array([(first, min(first + 1, values.size - 1)) for first in firsts])
    if values.dtype == np.uint8:
        ranked = np.searchsorted(np.bincount(values.ravel()).cumsum(), both, side="right").astype(float)
    else:
        ranked = np.partition(values, np.unique(both), axis=None)[both]
    found = []
    for place, first, (low, high) in zip(places, firsts, ranked, strict=True):
        part, step = place - number(first), high - low
        found.append(high - step * (1 - part) if part >= 0.5 else low + step * part)
    return found
