"""From a radiograph to the hands on it, checked and put right, so that a network can read them.

What is put right is what a review would correct (:mod:`boneage.dataset.suggestions`), but for the exposure,
which the networks level out themselves.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from boneage.anomalies import LIKELY, Anomaly
from boneage.anomalies.boxes import Box, box_of
from boneage.anomalies.foreign import foreign_anomalies
from boneage.anomalies.hand import Hand, find_hand
from boneage.anomalies.markers import letter_boxes
from boneage.anomalies.quality import quality_anomalies
from boneage.anomalies.text import text_anomalies
from boneage.dataset.suggestions import put_upright
from boneage.images.operators import apply_operators
from boneage.images.square import square

SIDE = 928
"""Side in pixels of the images that the detectors look at."""

LEAST_CONFIDENCE = 0.9
"""Of a hand's outline, for an estimate; chosen on the real hands that ``results/refusals.csv`` is of."""

# Length of hand and forearm as a share of the side: few training cases stay below the first; such a hand is
# cut out to the second. In a larger picture a hand is read years wrong, and the distance from the training
# cases does not tell.
_SHORT, _USUAL = 0.7, 0.8
_CUT_OFF = "small in the picture, so what lies around it was cut off"

# Text less likely than this is bone or noise. What is shown is blanked from here on, what is read from
# LIKELY.
_POSSIBLE_TEXT = 0.1
# What the networks were hardly trained on, or hides bone.
_DOUBTFUL = ("ring", "bracelet", "metal", "cropped")
_SURE = 0.8


@dataclass(frozen=True, eq=False)
class CheckedHand:
    """A hand on a radiograph, or what was found in place of one.

    Attributes:
        place: ``left of the film`` and the like where there are two hands; else empty.
        original: uint8, (928, 928): as it came, or what was cut out of it.
        hand: What was found on it.
        corrections: What puts it right, as :func:`boneage.images.operators.apply_operators` takes it.
        text: Boxes of what may be burnt-in text.
        changes: What was put right, in words.
        warnings: What makes its estimate doubtful, in words.
        refusal: Why there can be no estimate; empty if there can.
        shows_letters: Whether letters stay in what is shown.
    """

    place: str
    original: np.ndarray
    hand: Hand
    corrections: tuple[dict[str, Any], ...] = ()
    text: tuple[Box, ...] = ()
    changes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    refusal: str = ""
    shows_letters: bool = False

    @cached_property
    def image(self) -> np.ndarray:
        """For the networks: put right, uint8 (928, 928)."""
        return apply_operators(self.original, self.corrections)

    @cached_property
    def shown(self) -> np.ndarray:
        """For a person: put right, and all that may be a letter is blanked, uint8 (928, 928)."""
        if self.shows_letters:
            return self.image
        # Where there is no hand, everything may look like a letter beside it.
        letters = [] if self.refusal else letter_boxes(self.original, self.hand)
        hidden = [_blank(box) for box in (*self.text, *letters)]
        return apply_operators(self.original, [*hidden, *self.corrections])


def check_hands(grey: np.ndarray, show_letters: bool = False) -> list[CheckedHand]:
    """Finds the hands on a radiograph and what puts them right.

    Args:
        grey: uint8, (height, width).
        show_letters: Whether letters stay in what is shown.

    Returns:
        One, or two for a film of both hands, from left to right or from top to bottom.
    """
    image = square(grey, SIDE)
    hand = find_hand(image)
    if not hand.found or hand.second is None:
        return [_checked(*_as_large_as_usual(grey, image, hand), show_letters)]
    checked = []
    for place, half in _halves(grey, box_of(hand.mask), hand.second):
        image = square(half, SIDE)
        checked.append(_checked(*_as_large_as_usual(half, image, find_hand(image)), show_letters, place))
    return checked


def _halves(grey: np.ndarray, first: Box, second: Box) -> Iterator[tuple[str, np.ndarray]]:
    """A radiograph cut in two between the boxes, at right angles to the axis on which they lie farther apart.

    The boxes are shares of its square; without the square's bars a hand is as large as on a film of its own.
    """
    gaps = []
    for axis in (0, 1):
        near, far = sorted((first, second), key=lambda box: box[axis] + box[axis + 2] / 2)
        gaps.append((far[axis] - near[axis] - near[axis + 2], (far[axis] + near[axis] + near[axis + 2]) / 2))
    axis = int(gaps[1][0] > gaps[0][0])
    length = grey.shape[1 - axis]
    cut = min(max(round(_in_pixels(gaps[axis][1], length, max(grey.shape))), 1), length - 1)
    if axis == 0:
        yield from (("left of the film", grey[:, :cut]), ("right of the film", grey[:, cut:]))
    else:
        yield from (("top of the film", grey[:cut]), ("bottom of the film", grey[cut:]))


def _in_pixels(place: float, length: int, side: int) -> float:
    """A place along one side of a radiograph, from a share of its square, whose side is its longer one."""
    return place * side - (side - length) / 2


def _as_large_as_usual(
    grey: np.ndarray, image: np.ndarray, hand: Hand
) -> tuple[np.ndarray, Hand, tuple[str, ...]]:
    """The square and the hand on it, cut out of the radiograph where the hand is small, and that in words."""
    if hand.found:
        middle, length = _place(hand)
        if length < _SHORT:
            closer = square(_around(grey, middle, length / _USUAL), SIDE)
            if (seen := find_hand(closer)).found:
                return closer, seen, (_CUT_OFF,)
    return image, hand, ()


def _place(hand: Hand) -> tuple[np.ndarray, float]:
    """Middle (x, y) of hand and forearm, and their length or, if greater, breadth; shares of the square."""
    points = (np.argwhere(hand.mask)[:, ::-1] + 0.5) / len(hand.mask)
    angle = np.deg2rad(hand.up_degrees)
    axes = np.array([[np.sin(angle), -np.cos(angle)], [np.cos(angle), np.sin(angle)]])
    along = points @ axes.T
    return (along.min(0) + along.max(0)) / 2 @ axes, float(np.ptp(along, axis=0).max())


def _around(grey: np.ndarray, middle: np.ndarray, share: float) -> np.ndarray:
    """The part of a radiograph about a point of its square, as wide as a share of that, within its edges."""
    side = max(grey.shape)
    cut = max(1, round(share * side))
    spans = []
    for length, at in zip(grey.shape, middle[::-1], strict=True):
        start = round(_in_pixels(at, length, side) - cut / 2)
        start = min(max(start, 0), max(length - cut, 0))
        spans.append(slice(start, start + cut))
    return grey[tuple(spans)]


def _checked(
    image: np.ndarray, hand: Hand, changed: tuple[str, ...], show_letters: bool, place: str = ""
) -> CheckedHand:
    text, quality = text_anomalies(image, hand), quality_anomalies(hand)
    boxes = tuple(one.box for one in text if one.score >= _POSSIBLE_TEXT and one.box)
    checked = CheckedHand(place, image, hand, text=boxes, shows_letters=show_letters)
    if refusal := _refusal(hand, quality):
        return replace(checked, refusal=refusal)
    doubts = [one for one in (*foreign_anomalies(image, hand), *quality) if one.kind in _DOUBTFUL]
    warnings = [f"{one.kind}: {one.why}" for one in doubts if one.score >= _SURE]
    if hand.second is not None:
        warnings.append("another hand may reach into the picture")
    blanked = [_blank(one.box) for one in text if one.score >= LIKELY and one.box]
    likely = {one.kind for one in quality if one.score >= LIKELY}
    measured = {one.kind: one.measured for one in quality if one.measured is not None}
    corrections = blanked + put_upright(image, likely, measured, hand)
    changes = (*changed, *_words(bool(blanked), corrections))
    return replace(checked, corrections=tuple(corrections), changes=changes, warnings=tuple(warnings))


def _refusal(hand: Hand, quality: list[Anomaly]) -> str:
    if not hand.found:
        return "no hand found; give a radiograph of one hand, fingers and wrist in the picture"
    if hand.confidence < LEAST_CONFIDENCE:
        return "what was found looks too little like a hand; give a radiograph of one hand"
    if any(one.kind == "unreadable skeleton" and one.score >= LIKELY for one in quality):
        return "no bones can be made out; give a sharper image of the radiograph"
    return ""


def _blank(box: Box) -> dict[str, Any]:
    return {"name": "blank", **dict(zip(("x", "y", "width", "height"), box, strict=True))}


def _words(text_blanked: bool, corrections: list[dict[str, Any]]) -> Iterator[str]:
    if text_blanked:
        yield "burnt-in text blanked"
    for one in corrections:
        if one["name"] == "invert":
            yield "black on white, so it was inverted"
        if one["name"] == "flip":
            yield "a right hand or a mirrored image, so it was mirrored"
        if one["name"] == "rotate":
            side = "anticlockwise" if one["degrees"] > 0 else "clockwise"
            yield f"turned {abs(one['degrees']):.0f} degrees {side} to stand upright"
