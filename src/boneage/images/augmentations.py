"""The augmentations to draw from: names, each for an operator and a range of mild values."""

import json
import math
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from boneage.core.errors import BoneAgeError
from boneage.images.operators import OPERATORS

MOST_OPERATORS = 3
"""Most operators in one augmentation: each makes the image less like a radiograph."""

MOST_DEGREES = 15.0
"""Largest rotation drawn; one in ten real hands is tilted by 13 degrees or more as it is."""

# The parameter to draw for each operator that has one, and its neutral value.
NEUTRAL = {
    "rotate": ("degrees", 0.0),
    "brightness": ("levels", 0.0),
    "contrast": ("factor", 1.0),
    "gamma": ("power", 1.0),
    "clahe": ("clip", 0.0),
    "sharpen": ("amount", 0.0),
    "tint": ("warmth", 0.0),
}
EXPOSURE = frozenset({"brightness", "gamma"})


def _steps(least: float, most: float, step: float) -> tuple[float, ...]:
    return tuple(np.arange(least, most + step / 2, step).round(2).tolist())


MOST_LEVELS = 40
GAMMAS = (0.7, 1.4)
_DARKEN, _BRIGHTEN = _steps(-MOST_LEVELS, -8, 1), _steps(8, MOST_LEVELS, 1)
_LIGHTER, _DARKER = _steps(GAMMAS[0], 0.92, 0.02), _steps(1.08, GAMMAS[1], 0.02)
_CONTRAST_UP = _steps(1.08, 1.4, 0.02)

# Values to draw, by allowed name: mild, but never so close to neutral that the copy looks like the image.
# `blank` is absent: only a person can say where a box belongs.
DRAWN: dict[str, tuple[str, tuple[float, ...] | None]] = {
    "invert": ("invert", None),
    "flip": ("flip", None),
    "rotate": ("rotate", _steps(-MOST_DEGREES, -2, 0.5) + _steps(2, MOST_DEGREES, 0.5)),
    "tilt": ("rotate", _steps(-5, -2, 0.5) + _steps(2, 5, 0.5)),
    "brightness": ("brightness", _DARKEN + _BRIGHTEN),
    "brighten": ("brightness", _BRIGHTEN),
    "darken": ("brightness", _DARKEN),
    "contrast": ("contrast", _steps(0.8, 0.92, 0.02) + _CONTRAST_UP),
    "contrast up": ("contrast", _CONTRAST_UP),
    "gamma": ("gamma", _LIGHTER + _DARKER),
    "gamma lighter": ("gamma", _LIGHTER),
    "gamma darker": ("gamma", _DARKER),
    "clahe": ("clahe", _steps(1.5, 3.5, 0.1)),
    "sharpen": ("sharpen", _steps(0.3, 1.5, 0.1)),
    "tint": ("tint", _steps(-1, -0.3, 0.1) + _steps(0.3, 1, 0.1)),
}
AUGMENTATIONS = tuple(DRAWN)
"""The names a reviewer may choose."""

DEFAULT_ALLOWED = ("flip", "rotate", "brightness", "contrast", "gamma")
"""Allowed for an image if neither the reviewer nor the image itself says otherwise."""


def parse_augmentations(text: str) -> list[str] | None:
    """Reads the ``augmentations`` cell of a review log: names, or None if nobody chose.

    Raises:
        BoneAgeError: Not a JSON list, or an unknown name.
    """
    if not text.strip():
        return None
    try:
        names = json.loads(text)
    except (ValueError, RecursionError):
        names = None
    if not isinstance(names, list):
        raise BoneAgeError(f"augmentations {text[:40]!r}: not a list; [] means no copies, empty any")
    return _checked(names)


def format_augmentations(names: Sequence[str] | None) -> str:
    """Names as a JSON list without repeats, in the order of :data:`AUGMENTATIONS`; empty text for None.

    Raises:
        BoneAgeError: Unknown name.
    """
    return "" if names is None else json.dumps(sorted(set(_checked(names)), key=AUGMENTATIONS.index))


def _checked(names: Sequence[object]) -> list[str]:
    if isinstance(names, str):
        raise BoneAgeError('augmentations: must be a list such as ["rotate", "gamma"]')
    for name in names:
        if name not in AUGMENTATIONS:
            raise BoneAgeError(
                f"augmentation {str(name)[:40]!r}: unknown; use one of {', '.join(AUGMENTATIONS)}"
            )
    return list(names)


# The axis along which an operator moves an image, and how far per unit of its value (per doubling for a
# factor): about the mean change in grey level, measured on 46 real images.
_CARRIES = {
    "invert": ("polarity", 100.0),
    "flip": ("side", 17.0),
    "rotate": ("turn", 1.0),
    "brightness": ("exposure", 0.8),
    "gamma": ("exposure", -35.0),
    "contrast": ("contrast", 17.0),
    "clahe": ("local contrast", 4.6),
    "sharpen": ("sharpness", 2.0),
    "tint": ("tint", 7.0),
}
_AXES = tuple(dict.fromkeys(axis for axis, _ in _CARRIES.values()))


def carried(operators: Sequence[Mapping[str, Any]]) -> np.ndarray:
    """A point whose distance from that of other operators says how different the two copies look.

    Returns:
        float, about in grey levels; the unchanged image is the origin.
    """
    point = np.zeros(len(_AXES))
    for operator in operators:
        axis, far = _CARRIES[operator["name"]]
        parameter, neutral = NEUTRAL.get(operator["name"], (None, 0.0))
        value = 1.0 if parameter is None else operator[parameter]
        point[_AXES.index(axis)] += far * (math.log2(value) if neutral == 1.0 else value - neutral)
    return point


def drawn_by_name(name: str) -> list[dict[str, Any]]:
    """All operators, with values, that a name allows."""
    operator, values = DRAWN[name]
    if values is None:
        return [{"name": operator}]
    return [{"name": operator, NEUTRAL[operator][0]: value} for value in values]


def draw_example(names: Sequence[str], key: str) -> list[dict[str, Any]]:
    """Draws the operators of one augmented copy, as the plan might.

    Args:
        names: From :data:`AUGMENTATIONS`.
        key: Seeds the draw.
    """
    rng = np.random.default_rng(zlib.crc32(key.encode()))
    choices: dict[str, list[dict[str, Any]]] = {}
    for name in names:
        for one in drawn_by_name(name):
            choices.setdefault(one["name"], []).append(one)
    drawn = rng.permutation(list(choices))[:MOST_OPERATORS].tolist()
    if EXPOSURE.issubset(drawn):
        drawn.remove(rng.choice(sorted(EXPOSURE)))
    return [choices[name][rng.integers(len(choices[name]))] for name in OPERATORS if name in drawn]
