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
        area, int32 (n, 5).
    """
    # OpenCV's default algorithm is half as fast on images with few shapes.
    _, labels, stats, _ = cv2.connectedComponentsWithStatsWithAlgorithm(
        drawn.astype(np.uint8), 8, cv2.CV_32S, cv2.CCL_GRANA
    )
    return labels, stats
