"""What the copies of an image may be drawn from: names, each for an operator and its mild values."""

import json
import math
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from boneage.core.errors import BoneAgeError
from boneage.images.operators import OPERATORS

MOST_OPERATORS = 3
"""Operators in one drawn recipe at most: each costs some likeness to a radiograph."""

MOST_DEGREES = 15.0
"""A drawn rotation at most; of the real hands one in ten lies askew by 13 degrees or more of itself."""

# The parameter of each operator that has one to draw, and where it changes nothing.
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

# What is drawn at random, by allowed name: the operator and its values, mild, and never so near to neutral
# that the copy could not be told from the image. `blank` is not here: where a box belongs only a person can
# say.
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
"""The names that a person may choose."""

DEFAULT_ALLOWED = ("flip", "rotate", "brightness", "contrast", "gamma")
"""What a copy may be given where neither a person nor the image itself said otherwise."""


def parse_augmentations(text: str) -> list[str] | None:
    """Reads the ``augmentations`` cell of a review log: names, or None where nobody chose.

    Raises:
        BoneAgeError: No JSON list, or an unknown name; it is named.
    """
    if not text.strip():
        return None
    try:
        names = json.loads(text)
    except (ValueError, RecursionError):
        names = None
    if not isinstance(names, list):
        raise BoneAgeError(f"augmentations {text[:40]!r}: no list; write [] for no copies, nothing for any")
    return _checked(names)


def format_augmentations(names: Sequence[str] | None) -> str:
    """Names as JSON on one line, each once, in the order of :data:`AUGMENTATIONS`; empty for None.

    Raises:
        BoneAgeError: An unknown name.
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


# Along which axis an operator carries an image, and how far one unit of its value does, or a doubling where
# it is a factor: about as many grey levels as 46 real images changed by on average.
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


def carried(recipe: Sequence[Mapping[str, Any]]) -> np.ndarray:
    """Where operators carry an image: the distance of two such points tells how different copies look.

    Returns:
        float, about in grey levels; the origin is the image as it is.
    """
    point = np.zeros(len(_AXES))
    for operator in recipe:
        axis, far = _CARRIES[operator["name"]]
        parameter, neutral = NEUTRAL.get(operator["name"], (None, 0.0))
        value = 1.0 if parameter is None else operator[parameter]
        point[_AXES.index(axis)] += far * (math.log2(value) if neutral == 1.0 else value - neutral)
    return point


def drawn_by_name(name: str) -> list[dict[str, Any]]:
    """The operators with values that a name stands for."""
    operator, values = DRAWN[name]
    if values is None:
        return [{"name": operator}]
    return [{"name": operator, NEUTRAL[operator][0]: value} for value in values]


def draw_example(names: Sequence[str], key: str) -> list[dict[str, Any]]:
    """The operators of one copy, as the plan might draw them.

    Args:
        names: Of :data:`AUGMENTATIONS`.
        key: Any text; the same names and key give the same copy.
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
