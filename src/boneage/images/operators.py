"""Operators on grey uint8 images, by name, and their JSON.

A reviewer chooses corrections, which put an image right in every split; the plan draws augmentations, which
make a copy differ. Both are stored the same way.
"""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from scipy.ndimage import gaussian_filter1d, median_filter

from boneage.core.errors import BoneAgeError

# Weights of red, green and blue in a grey image (ITU-R BT.601).
_LUMA = (0.299, 0.587, 0.114)


@dataclass(frozen=True)
class Operator:
    """How an operator is applied, and the range (lowest, highest) of each parameter."""

    apply: Callable[..., np.ndarray]
    ranges: Mapping[str, tuple[float, float]]


def _through(curve: np.ndarray, image: np.ndarray) -> np.ndarray:
    return cv2.LUT(image, np.clip(np.rint(curve), 0, 255).astype(np.uint8))


_LEVELS = np.arange(256, dtype=np.float64)


def background_level(image: np.ndarray) -> int:
    """The background grey level: the median of the outermost pixels."""
    outermost = np.concatenate([image[0], image[-1], image[:, 0], image[:, -1]])
    return int(np.sort(outermost)[outermost.size // 2])


def rotated(image: np.ndarray, degrees: float, interpolation: int = cv2.INTER_LINEAR) -> np.ndarray:
    """Rotates an image about its centre without resizing; new corners continue its edges.

    Filling with a single grey level would leave an oblique edge where the background differs, and cut off the
    forearm at an angle. Padding bars are not rotated, except by quarter turns.

    Args:
        image: uint8, (height, width).
        degrees: Anticlockwise.
        interpolation: An OpenCV flag.
    """
    height, width = image.shape
    if degrees % 90 == 0 and height == width:
        return np.ascontiguousarray(np.rot90(image, degrees // 90))
    turn = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), degrees, 1.0)
    rows, columns = _without_bars(image)
    turn[:, 2] += turn[:, :2] @ (columns.start, rows.start)
    return cv2.warpAffine(
        image[rows, columns],
        turn,
        (width, height),
        dst=_continued(image[rows, columns], turn, (width, height)),
        flags=interpolation,
        borderMode=cv2.BORDER_TRANSPARENT,
    )


def _without_bars(image: np.ndarray) -> tuple[slice, slice]:
    """Rows and columns between uniform bars of one grey level; all of them if there are none."""
    within = []
    for axis in (1, 0):
        low, high = image.min(axis=axis), image.max(axis=axis)
        other = np.flatnonzero((low != image[0, 0]) | (high != image[0, 0]))
        within.append(slice(other[0], other[-1] + 1) if len(other) else slice(0, len(low)))
    return within[0], within[1]


# The background is continued at this resolution; it has no detail.
_COARSE = 116
_RIM, _BROAD, _SMOOTH = 5, 25, 3.0


def _continued(image: np.ndarray, turn: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """The background of a rotated image: the grey levels along its edges, smoothed and extended outwards.

    Takes the median of a rim one twentieth of the image deep, so that a bright collimator or film edge is not
    extended into a bright corner. ``turn`` maps image pixels (x, y) to the result's, (2, 3); ``size`` is the
    result's (width, height).
    """
    cell = max(1.0, min(size) / _COARSE)
    coarse = max(2, round(image.shape[1] / cell)), max(2, round(image.shape[0] / cell))
    small = cv2.resize(image, coarse, interpolation=cv2.INTER_AREA).astype(np.float32)
    top, bottom = (_smoothed(np.median(rim, axis=0)) for rim in (small[:_RIM], small[-_RIM:]))
    left, right = (_smoothed(np.median(rim, axis=1)) for rim in (small[:, :_RIM], small[:, -_RIM:]))
    small[0], small[-1] = top, bottom
    # Two edges meet in each corner.
    left[[0, -1]] = (left[[0, -1]] + (top[0], bottom[0])) / 2
    right[[0, -1]] = (right[[0, -1]] + (top[-1], bottom[-1])) / 2
    small[:, 0], small[:, -1] = left, right
    # The centre of a coarse pixel is that of its cell.
    shift = (cell - 1) / 2
    there = turn.copy()
    there[:, 2] = (turn[:, :2] @ (shift, shift) + turn[:, 2] - shift) / cell
    out = max(1, round(size[0] / cell)), max(1, round(size[1] / cell))
    turned = cv2.warpAffine(small, there, out, borderMode=cv2.BORDER_REPLICATE)
    return cv2.resize(np.rint(turned).astype(np.uint8), size, interpolation=cv2.INTER_LINEAR)


def _smoothed(profile: np.ndarray) -> np.ndarray:
    """Grey levels along an edge, without what is narrower than a forearm, such as a marker or a fingertip."""
    broad = median_filter(profile, _BROAD, mode="nearest")
    return gaussian_filter1d(broad.astype(np.float32), _SMOOTH, mode="nearest")


def _contrast(image: np.ndarray, factor: float) -> np.ndarray:
    # About the image's own mean: about a fixed grey level, a dark image would turn black.
    mean = round(cv2.mean(image)[0])
    return _through((_LEVELS - mean) * factor + mean, image)


def _clahe(image: np.ndarray, clip: float) -> np.ndarray:
    # Pizer et al., 1987. A CLAHE object is not thread-safe, so each call has its own.
    return cv2.createCLAHE(clip, (8, 8)).apply(image)


def _sharpen(image: np.ndarray, amount: float) -> np.ndarray:
    return cv2.addWeighted(image, 1 + amount, cv2.GaussianBlur(image, (0, 0), 2.0), -amount, 0)


def _tint(image: np.ndarray, warmth: float) -> np.ndarray:
    """A warm (above 0) or cool colour filter seen in grey: red and blue get opposite tone curves."""
    light = _LEVELS / 255
    red, green, blue = light ** (2.0**-warmth), light, light ** (2.0**warmth)
    return _through(255 * (_LUMA[0] * red + _LUMA[1] * green + _LUMA[2] * blue), image)


def _blanked(image: np.ndarray, boxes: Sequence[Mapping[str, Any]]) -> np.ndarray:
    """Fills boxes with the surrounding grey levels, so that a network finds no square to learn from.

    All boxes are filled at once and from visible pixels only, so nothing hidden shows through.
    """
    rows, columns = image.shape
    hidden = np.zeros(image.shape, bool)
    for box in boxes:
        top, left = math.floor(box["y"] * rows), math.floor(box["x"] * columns)
        bottom = math.ceil((box["y"] + box["height"]) * rows)
        right = math.ceil((box["x"] + box["width"]) * columns)
        hidden[top:bottom, left:right] = True
    if not hidden.any():
        return image.copy()
    seen = (~hidden).astype(np.float32)
    return np.where(hidden, np.rint(_filled(image * seen, seen)).astype(np.uint8), image)


def _filled(levels: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """Extends visible grey levels, weighted by ``seen``, into hidden areas through ever coarser means.

    The pull-push algorithm of Gortler et al., SIGGRAPH 1996.
    """
    if seen.all():
        return levels / seen
    height, width = seen.shape
    if min(height, width) == 1:
        return np.full(seen.shape, levels.sum() / max(float(seen.sum()), 1e-6), np.float32)
    half = (width + 1) // 2, (height + 1) // 2
    coarser = _filled(*(cv2.resize(one, half, interpolation=cv2.INTER_AREA) for one in (levels, seen)))
    coarser = cv2.resize(coarser.astype(np.float32), (width, height), interpolation=cv2.INTER_LINEAR)
    return levels + (1 - seen) * coarser


OPERATORS: dict[str, Operator] = {
    "blank": Operator(
        lambda image, **box: _blanked(image, [box]),
        {"x": (0, 1), "y": (0, 1), "width": (0, 1), "height": (0, 1)},
    ),
    "invert": Operator(lambda image: 255 - image, {}),
    "flip": Operator(lambda image: np.ascontiguousarray(image[:, ::-1]), {}),
    "rotate": Operator(rotated, {"degrees": (-180, 180)}),
    "brightness": Operator(lambda image, levels: _through(_LEVELS + levels, image), {"levels": (-100, 100)}),
    "contrast": Operator(_contrast, {"factor": (0.25, 4)}),
    "gamma": Operator(
        lambda image, power: _through(255 * (_LEVELS / 255) ** power, image), {"power": (0.25, 4)}
    ),
    "clahe": Operator(_clahe, {"clip": (1, 8)}),
    "sharpen": Operator(_sharpen, {"amount": (0, 3)}),
    "tint": Operator(_tint, {"warmth": (-1, 1)}),
}
"""By name. ``blank`` takes fractions of the image's width and height, ``rotate`` degrees anticlockwise."""

CORRECTIONS = ("blank", "invert", "flip", "rotate", "brightness", "contrast", "gamma")
"""Corrections in the order they are applied: blanking, polarity, orientation, brightness. Boxes refer to the
original image; every other correction may be used once."""


def _check(operators: object) -> list[dict[str, Any]]:
    if not isinstance(operators, Sequence) or isinstance(operators, str):
        raise BoneAgeError('operators: must be a list such as [{"name": "rotate", "degrees": 5}]')
    for operator in operators:
        if not isinstance(operator, Mapping) or not isinstance(operator.get("name"), str):
            raise BoneAgeError('operators: each must be an object with a "name"')
        name = operator["name"]
        if name not in OPERATORS:
            raise BoneAgeError(f"operator {name[:40]!r}: unknown; use one of {', '.join(OPERATORS)}")
        ranges = OPERATORS[name].ranges
        if set(operator) != {"name", *ranges}:
            raise BoneAgeError(f"operator {name}: takes {', '.join(ranges) or 'no parameter'} only")
        for parameter, (low, high) in ranges.items():
            value = operator[parameter]
            if isinstance(value, bool) or not isinstance(value, int | float):
                raise BoneAgeError(f"operator {name}: {parameter} must be a number")
            if not low <= value <= high:
                raise BoneAgeError(f"operator {name}: {parameter} must be from {low} to {high}")
    return [dict(operator) for operator in operators]


def parse_operators(text: str) -> list[dict[str, Any]]:
    """Reads the ``operators`` cell of a plan or a review log.

    Raises:
        BoneAgeError: Invalid JSON, unknown name, or a parameter that is missing, unknown, of the wrong type
            or out of range.
    """
    try:
        operators = json.loads(text)
    except (ValueError, TypeError, RecursionError):
        raise BoneAgeError(f"operators {str(text)[:40]!r}: not JSON; write [] for none") from None
    return _check(operators)


def format_operators(operators: Sequence[Mapping[str, Any]]) -> str:
    """Operators as one line of JSON, always the same for the same operators.

    Raises:
        BoneAgeError: As :func:`parse_operators`.
    """
    ordered = [
        {"name": operator["name"], **{name: operator[name] for name in OPERATORS[operator["name"]].ranges}}
        for operator in _check(operators)
    ]
    return json.dumps(ordered)


def parse_corrections(text: str) -> list[dict[str, Any]]:
    """Reads the ``corrections`` cell of a plan or a review log, in the order of :data:`CORRECTIONS`.

    Raises:
        BoneAgeError: As :func:`parse_operators`, or an operator is not a correction or appears twice.
    """
    return _corrections(parse_operators(text))


def format_corrections(corrections: Sequence[Mapping[str, Any]]) -> str:
    """Corrections as one line of JSON, in the order of :data:`CORRECTIONS`.

    Raises:
        BoneAgeError: As :func:`parse_corrections`.
    """
    return format_operators(_corrections(_check(corrections)))


def _corrections(operators: list[dict[str, Any]]) -> list[dict[str, Any]]:
    names = [operator["name"] for operator in operators]
    for name in names:
        if name not in CORRECTIONS:
            raise BoneAgeError(f"operator {name}: not a correction; use one of {', '.join(CORRECTIONS)}")
        if name != "blank" and names.count(name) > 1:
            raise BoneAgeError(f"operator {name}: appears twice among the corrections; keep one")
    return sorted(operators, key=lambda operator: CORRECTIONS.index(operator["name"]))


def in_words(operator: Mapping[str, Any]) -> str:
    """An operator by name and strength, such as ``rotate −8``."""
    if operator["name"] == "blank":
        return "blank a box"
    values = (f"{value:g}".replace("-", "−") for name, value in operator.items() if name != "name")
    return " ".join([operator["name"], *values])


def operators_of_image(corrections: str, augmentations: str) -> list[dict[str, Any]]:
    """All operators of an image in the plan, in the order they are applied.

    Args:
        corrections: JSON.
        augmentations: JSON.

    Raises:
        BoneAgeError: As :func:`parse_corrections`.
    """
    every = [*parse_corrections(corrections), *parse_operators(augmentations)]
    return sorted(every, key=lambda operator: operator["name"] != "blank")


def apply_operators(image: np.ndarray, operators: Sequence[Mapping[str, Any]]) -> np.ndarray:
    """Applies operators to a copy of an image: boxes to blank first, then the others in order.

    Boxes refer to the original image; after a rotation they would hide something else.

    Args:
        image: uint8, (height, width).
        operators: As :func:`parse_operators` returns them.

    Raises:
        BoneAgeError: Not a grey uint8 image, or an invalid operator.
    """
    if image.dtype != np.uint8 or image.ndim != 2 or not image.size:
        raise BoneAgeError("image: operators need a grey uint8 array (height, width)")
    operators = _check(operators)
    made = _blanked(image, [operator for operator in operators if operator["name"] == "blank"])
    for operator in operators:
        if operator["name"] != "blank":
            parameters = {name: value for name, value in operator.items() if name != "name"}
            made = OPERATORS[operator["name"]].apply(made, **parameters)
    return made
