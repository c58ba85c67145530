"""The cases that a run predicts best and worst, and how they are shown."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from boneage.core.errors import BoneAgeError
from boneage.core.pictures import Picture
from boneage.images.sheets import sheet_of


def cases_by_error(joined: pd.DataFrame, seed: int = 0, count: int = 1) -> dict[str, pd.DataFrame]:
    """The cases whose predictions are nearest, in the middle, drawn at random, and farthest off.

    Args:
        joined: Predictions beside the truth, as ``evaluation.join_truth`` makes it.
        seed: Draws the random ones.
        count: Cases of each kind, fewer where there are fewer.

    Returns:
        ``best``, ``median``, ``random`` and ``worst`` -> rows of the table, by absolute error; the worst
        first among the worst. Of cases equally far off the one whose Case ID comes first.

    Raises:
        BoneAgeError: There is no case.
    """
    if joined.empty:
        raise BoneAgeError("cases by error: there are none; choose a split that has cases")
    ordered = joined.assign(Off=joined["Error"].abs()).sort_values(["Off", "Case ID"]).drop(columns="Off")
    count = min(count, len(ordered))
    first = (len(ordered) - count) // 2
    return {
        "best": ordered.head(count),
        "median": ordered.iloc[first : first + count],
        "random": ordered.sample(count, random_state=seed),
        "worst": ordered.tail(count)[::-1],
    }


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


def words_of_prediction(row: Mapping[Any, Any]) -> str:
    """What stands beneath an image: truth and prediction, and how far that is off, in years."""
    off = f"{row['Error']:+z.2f}".replace("-", "−")
    return f"true {row['Bone Age']:.2f}, said {row['Prediction']:.2f}\noff by {off} years"
