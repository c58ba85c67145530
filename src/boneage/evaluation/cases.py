"""The best and worst predicted cases of a run, and a sheet of them."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from boneage.core.errors import BoneAgeError
from boneage.core.pictures import Picture
from boneage.images.sheets import sheet_of


def cases_by_error(joined: pd.DataFrame, seed: int = 0, count: int = 1) -> dict[str, pd.DataFrame]:
    """The cases with the best, median, random and worst predictions.

    Args:
        joined: Predictions with ground truth, from ``evaluation.join_truth``.
        seed: Seeds the random choice.
        count: Cases of each kind, fewer if there are fewer.

    Returns:
        ``best``, ``median``, ``random`` and ``worst`` -> rows of the table by absolute error, for ``worst``
        the largest error first. Ties are ordered by Case ID.

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
    """Best, median, random and worst predictions of a run with their images, one row each.

    Args:
        joined: Predictions with ground truth, from ``evaluation.join_truth``, of one split.
        read_image: Returns the image of a case, uint8 (size, size).
        seed: Seeds the random choice.
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
    """The caption of an image: ground truth, prediction and error in years."""
    off = f"{row['Error']:+z.2f}".replace("-", "−")
    return f"true {row['Bone Age']:.2f}, predicted {row['Prediction']:.2f}\nerror {off} years"
