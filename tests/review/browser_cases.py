"""Cases, images and a board to test with; nothing is read from outside the repository."""

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
import pandas as pd

from boneage.core.errors import BoneAgeError
from boneage.core.tables import CASE_TABLE
from boneage.phantom.drawing import draw_hand
from boneage.review.board import ReviewBoard
from boneage.review.log import ReviewLog

SIDE = 928
_DRAWN = 6


@lru_cache
def hand(number: int) -> np.ndarray:
    """One of a few drawn hands as an image, uint8 (SIDE, SIDE)."""
    image = draw_hand(4.0 + 2 * number, "FM"[number % 2], number, height=464).image
    square = np.full((464, 464), 20, np.uint8)
    left = (464 - image.shape[1]) // 2
    square[:, left : left + image.shape[1]] = image
    return cv2.resize(square, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC)


def an_image(case_id: str) -> np.ndarray:
    """The image of a case, no two alike: a drawn hand on a ground of its own grey level."""
    number = int(case_id[1:])
    return np.maximum(hand(number % _DRAWN), np.uint8(21 + number))


def a_level(case_id: str) -> np.ndarray:
    """An image where none is looked at: small, and of one grey level."""
    return np.full((64, 64), 20 + int(case_id[1:]), np.uint8)


def a_table(count: int) -> pd.DataFrame:
    """Cases C000, C001, … of three ages and both sexes."""
    rows = []
    for number in range(count):
        age = 5 + number % 3
        readings = (age + 0.2, age + 0.6)
        rows.append(
            (f"C{number:03d}", "", "phantom", "FM"[number % 2], "African American", age, age + 0.4, *readings)
        )
    return pd.DataFrame(rows, columns=list(CASE_TABLE)).astype({"age_group": "Int64"})


ANOMALY_COLUMNS = ["case_id", "kind", "score", "x", "y", "width", "height", "why"]


def some_anomalies() -> pd.DataFrame:
    """Two of C001, one of C002; one has no box."""
    rows = [
        ("C001", "burnt-in text", 0.9, 0.1234, 0.0567, 0.2468, 0.0789, "letters beside the hand"),
        ("C001", "growth out of step", 0.6, np.nan, np.nan, np.nan, np.nan, "2.4 SD above the age"),
        ("C002", "bracelet", 0.8, 0.3, 0.8, 0.4, 0.1, "a bright, sharp-edged band across the wrist"),
    ]
    return pd.DataFrame(rows, columns=ANOMALY_COLUMNS)


def a_board(
    folder: Path,
    count: int = 6,
    read_image: Callable[[str], np.ndarray] = a_level,
    reviewer: str = "Ann",
    **others: object,
) -> ReviewBoard:
    """A board on the log of a folder."""
    arguments = {
        "cases": a_table(count),
        "anomalies": some_anomalies(),
        "log": ReviewLog(folder / "log.csv", reviewer),
        "read_image": read_image,
    }
    return ReviewBoard(**{**arguments, **others})


def gone(case_id: str) -> np.ndarray:
    """An image that is not there."""
    raise BoneAgeError(f"{case_id}.png: is gone; preprocess it again")
