"""What a detector says of an image: a kind, a score, a reason and a place."""

from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from scipy.special import expit

KINDS = MappingProxyType(
    {
        "burnt-in text": 1.0,
        "ring": 1.0,
        "bracelet": 1.0,
        "metal": 1.0,
        "unreadable skeleton": 1.0,
        "right hand": 1.0,
        "not one hand": 1.0,
        "growth out of step": 1.0,
        "near-duplicate": 0.9,
        "inverted": 0.8,
        "rotated": 0.6,
        "cropped": 0.6,
        "unusual hand": 0.5,
        "frame": 0.4,
        "tilted scan": 0.4,
        "dark": 0.4,
        "low contrast": 0.4,
    }
)
"""Every kind, the most urgent first, with its urgency from 0 to 1.

What concerns privacy or cannot stay in the set has 1; what an operator mends, or a network hardly minds, has
less, so that a certain frame waits behind a probable bracelet.
"""

LIKELY = 0.5
"""The score from which on an anomaly is as likely as not."""

REJECTABLE = MappingProxyType(
    {
        "ring": "ring",
        "bracelet": "bracelet",
        "metal": "other",
        "unreadable skeleton": "skeleton unknown",
        "right hand": "other",
        "not one hand": "other",
        "growth out of step": "growth abnormality",
        "near-duplicate": "other",
    }
)
"""The kinds that no operator mends without losing bone, and the reason such an image is rejected for."""


@dataclass(frozen=True)
class Anomaly:
    """What a detector says of one image.

    Attributes:
        kind: One of :data:`KINDS`.
        score: From 0 (next to nothing) to 1 (certain).
        why: The reason, in words a person can check against the image.
        box: Where, as (x, y, width, height) in shares of the image's width and height, such as the operator
            ``blank`` takes; None where it concerns the whole image.
        measured: What was measured, where it says how far an image is to be put right: the degrees to
            turn it anticlockwise.
    """

    kind: str
    score: float
    why: str
    box: tuple[float, float, float, float] | None = None
    measured: float | None = None

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"kind: {self.kind!r} must be one of {', '.join(KINDS)}")
        if not 0.0 <= self.score <= 1.0:
            raise ValueError(f"score: {self.score!r} must be from 0 to 1")
        if self.box is not None and not all(0.0 <= share <= 1.0 for share in self.box):
            raise ValueError(f"box: {self.box!r} must be shares of the image, from 0 to 1")


def between(value: float, marks: tuple[float, float]) -> float:
    """A score from a measure: 0 at the first mark and before it, 1 at the second and beyond.

    The second mark may be the lower one, where less is more anomalous.
    """
    return float(np.clip((value - marks[0]) / (marks[1] - marks[0]), 0.0, 1.0))


def logistic(*terms: float) -> float:
    """How likely something is, from the terms of a logistic regression, its intercept among them."""
    return float(expit(sum(terms)))
