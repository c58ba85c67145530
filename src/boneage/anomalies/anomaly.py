"""An anomaly: kind, score, reason and place."""

from dataclasses import dataclass
from types import MappingProxyType

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
"""Every kind with its urgency from 0 to 1, most urgent first.

Kinds that concern privacy or rule an image out have 1. Those that an operator corrects, or that hardly bother
a network, have less, so that a certain frame comes after a probable bracelet.
"""

LIKELY = 0.5
"""Score from which an anomaly is as likely as not."""

SMALLEST_SIDE = 256
"""Least side of an image, in pixels, from which a detector's likely anomaly means anything.

Of 40 radiographs of the RSNA challenge without a finding by eye, a likely anomaly would reject none at 928,
464 and 320 pixels, one at 256, but 12 at 128 and 30 at 64: interpolation makes edges beside the skin, like a
band's.
"""

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
"""Kinds that no operator corrects without losing bone, with the reason for rejecting such an image."""


@dataclass(frozen=True)
class Anomaly:
    """An anomaly of an image.

    Attributes:
        kind: One of :data:`KINDS`.
        score: From 0 (next to nothing) to 1 (certain).
        why: The reason, in words that can be checked on the image.
        box: (x, y, width, height) as fractions of the image's width and height, as the operator ``blank``
            takes them; None for the whole image.
        measured: The rotation that corrects it, degrees anticlockwise, if there is one.
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
    """A score from a measure: 0 up to the first mark, 1 from the second.

    The second mark may be the lower one, if less is more anomalous.
    """
    return float(clipped((value - marks[0]) / (marks[1] - marks[0]), 0.0, 1.0))


def clipped(value: float, low: float, high: float) -> float:
    """A number, or the bound that it exceeds."""
    return min(max(value, low), high)


def logistic(*terms: float) -> float:
    """Probability from the terms of a logistic regression, intercept included."""
    return float(expit(sum(terms)))
