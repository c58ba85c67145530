"""Operations on masks, bool or uint8 of 0 and 1."""

import functools

import cv2
import numpy as np


@functools.cache
def disc(radius: int) -> np.ndarray:
    """A round structuring element."""
    return cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))


def square(radius: int) -> np.ndarray:
    """A square structuring element."""
    return np.ones((2 * radius + 1, 2 * radius + 1), np.uint8)


def widened(mask: np.ndarray, by: np.ndarray) -> np.ndarray:
    """A mask dilated by a structuring element, bool."""
    return cv2.dilate(mask.astype(np.uint8), by) > 0


def narrowed(mask: np.ndarray, by: np.ndarray) -> np.ndarray:
    """A mask eroded by a structuring element, uint8; outside the picture counts as 0."""
    return cv2.erode(mask.astype(np.uint8), by, borderType=cv2.BORDER_CONSTANT, borderValue=0)


def resized(mask: np.ndarray, side: int) -> np.ndarray:
    """A mask at another size, uint8 (side, side)."""
    return cv2.resize(mask.astype(np.uint8), (side, side), interpolation=cv2.INTER_NEAREST)


def connected(drawn: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Connected shapes of a mask, with diagonal neighbours joined.

    Returns:
        Each pixel's shape number, int32 (height, width), 0 outside; and by number x, y, width, height and
        area, int32 (n, 5), 0 for what is outside.
    """
    # OpenCV's own statistics take twice as long as its labels, since they count the background, too.
    count, labels = cv2.connectedComponents(drawn.astype(np.uint8), connectivity=8)
    places = _places(drawn)
    own = labels.ravel()[places].astype(np.int64)
    stats = np.zeros((count, 5), np.int32)
    for column, along in enumerate(np.divmod(places, labels.shape[1])[::-1]):
        low, high = np.full(count, max(labels.shape)), np.zeros(count, np.int64)
        np.minimum.at(low, own, along)
        np.maximum.at(high, own, along)
        stats[1:, column], stats[1:, column + 2] = low[1:], (high - low)[1:] + 1
    stats[:, 4] = np.bincount(own, minlength=count)
    return labels, stats


def _places(drawn: np.ndarray) -> np.ndarray:
    """Where a mask is not 0, int64, counted row by row: eight pixels at a time, as most are 0."""
    flat = np.append(drawn, np.zeros(-drawn.size % 8, drawn.dtype))
    eights = np.flatnonzero(flat.view(np.uint64) != 0)
    near = (8 * eights[:, np.newaxis] + np.arange(8)).ravel()
    return near[flat[near] != 0]
