"""Letters beside the hand: the lead side marker, initials, labels.

Mirrored letters tell a person and a network alike that an image was mirrored. Anything small and bright in
the air around the hand counts, so a screw or a splinter of a plate's edge does too: that costs a mirrored
copy and nothing else.
"""

import cv2
import numpy as np

from boneage.anomalies.boxes import Box, shares
from boneage.anomalies.hand import WORKING_SIDE, Hand, find_hand
from boneage.anomalies.masks import connected, square, widened

# Pixels of the working size, and fractions of the step from air to bone.
_STROKE = 17
_LEAST_INK, _FAINTEST = 0.25, 4.0
_GAP = 5
_AROUND_HAND = 3
_LEAST_SIZE, _THINNEST, _LINE = 5, 3, 48
_ROOM = 2
_CLEAR, _LARGEST = 6, 80


def has_letters(image: np.ndarray) -> bool:
    """Whether anything beside the hand on an image, uint8 (n, n), may be a letter."""
    return bool(_found(image)[0])


def letter_boxes(image: np.ndarray, hand: Hand | None = None) -> list[Box]:
    """Boxes to blank around possible letters, except any so large or so near that they might hide bone.

    In fractions of the image, uint8 (n, n), unordered. ``hand`` is what was found on it, if that is known.
    """
    boxes, limb = _found(image, hand)
    near = widened(limb, square(_CLEAR))
    return [
        shares(box, WORKING_SIDE, _ROOM)
        for box in boxes
        if max(box[2:]) <= _LARGEST and not near[box[1] : box[1] + box[3], box[0] : box[0] + box[2]].any()
    ]


def _found(image: np.ndarray, hand: Hand | None = None) -> tuple[list[np.ndarray], np.ndarray]:
    """Boxes (x, y, width, height) in pixels of the working size, and the hand, slightly widened."""
    hand = hand or find_hand(image)
    bright = -hand.small if hand.inverted else hand.small
    ink = bright - cv2.morphologyEx(bright, cv2.MORPH_OPEN, np.ones((_STROKE, _STROKE), np.uint8))
    limb = widened(hand.mask, square(_AROUND_HAND))
    return _boxes((ink > _least_ink(bright, hand, limb)) & ~limb, limb), limb


def _least_ink(bright: np.ndarray, hand: Hand, limb: np.ndarray) -> float:
    air = hand.field & ~limb
    if not air.any() or not hand.mask.any():
        return _FAINTEST
    step = float(np.percentile(bright[hand.mask], 90) - np.median(bright[air]))
    return max(_LEAST_INK * step, _FAINTEST)


def _boxes(letters: np.ndarray, limb: np.ndarray) -> list[np.ndarray]:
    """Boxes (x, y, width, height) of groups of strokes that are neither dust nor lines."""
    strokes = letters.astype(np.uint8)
    # Straight edges of plates and films would join separate things.
    for line in ((_LINE, 1), (1, _LINE)):
        strokes[cv2.morphologyEx(strokes, cv2.MORPH_OPEN, np.ones(line, np.uint8)) > 0] = 0
    number, facts = connected(strokes)
    size = facts[:, 2:4]
    fits = (size.max(axis=1) >= _LEAST_SIZE) & (size.min(axis=1) >= _THINNEST)
    # What touches the hand is a fingertip that the mask cuts off.
    touching = widened(limb, square(1))
    fits[number[touching]] = False
    fits[0] = False
    kept = fits[number].astype(np.uint8)
    joined = cv2.morphologyEx(kept, cv2.MORPH_CLOSE, np.ones((_GAP, _GAP), np.uint8))
    return list(connected(joined)[1][1:, :4])
