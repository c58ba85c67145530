"""Sheets of photos for the eye: the most suspicious ones with their boxes, and what each operator does."""

from collections.abc import Callable

import cv2
import numpy as np
import pandas as pd

from boneage.errors import BoneAgeError
from boneage.operators import apply_operators
from boneage.preprocess import contact_sheet

_BOX_SHARE = 0.01

# One mild and one strong setting of each operator, such as a person may choose.
SHOWN_OPERATORS = (
    ("as it is", {}),
    ("flip", {"name": "flip"}),
    ("rotate 8 degrees", {"name": "rotate", "degrees": 8}),
    ("darker", {"name": "brightness", "shades": -40}),
    ("brighter", {"name": "brightness", "shades": 40}),
    ("less contrast", {"name": "contrast", "factor": 0.7}),
    ("more contrast", {"name": "contrast", "factor": 1.4}),
    ("gamma 0.7", {"name": "gamma", "power": 0.7}),
    ("gamma 1.4", {"name": "gamma", "power": 1.4}),
    ("clahe", {"name": "clahe", "clip": 3.0}),
    ("sharpen", {"name": "sharpen", "amount": 1.5}),
    ("tint, cool", {"name": "tint", "warmth": -1.0}),
    ("tint, warm", {"name": "tint", "warmth": 1.0}),
    ("invert", {"name": "invert"}),
    ("blank", {"name": "blank", "x": 0.7, "y": 0.02, "width": 0.25, "height": 0.12}),
)


def with_box(photo: np.ndarray, box: tuple[float, float, float, float]) -> np.ndarray:
    """A copy of a photo with a box drawn: white beside black, so that it shows on any shade.

    Args:
        photo: uint8, (height, width).
        box: x, y, width, height in shares of the photo's width and height.

    Returns:
        uint8, (height, width).
    """
    height, width = photo.shape
    x, y, wide, high = box
    first = (round(x * width), round(y * height))
    last = (round((x + wide) * width), round((y + high) * height))
    line = max(1, round(_BOX_SHARE * min(photo.shape) / 2))
    drawn = photo.copy()
    for shade, thickness in ((0, 3 * line), (255, line)):
        cv2.rectangle(drawn, first, last, shade, thickness)
    return drawn


def suspicion_sheet(
    suspicions: pd.DataFrame, read_photo: Callable[[str], np.ndarray], count: int = 12
) -> np.ndarray:
    """The photos at the front of the queue, each with its most urgent suspicion.

    Args:
        suspicions: ``anomalies.SUSPICION_COLUMNS``, most suspicious first.
        read_photo: The photo of a case, uint8 (size, size); one that cannot be read is left out.
        count: Photos at most.

    Returns:
        uint8, (height, width).
    """
    photos: list[tuple[str, np.ndarray]] = []
    for row in suspicions.drop_duplicates("case_id").itertuples():
        if len(photos) == count:
            break
        try:
            photo = read_photo(row.case_id)
        except BoneAgeError:
            continue
        box = (row.x, row.y, row.width, row.height)
        drawn = photo if np.isnan(box).any() else with_box(photo, box)
        photos.append((f"{row.kind} {row.score:.1f}", drawn))
    return contact_sheet(photos, columns=6, thumb=200)


def operator_sheet(photo: np.ndarray) -> np.ndarray:
    """A photo beside what each operator makes of it.

    Args:
        photo: uint8, (size, size).

    Returns:
        uint8, (height, width).
    """
    shown = [
        (caption, apply_operators(photo, [operator] if operator else []))
        for caption, operator in SHOWN_OPERATORS
    ]
    return contact_sheet(shown, columns=5, thumb=220)
