"""What suits an image, from its own exposure and pose."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd

from boneage.anomalies.markers import has_letters, letter_boxes
from boneage.anomalies.suspicion import LIKELY
from boneage.core.errors import BoneAgeError
from boneage.core.parallel import on_all_cores
from boneage.core.tables import skipped_table
from boneage.images.augmentations import GAMMAS, MOST_DEGREES, MOST_SHADES
from boneage.images.operators import apply_operators, background_shade, parse_corrections
from boneage.images.reading import read_file

# Measured on 1,025 real radiographs (972 of the RSNA challenge, 53 of the atlas). The hand's median shade
# is from 40 to 155 in nine of ten, and is not carried out of that range.
_MIDDLE_SHADES = (40.0, 155.0)
_USUAL_SHADE = 95.0
_CLEAR_SHADES = 90.0
_TRIES = 7
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


def suggest_corrections(photo: np.ndarray, suspicions: pd.DataFrame) -> list[dict[str, Any]]:
    """What may put an image right, from what the detectors measured on it and found likely.

    Args:
        photo: uint8, (height, width), as it came.
        suspicions: The rows of its case in the suspicion table (``anomalies.SUSPICION_COLUMNS``).

    Returns:
        Operators with values, in the order of ``operators.CORRECTIONS``.
    """
    likely = suspicions[suspicions["score"].astype(float) >= LIKELY]
    likely = likely.drop_duplicates("kind").set_index("kind")
    switches = (("inverted", "invert"), ("right hand", "flip"))
    chosen: list[dict[str, Any]] = [{"name": name} for kind, name in switches if kind in likely.index]
    if {"name": "flip"} in chosen:
        sides = ("x", "y", "width", "height")
        boxes = [{"name": "blank", **dict(zip(sides, box, strict=True))} for box in letter_boxes(photo)]
        chosen = boxes + chosen
    degrees = round((float(_turn_upright(likely, suspicions)) + 180) % 360 - 180, 1)
    if degrees:
        # Mirrored, it leans to the other side.
        mirrored = {"name": "flip"} in chosen
        chosen.append({"name": "rotate", "degrees": -degrees if mirrored else degrees})
    return chosen + _exposed(apply_operators(photo, chosen), set(likely.index))


def _turn_upright(likely: pd.DataFrame, suspicions: pd.DataFrame) -> float:
    """The degrees anticlockwise that put a hand upright, or else the plate that it lies on; 0 for none."""
    if "measured" not in suspicions:
        return 0.0
    measured = suspicions.drop_duplicates("kind").set_index("kind")["measured"].astype(float).dropna()
    askew = measured.get("rotated", 0.0)
    if "rotated" in likely.index and "rotated" in measured:
        return askew
    if "tilted scan" in likely.index and "tilted scan" in measured:
        turn = measured["tilted scan"]
        # A plate that lies askew by design, under a hand that does not, is left.
        return turn if abs(askew - turn) <= max(MOST_DEGREES, abs(askew)) else 0.0
    return 0.0


def _exposed(photo: np.ndarray, kinds: set[str]) -> list[dict[str, Any]]:
    """What carries the hand's middle shade into the range of real hands, and its shades apart."""
    chosen = _stretched(photo) if "low contrast" in kinds else []
    middle = hand_shades(apply_operators(photo, chosen))[1]
    too_dark = "dark" in kinds and middle < _USUAL_SHADE and not chosen
    if too_dark or not _is_usual(middle):
        power = math.log(_USUAL_SHADE / 255) / math.log(min(max(middle, 1), 254) / 255)
        chosen.append({"name": "gamma", "power": round(min(max(power, 0.25), 4.0), 2)})
    return chosen


def _stretched(photo: np.ndarray) -> list[dict[str, Any]]:
    """Brightness and contrast for a flat hand: as much contrast as leaves the hand where real ones are."""
    low, middle, high = hand_shades(photo)
    mean = round(float(photo.mean()))
    wanted = min(max(_CLEAR_SHADES / max(high - low, 1), 1.0), 4.0)
    for factor in np.linspace(wanted, 1.0, _TRIES).round(2).tolist():
        shades = round(_USUAL_SHADE - mean - (middle - mean) * factor)
        chosen: list[dict[str, Any]] = [
            {"name": "brightness", "shades": min(max(shades, -100), 100)},
            {"name": "contrast", "factor": factor},
        ]
        # What the first step cuts off at black or white moves the mean, about which the second one works.
        if _is_usual(hand_shades(apply_operators(photo, chosen))[1]):
            return chosen
    return []


def _is_usual(middle: float) -> bool:
    return _MIDDLE_SHADES[0] <= middle <= _MIDDLE_SHADES[1]


def hand_shades(photo: np.ndarray) -> tuple[float, float, float]:
    """The 5th, 50th and 95th percentile of a hand's shades; of the whole image where there is no hand."""
    small = cv2.resize(photo, (_POSE_SIDE, _POSE_SIDE), interpolation=cv2.INTER_AREA)
    low, middle, high = np.percentile(small[_hand_of(small)], (5, 50, 95))
    return float(low), float(middle), float(high)


def suggest_augmentations(photo: np.ndarray, laterality_matters: bool = False) -> list[str]:
    """Names that suit a photo, from its own exposure and pose.

    A copy is to look like a radiograph that could have come in: the hand neither darker nor brighter than
    real ones are, not flatter than it was, all of it in the picture, and not far askew.

    Args:
        photo: uint8, (height, width).
        laterality_matters: Whether a mirrored hand would be a wrong hand. With letters beside it none is
            mirrored anyhow.

    Returns:
        Names that :func:`boneage.dataset.plan.balanced_plan` draws from.
    """
    small = cv2.resize(photo, (_POSE_SIDE, _POSE_SIDE), interpolation=cv2.INTER_AREA)
    hand = _hand_of(small)
    low, middle, high = np.percentile(small[hand], (5, 50, 95))
    least, most = _MIDDLE_SHADES
    suits = {
        "flip": not laterality_matters and not has_letters(photo),
        "rotate": _may_be_turned(hand),
        "tilt": not _may_be_turned(hand),
        "brighten": middle + MOST_SHADES <= most and high + MOST_SHADES <= 255,
        "darken": middle - MOST_SHADES >= least and low >= MOST_SHADES,
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
    corrections: Mapping[str, str], photos: Path | str, laterality_matters: bool = False
) -> tuple[dict[str, list[str]], pd.DataFrame]:
    """Suggests augmentations for many images, each put right first.

    Args:
        corrections: JSON of what puts the image right, by case id.
        photos: Folder of preprocessed photos, ``<case_id>.png``.
        laterality_matters: Whether a mirrored hand would be a wrong hand.

    Returns:
        What :func:`plan.balanced_plan` takes as ``allowed``, in the order of ``corrections``, and the
        photos that could not be read with the reason (``item``, ``reason``); those are not in the former.
    """
    folder = Path(photos)

    def suggest(case_id: str) -> tuple[str, list[str] | None, str]:
        try:
            photo = read_file(folder / f"{case_id}.png")
            photo = apply_operators(photo, parse_corrections(corrections[case_id]))
        except BoneAgeError as error:
            return case_id, None, str(error)
        return case_id, suggest_augmentations(photo, laterality_matters), ""

    found, faults = {}, {}
    for case_id, names, reason in on_all_cores(suggest, list(corrections), "Suggest augmentations"):
        if names is None:
            faults[case_id] = reason
        else:
            found[case_id] = names
    return (
        {case_id: found[case_id] for case_id in corrections if case_id in found},
        skipped_table((case_id, faults[case_id]) for case_id in corrections if case_id in faults),
    )


def mirrored_letters(corrections: Mapping[str, str], photos: Path | str) -> list[str]:
    """The cases whose image is mirrored to put it right, and with it letters that nobody blanked.

    Args:
        corrections: JSON of what puts the image right, by case id.
        photos: Folder of preprocessed photos, ``<case_id>.png``.
    """

    def shows(case_id: str) -> bool:
        chosen = parse_corrections(corrections[case_id])
        try:
            return has_letters(apply_operators(read_file(Path(photos) / f"{case_id}.png"), chosen))
        except BoneAgeError:
            return False

    return [case_id for case_id, text in corrections.items() if '"flip"' in text and shows(case_id)]
