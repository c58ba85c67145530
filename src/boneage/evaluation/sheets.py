"""Sheets of images for the eye: anomalous ones, what operators do, copies, and predictions good and bad."""

import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np
import pandas as pd

from boneage.core.errors import BoneAgeError
from boneage.core.pictures import Picture
from boneage.evaluation.metrics import cases_by_error
from boneage.images.operators import apply_operators, parse_operators
from boneage.images.sheets import contact_sheet

_BOX_SHARE = 0.01

# One mild and one strong setting of each operator, such as a person may choose.
SHOWN_OPERATORS = (
    ("as it is", {}),
    ("flip", {"name": "flip"}),
    ("rotate 8 degrees", {"name": "rotate", "degrees": 8}),
    ("darker", {"name": "brightness", "levels": -40}),
    ("brighter", {"name": "brightness", "levels": 40}),
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


def with_box(image: np.ndarray, box: tuple[float, float, float, float]) -> np.ndarray:
    """A copy of an image with a box drawn: white beside black, so that it shows on any grey level.

    Args:
        image: uint8, (height, width).
        box: x, y, width, height in shares of the image's width and height.

    Returns:
        uint8, (height, width).
    """
    height, width = image.shape
    x, y, wide, high = box
    first = (round(x * width), round(y * height))
    last = (round((x + wide) * width), round((y + high) * height))
    line = max(1, round(_BOX_SHARE * min(image.shape) / 2))
    drawn = image.copy()
    for level, thickness in ((0, 3 * line), (255, line)):
        cv2.rectangle(drawn, first, last, level, thickness)
    return drawn


def anomaly_sheet(
    anomalies: pd.DataFrame, read_image: Callable[[str], np.ndarray], count: int = 12
) -> Picture:
    """The images at the front of the queue, each with its id and its most urgent anomaly.

    Args:
        anomalies: ``anomalies.ANOMALY_TABLE``, highest score first.
        read_image: The image of a case, uint8 (size, size); one that cannot be read is left out.
        count: Images at most.
    """
    images: list[tuple[str, np.ndarray]] = []
    for row in anomalies.drop_duplicates("case_id").itertuples():
        if len(images) == count:
            break
        try:
            image = read_image(row.case_id)
        except BoneAgeError:
            continue
        box = (row.x, row.y, row.width, row.height)
        drawn = image if np.isnan(box).any() else with_box(image, box)
        images.append((f"{row.case_id}\n{row.kind} {row.score:.2f}", drawn))
    return sheet_of(images, "What was found odd, the most urgent first", columns=4, thumb=220)


def operator_sheet(image: np.ndarray) -> Picture:
    """An image beside what each operator makes of it.

    Args:
        image: uint8, (size, size).
    """
    shown = [
        (caption, apply_operators(image, [operator] if operator else []))
        for caption, operator in SHOWN_OPERATORS
    ]
    return sheet_of(shown, "One image and what each operator makes of it", columns=5, thumb=180)


def copies_sheet(copies: Iterable[tuple[str, str]], folder: Path | str, count: int = 12) -> Picture:
    """A case and its changed copies, each with the operators that made it.

    Args:
        copies: Id and operators (JSON) of one case's images, the case itself first.
        folder: Where the images lie, ``<id>.png``.
        count: Images at most.

    Raises:
        BoneAgeError: An image cannot be read.
    """
    shown = [
        ("\n".join(words_of(operators) or ["as it is"]), Path(folder) / f"{image_id}.png")
        for image_id, operators in itertools.islice(copies, count)
    ]
    # One image alone has the room of several.
    return sheet_of(shown, "A case and its changed copies", columns=4, thumb=220 if len(shown) > 1 else 460)


def words_of(operators: str) -> list[str]:
    """Each operator of a list in JSON by its name and its strength, such as ``rotate 8``."""
    return [
        " ".join(
            [
                one["name"],
                *(f"{value:g}".replace("-", "−") for value in one.values() if type(value) in (int, float)),
            ]
        )
        for one in parse_operators(operators)
    ]


def predictions_sheet(
    joined: pd.DataFrame, read_image: Callable[[str], np.ndarray], seed: int = 0, count: int = 4
) -> Picture:
    """The best, the middle, random and the worst predictions of a run, a row each, with their images.

    Args:
        joined: Predictions beside the truth, as ``evaluation.join_truth`` makes it; of one split, for a run's
            training cases say nothing about others.
        read_image: The image of a case, uint8 (size, size).
        seed: Draws the random ones.
        count: Images in a row.

    Raises:
        BoneAgeError: There is no case, or an image cannot be read.
    """
    shown = [
        (f"{kind}: {row['Case ID']}\n{words_of_prediction(row)}", read_image(row["Case ID"]))
        for kind, rows in cases_by_error(joined, seed, count).items()
        for row in rows.to_dict("records")
    ]
    words = "Rows: best, median, random and worst predictions"
    return sheet_of(shown, words, columns=min(count, len(joined)), thumb=220)


def words_of_prediction(row: Mapping[str, object]) -> str:
    """What stands beneath an image: truth and prediction, and how far that is off, in years."""
    off = f"{row['Error']:+z.2f}".replace("-", "−")
    return f"true {row['Bone Age']:.2f}, said {row['Prediction']:.2f}\noff by {off} years"


def sheet_of(
    images: Sequence[tuple[str, np.ndarray | Path]], words: str, columns: int = 4, thumb: int = 220
) -> Picture:
    """A contact sheet whose words are its captions.

    Args:
        images: As ``preprocess.contact_sheet`` takes them.
        words: What the sheet is of.
        columns: Images in a row.
        thumb: Side of a small copy in pixels.

    Raises:
        BoneAgeError: A path that cannot be read as an image.
    """
    captions = "; ".join(caption.replace("\n", ", ") for caption, _ in images)
    return Picture(contact_sheet(images, columns, thumb), f"{words}. {captions or 'None'}.")
