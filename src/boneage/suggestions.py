"""What suits an image, from its own exposure and pose."""

import math
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import pandas as pd

from boneage.augmentations import GAMMAS, MOST_DEGREES, MOST_SHADES
from boneage.errors import BoneAgeError
from boneage.operators import background_shade
from boneage.reading import read_file
from boneage.runtime import on_all_cores
from boneage.tables import skipped_table

# Measured on 1,025 real radiographs (972 of the RSNA challenge, 53 of the atlas). The hand's median shade
# is from 40 to 155 in nine of ten, and is not carried out of that range.
_MIDDLE_SHADES = (40.0, 155.0)
# Between the 5th and the 95th percentile of the hand lie fewer shades in 95 % of those that look flat to the
# eye, and more in 99 % of the others.
_FLAT_SHADES = 50.0
# Nine in ten hands lie straighter, in degrees; those that look turned to the eye lie at 19 in the middle.
_ASKEW_DEGREES = 12.5
# A main axis says how a hand lies only where the hand is so much longer than wide.
_LONG = 2.0
# Nine in ten hands lose nothing of their upper four fifths when they are turned as far as is drawn. Below
# that it is the forearm's end, which is cut off anyhow.
_MOST_LOST = 0.005
_ABOVE_FOREARM = 0.8
_POSE_SIDE = 116


def suggest_operators(photo: np.ndarray, laterality_matters: bool = False) -> list[str]:
    """Names that suit a photo, from its own exposure and pose.

    A copy is to look like a radiograph that could have come in: the hand neither darker nor brighter than
    real ones are, not flatter than it was, all of it in the picture, and not far askew.

    Args:
        photo: uint8, (height, width).
        laterality_matters: Whether a mirrored hand would be a wrong hand.

    Returns:
        Names that :func:`boneage.plan.balanced_plan` draws from.
    """
    small = cv2.resize(photo, (_POSE_SIDE, _POSE_SIDE), interpolation=cv2.INTER_AREA)
    hand = _hand_of(small)
    low, middle, high = np.percentile(small[hand], (5, 50, 95))
    least, most = _MIDDLE_SHADES
    suits = {
        "flip": not laterality_matters,
        "rotate": _may_be_turned(hand),
        "tilt": not _may_be_turned(hand),
        "brighten": middle + MOST_SHADES <= most and high + MOST_SHADES <= 255,
        "darken": middle - MOST_SHADES >= least,
        "gamma lighter": 255 * (middle / 255) ** GAMMAS[0] <= most,
        "gamma darker": 255 * (middle / 255) ** GAMMAS[1] >= least,
        "contrast": high - low >= _FLAT_SHADES,
        "contrast up": high - low < _FLAT_SHADES,
        "clahe": high - low < _FLAT_SHADES,
    }
    return [name for name, does in suits.items() if does]


def _hand_of(small: np.ndarray) -> np.ndarray:
    """The largest thing brighter than the background, bool (height, width); all of it where there is none."""
    bright = (small > background_shade(small) + 10).astype(np.uint8)
    # The edges of plates are thin and would join what is apart.
    opened = cv2.morphologyEx(bright, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
    things, of_pixel, facts, _ = cv2.connectedComponentsWithStats(opened)
    if things == 1:
        return np.ones(small.shape, bool)
    return of_pixel == 1 + int(np.argmax(facts[1:, cv2.CC_STAT_AREA]))


def _may_be_turned(hand: np.ndarray) -> bool:
    """Whether a hand stays in the square and upright when it is turned as far as rotations are drawn."""
    side = len(hand)
    for degrees in (-MOST_DEGREES, MOST_DEGREES):
        turn = cv2.getRotationMatrix2D(((side - 1) / 2, (side - 1) / 2), -degrees, 1.0)
        stays = cv2.warpAffine(np.ones(hand.shape, np.uint8), turn, (side, side))
        lost = hand & (stays == 0)
        if lost[: int(_ABOVE_FOREARM * side)].sum() > _MOST_LOST * hand.sum():
            return False
    spread = cv2.moments(hand.astype(np.uint8), True)
    moments = np.array([[spread["mu20"], spread["mu11"]], [spread["mu11"], spread["mu02"]]])
    (short, long), axes = np.linalg.eigh(moments)
    askew = math.degrees(math.atan2(abs(axes[0, 1]), abs(axes[1, 1])))
    return askew <= _ASKEW_DEGREES or long < _LONG * short


def suggest_for(
    case_ids: Sequence[str], photos: Path | str, laterality_matters: bool = False
) -> tuple[dict[str, list[str]], pd.DataFrame]:
    """Suggests operators for many photos.

    Args:
        case_ids: Whose photos.
        photos: Folder of preprocessed photos, ``<case_id>.png``.
        laterality_matters: Whether a mirrored hand would be a wrong hand.

    Returns:
        What :func:`boneage.plan.balanced_plan` takes as ``allowed``, in the order of ``case_ids``, and the
        photos that could not be read with the reason (``item``, ``reason``); those are not in the former.
    """
    folder = Path(photos)

    def suggest(case_id: str) -> tuple[str, list[str] | None, str]:
        try:
            photo = read_file(folder / f"{case_id}.png")
        except BoneAgeError as error:
            return case_id, None, str(error)
        return case_id, suggest_operators(photo, laterality_matters), ""

    found, faults = {}, {}
    for case_id, names, reason in on_all_cores(suggest, list(case_ids), "Suggest operators"):
        if names is None:
            faults[case_id] = reason
        else:
            found[case_id] = names
    return (
        {case_id: found[case_id] for case_id in case_ids if case_id in found},
        skipped_table((case_id, faults[case_id]) for case_id in case_ids if case_id in faults),
    )
