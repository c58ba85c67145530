"""Rings drawn into real radiographs that have none: metal-bright bands round a finger.

A ring sits at 12 to 42 % of a finger's length, across its axis (to within a few degrees), as wide as the
finger or slightly wider; it is curved like a ring seen obliquely, as bright as the brightest bone or
brighter, and as blurred as the image.
"""

import cv2
import numpy as np

from boneage.anomalies.hand import Hand

_PLACES_TRIED = 20
_LEAST_LENGTH = 0.08
_WIDTHS = (0.02, 0.11)
_BLUR_PIXELS = 1.2


def draw_ring(image: np.ndarray, hand: Hand, rng: np.random.Generator) -> np.ndarray | None:
    """Draws a ring on one of a hand's fingers.

    Args:
        image: uint8, (n, n), bone bright.
        hand: The hand found on it.
        rng: Chooses finger, place and ring.

    Returns:
        uint8, (n, n); None if no finger is free enough.
    """
    side = image.shape[0]
    mask = cv2.resize(hand.mask.astype(np.uint8), image.shape, interpolation=cv2.INTER_NEAREST)
    place = _place(mask, hand, rng)
    if place is None:
        return None
    middle, along, width = place
    turn = np.deg2rad(rng.normal(0, 7))
    rotation = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    along = rotation @ along
    across = np.array([-along[1], along[0]])
    half = width / 2 * rng.uniform(1.0, 1.08)
    thick = width / 2 * rng.uniform(0.14, 0.38)
    steps = np.linspace(-1, 1, 24)[:, None]
    bend = (1 - steps**2) * half * rng.uniform(-0.2, 0.25)
    curve = middle + steps * half * across + bend * along
    outline = np.concatenate([curve + along * thick, (curve - along * thick)[::-1]])
    drawn = np.zeros((side, side), np.uint8)
    cv2.fillPoly(drawn, [np.rint(outline * 16).astype(np.int32)], 255, cv2.LINE_AA, 4)
    cover = cv2.GaussianBlur(drawn, (0, 0), _BLUR_PIXELS).astype(np.float32) / 255
    bone = np.percentile(image[mask > 0], 99.5)
    level = bone + rng.uniform(0, 0.5) * (255 - bone)
    made: np.ndarray = (
        image
        + cover * np.maximum(level - image.astype(np.float32), 0)
        + rng.normal(0, 1, image.shape) * cover
    )
    return np.clip(made + 0.5, 0, 255).astype(np.uint8)


def _place(
    mask: np.ndarray, hand: Hand, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, float] | None:
    """A point in the middle of a finger, the finger's direction, and its width in pixels."""
    side = len(mask)
    for _ in range(_PLACES_TRIED if hand.fingers else 0):
        base, tip = (np.array(end) * side for end in hand.fingers[rng.integers(len(hand.fingers))])
        length = np.hypot(*(tip - base))
        if length < _LEAST_LENGTH * side:
            continue
        along = (tip - base) / length
        across = np.array([-along[1], along[0]])
        point = base + along * length * rng.uniform(0.12, 0.42)
        left, right = (_reach(mask, point, sign * across) for sign in (1, -1))
        if _WIDTHS[0] * side <= left + right <= _WIDTHS[1] * side:
            return point + across * (left - right) / 2, along, float(left + right)
    return None


def _reach(mask: np.ndarray, start: np.ndarray, way: np.ndarray) -> int:
    """Distance from a point to the skin in pixels."""
    side = len(mask)
    for count in range(side):
        x, y = (start + way * count).astype(int)
        if not (0 <= x < side and 0 <= y < side and mask[y, x]):
            return count
    return side
