"""Which values of an image become black and white."""

import cv2
import numpy as np

ROBUST_RANGE = (0.001, 0.999)
"""Shares of a 16-bit photo's pixels that become black and white; a few hot or dead pixels fall outside."""


def to_uint8(photo: np.ndarray) -> np.ndarray:
    """A photo at 8 bits; 16 bits are used to their full depth.

    A detector writes 10 to 14 bits into 16, so that the high byte alone would come out nearly black and in
    bands. The range between the 0.1 and 99.9 percentiles is mapped to 0 to 255 instead.

    Args:
        photo: uint8 or uint16, of shape (height, width).

    Returns:
        uint8 of the same shape; a uint8 photo as it is.
    """
    if photo.dtype == np.uint8:
        return photo
    counts = cv2.calcHist([photo], [0], None, [65536], [0, 65536]).ravel()
    share = np.cumsum(counts, dtype=np.float64) / photo.size
    low, high = np.searchsorted(share, ROBUST_RANGE)
    if low == high:
        low, high = int(photo.min()), int(photo.max())
    if low == high:
        return (photo >> 8).astype(np.uint8)
    steps = (np.arange(65536) - low) / (high - low)
    return np.rint(255 * np.clip(steps, 0, 1)).astype(np.uint8)[photo]
