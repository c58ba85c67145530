"""Boxes: x, y, width, height, in pixels or as fractions of the image."""

from collections.abc import Sequence

import cv2
import numpy as np

Box = tuple[float, float, float, float]


def union(boxes: Sequence[Sequence[float]] | np.ndarray) -> Box:
    """The bounding box of boxes, of the same type of number."""
    corners = np.asarray(boxes)
    low, high = corners[:, :2].min(axis=0), (corners[:, :2] + corners[:, 2:]).max(axis=0)
    return (*low.tolist(), *(high - low).tolist())


def overlap(first: Sequence[float], second: Sequence[float], margin: float = 0) -> bool:
    """Whether two boxes overlap or are closer than a margin."""
    return all(
        first[side] < second[side] + second[side + 2] + margin
        and second[side] < first[side] + first[side + 2] + margin
        for side in (0, 1)
    )


def shares(box: Sequence[float], side: int, margin: float = 0) -> Box:
    """A box widened by a margin and clipped to an image of ``side`` pixels, as fractions of it."""
    low = np.clip(np.subtract(box[:2], margin), 0, side)
    high = np.clip(np.add(np.add(box[:2], box[2:]), margin), 0, side)
    return tuple((np.concatenate([low, high - low]) / side).tolist())


def box_of(mask: np.ndarray) -> Box:
    """The bounding box of a mask, as fractions."""
    return shares(cv2.boundingRect(mask.astype(np.uint8)), len(mask))
