"""Which values of an image become black and white.

A detector writes 10 to 14 bits into 16; burnt-in text or the blank border may take a value of its own at
either end of the 16 bits; and a few pixels are hot or dead. None of these may set the range, or the hand
would get a dozen of the 256 grey levels.
"""

import cv2
import numpy as np

ROBUST_RANGE = (0.001, 0.999)
"""Quantiles that become black and white; a few hot or dead pixels fall outside."""

# The range is found on about this many evenly spaced pixels.
_SAMPLE = 2**20
# Values within this share of the range from its end may be a mark or padding. They are if the other values,
# soft edges excluded, end at least this share of their own range away ...
_BAND = 1 / 32
_GAP = 0.5
# ... and make up at least this share of the pixels.
_LEAST_LEFT = 0.02
_EDGE_PIXELS = 6


def to_uint8(image: np.ndarray, shown: np.ndarray | None = None) -> np.ndarray:
    """An image at 8 bits, with the range of :func:`grey_range` mapped to 0 to 255.

    The high byte alone would come out nearly black, since detectors write 10 to 14 bits into 16.

    Args:
        image: Numbers, (height, width).
        shown: Mask of the pixels to show, bool (height, width); by default all.

    Returns:
        uint8 of the same shape: a uint8 image unchanged, otherwise black where not shown.
    """
    if image.dtype == np.uint8:
        return image
    low, high = grey_range(image, shown)
    if low == high:
        grey = np.full(image.shape, int(np.clip(low, 0, 65535)) >> 8, np.uint8)
    elif image.dtype == np.uint16:
        grey = _levels(np.arange(65536), low, high)[image]
    else:
        grey = _levels(image, low, high)
    if shown is not None:
        grey[~shown] = 0
    return grey


def _levels(values: np.ndarray, low: float, high: float) -> np.ndarray:
    with np.errstate(all="ignore"):
        steps = np.nan_to_num((values - low) / (high - low))
    return np.rint(255 * np.clip(steps, 0, 1)).astype(np.uint8)


def grey_range(image: np.ndarray, shown: np.ndarray | None = None) -> tuple[float, float]:
    """The values that become black and white: the robust range without marks and padding.

    A mark or padding is a narrow group of values at one end of the range, far from the values of all pixels
    that do not touch it. If nearly all pixels are equal, it is the full range.

    Args:
        image: Numbers, (height, width).
        shown: Mask of the pixels that count, bool (height, width); by default all finite ones.

    Returns:
        Lower and higher value; equal if there is only one.
    """
    stride = max(1, int((image.size / _SAMPLE) ** 0.5))
    sample = image[::stride, ::stride].astype(np.float64)
    counted = np.isfinite(sample)
    if shown is not None:
        counted &= shown[::stride, ::stride]
    if not counted.any():
        return 0.0, 0.0
    low, high = _robust_range(sample[counted])
    if low == high:
        everything = image[np.isfinite(image) if shown is None else np.isfinite(image) & shown]
        return float(everything.min()), float(everything.max())
    least = _LEAST_LEFT * counted.sum()
    edge = max(1, min(_EDGE_PIXELS, min(sample.shape) // 80))
    # Each pass removes one mark or one kind of padding; no image has many.
    for _ in range(8):
        band = (high - low) * _BAND
        ends = (counted & (sample >= high - band), counted & (sample <= low + band))
        # The more uniform end is more likely a mark.
        for mark in sorted(ends, key=lambda end: float(np.ptp(sample[end]))):
            around = cv2.dilate(mark.astype(np.uint8), np.ones((2 * edge + 1,) * 2, np.uint8))
            rest = counted & (around == 0)
            if rest.sum() < least:
                continue
            inner_low, inner_high = _robust_range(sample[rest])
            away = max(high - inner_high, inner_low - low)
            if away > _GAP * (inner_high - inner_low) > 0:
                counted, low, high = rest, inner_low, inner_high
                break
        else:
            break
    return low, high


def _robust_range(values: np.ndarray) -> tuple[float, float]:
    low, high = np.quantile(values, ROBUST_RANGE, method="nearest")
    return float(low), float(high)
