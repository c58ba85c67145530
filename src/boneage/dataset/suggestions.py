"""Suggests corrections and augmentations that suit an image."""

import math
from collections.abc import Mapping, Set
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
from skimage.measure import regionprops

from boneage.anomalies.anomaly import LIKELY
from boneage.anomalies.hand import Hand
from boneage.anomalies.markers import has_letters, letter_boxes
from boneage.anomalies.masks import connected, square
from boneage.core.errors import BoneAgeError
from boneage.core.parallel import on_all_cores
from boneage.core.tables import skipped_table
from boneage.images.augmentations import GAMMAS, MOST_DEGREES, MOST_LEVELS
from boneage.images.operators import apply_operators, background_level, parse_corrections
from boneage.images.reading import read_file

# Measured on 1,025 real radiographs (972 of the RSNA challenge, 53 of the atlas). The hand's median grey
# level is from 40 to 155 in nine of ten, and is not carried out of that range.
_MIDDLE_LEVELS = (40.0, 155.0)
_USUAL_LEVEL = 95.0
_CLEAR_LEVELS = 90.0
_TRIES = 7
# Between the 5th and the 95th percentile of the hand lie fewer grey levels in 95 % of those that look flat to
# the eye, and more in 99 % of the others.
_FLAT_LEVELS = 50.0
# Nine in ten hands lie straighter, in degrees; those that look turned to the eye lie at 19 in the middle.
_ASKEW_DEGREES = 12.5
# A main axis says how a hand lies only where the hand is so much longer than wide.
_LONG = 2.0
# Nine in ten hands lose nothing of their upper four fifths when they are turned as far as is drawn. Below
# that it is the forearm's end, which is cut off anyhow.
_MOST_LOST = 0.005
_ABOVE_FOREARM = 0.8
_POSE_SIDE = 116


def suggest_corrections(image: np.ndarray, anomalies: pd.DataFrame) -> list[dict[str, Any]]:
    """Suggests corrections of an image's likely anomalies, in the order of ``operators.CORRECTIONS``.

    Args:
        image: uint8, (height, width), uncorrected.
        anomalies: Its rows of ``anomalies.ANOMALY_TABLE``.
    """
    likely = set(anomalies["kind"][anomalies["score"].astype(float) >= LIKELY])
    measured = anomalies.drop_duplicates("kind").set_index("kind")["measured"].astype(float).dropna()
    chosen = put_upright(image, likely, measured.to_dict())
    return chosen + _exposed(apply_operators(image, chosen), likely)


def put_upright(
    image: np.ndarray, likely: Set[str], measured: Mapping[str, float], hand: Hand | None = None
) -> list[dict[str, Any]]:
    """The part of :func:`suggest_corrections` that concerns polarity and pose, not exposure.

    Args:
        image: uint8, (height, width), uncorrected.
        likely: Kinds of its likely anomalies.
        measured: Rotation that corrects an anomaly, degrees anticlockwise, by kind.
        hand: What was found on the image, if that is known.
    """
    switches = (("inverted", "invert"), ("right hand", "flip"))
    chosen: list[dict[str, Any]] = [{"name": name} for kind, name in switches if kind in likely]
    if {"name": "flip"} in chosen:
        sides = ("x", "y", "width", "height")
        boxes = [{"name": "blank", **dict(zip(sides, box, strict=True))} for box in letter_boxes(image, hand)]
        chosen = boxes + chosen
    degrees = round((_turn_upright(likely, measured) + 180) % 360 - 180, 1)
    if degrees:
        # Mirrored, it leans to the other side.
        mirrored = {"name": "flip"} in chosen
        chosen.append({"name": "rotate", "degrees": -degrees if mirrored else degrees})
    return chosen


def _turn_upright(likely: Set[str], measured: Mapping[str, float]) -> float:
    """Degrees anticlockwise that turn the hand upright, or else its plate; 0 for none."""
    askew = measured.get("rotated", 0.0)
    if "rotated" in likely and "rotated" in measured:
        return askew
    if "tilted scan" in likely and "tilted scan" in measured:
        turn = measured["tilted scan"]
        # A plate that lies askew by design, under a hand that does not, is left.
        return turn if abs(askew - turn) <= max(MOST_DEGREES, abs(askew)) else 0.0
    return 0.0


def _exposed(image: np.ndarray, kinds: set[str]) -> list[dict[str, Any]]:
    """Brings the hand's median grey level into the range of real hands, and its grey levels apart."""
    chosen = _stretched(image) if "low contrast" in kinds else []
    middle = hand_levels(apply_operators(image, chosen))[1]
    too_dark = "dark" in kinds and middle < _USUAL_LEVEL and not chosen
    if too_dark or not _is_usual(middle):
        power = math.log(_USUAL_LEVEL / 255) / math.log(min(max(middle, 1), 254) / 255)
        chosen.append({"name": "gamma", "power": round(min(max(power, 0.25), 4.0), 2)})
    return chosen


def _stretched(image: np.ndarray) -> list[dict[str, Any]]:
    """Brightness and contrast for a flat hand: as much contrast as leaves the hand where real ones are."""
    low, middle, high = hand_levels(image)
    mean = round(float(image.mean()))
    wanted = min(max(_CLEAR_LEVELS / max(high - low, 1), 1.0), 4.0)
    for factor in np.linspace(wanted, 1.0, _TRIES).round(2).tolist():
        levels = round(_USUAL_LEVEL - mean - (middle - mean) * factor)
        chosen: list[dict[str, Any]] = [
            {"name": "brightness", "levels": min(max(levels, -100), 100)},
            {"name": "contrast", "factor": factor},
        ]
        # What the first step cuts off at black or white moves the mean, about which the second one works.
        if _is_usual(hand_levels(apply_operators(image, chosen))[1]):
            return chosen
    return []


def _is_usual(middle: float) -> bool:
    return _MIDDLE_LEVELS[0] <= middle <= _MIDDLE_LEVELS[1]


def hand_levels(image: np.ndarray) -> tuple[float, float, float]:
    """The 5th, 50th and 95th percentile of a hand's grey levels; of the image's where there is no hand."""
    small = cv2.resize(image, (_POSE_SIDE, _POSE_SIDE), interpolation=cv2.INTER_AREA)
    low, middle, high = np.percentile(small[_hand_of(small)], (5, 50, 95))
    return float(low), float(middle), float(high)


def suggest_augmentations(image: np.ndarray, laterality_matters: bool = False) -> list[str]:
    """Names of augmentations that suit an image, uint8 (height, width), by its exposure and pose.

    Copies should look like possible radiographs: the hand no darker or brighter than real ones, no flatter
    than before, entirely in the picture, and not far askew.

    Args:
        laterality_matters: Never mirror. With letters beside the hand, it is not mirrored anyway.
    """
    small = cv2.resize(image, (_POSE_SIDE, _POSE_SIDE), interpolation=cv2.INTER_AREA)
    hand = _hand_of(small)
    low, middle, high = np.percentile(small[hand], (5, 50, 95))
    least, most = _MIDDLE_LEVELS
    suits = {
        "flip": not laterality_matters and not has_letters(image),
        "rotate": _may_be_turned(hand),
        "tilt": not _may_be_turned(hand),
        "brighten": middle + MOST_LEVELS <= most and high + MOST_LEVELS <= 255,
        "darken": middle - MOST_LEVELS >= least and low >= MOST_LEVELS,
        "gamma lighter": 255 * (middle / 255) ** GAMMAS[0] <= most,
        "gamma darker": 255 * (middle / 255) ** GAMMAS[1] >= least,
        "contrast": high - low >= _FLAT_LEVELS,
        "contrast up": high - low < _FLAT_LEVELS,
        "clahe": high - low < _FLAT_LEVELS,
    }
    return [name for name, does in suits.items() if does]


def _hand_of(small: np.ndarray) -> np.ndarray:
    """The largest thing brighter than the background, bool (height, width); all of it where there is none."""
    bright = (small > background_level(small) + 10).astype(np.uint8)
    # The edges of plates are thin and would join what is apart.
    labels, facts = connected(cv2.morphologyEx(bright, cv2.MORPH_OPEN, square(1)))
    return labels == 1 + int(np.argmax(facts[1:, 4])) if len(facts) > 1 else np.ones(small.shape, bool)


def _may_be_turned(hand: np.ndarray) -> bool:
    """Whether a hand stays in the square and upright when it is turned as far as rotations are drawn."""
    side = len(hand)
    for degrees in (-MOST_DEGREES, MOST_DEGREES):
        turn = cv2.getRotationMatrix2D(((side - 1) / 2, (side - 1) / 2), -degrees, 1.0)
        stays = cv2.warpAffine(np.ones(hand.shape, np.uint8), turn, (side, side))
        lost = hand & (stays == 0)
        if lost[: int(_ABOVE_FOREARM * side)].sum() > _MOST_LOST * hand.sum():
            return False
    (shape,) = regionprops(hand.astype(np.uint8))
    long, short = shape.inertia_tensor_eigvals
    return abs(math.degrees(shape.orientation)) <= _ASKEW_DEGREES or long < _LONG * short


def suggest_for(
    corrections: Mapping[str, str], images: Path | str, laterality_matters: bool = False
) -> tuple[dict[str, list[str]], pd.DataFrame]:
    """Suggests augmentations for many images, corrected first.

    Args:
        corrections: JSON by case id.
        images: Folder of preprocessed images, ``<case_id>.png``.
        laterality_matters: See :func:`suggest_augmentations`.

    Returns:
        What :func:`plan.balanced_plan` takes as ``allowed``, and ``SKIPPED_TABLE`` with the images that
        cannot be read.
    """
    folder = Path(images)

    def suggest(case_id: str) -> tuple[str, list[str] | str]:
        try:
            image = read_file(folder / f"{case_id}.png")
            image = apply_operators(image, parse_corrections(corrections[case_id]))
        except BoneAgeError as error:
            return case_id, str(error)
        return case_id, suggest_augmentations(image, laterality_matters)

    done = list(on_all_cores(suggest, list(corrections), "Suggest augmentations", in_order=True))
    found = {case_id: one for case_id, one in done if not isinstance(one, str)}
    return found, skipped_table((case_id, one) for case_id, one in done if isinstance(one, str))


def mirrored_letters(corrections: Mapping[str, str], images: Path | str) -> list[str]:
    """The cases whose corrections mirror the image with letters that nobody blanked; arguments as above."""

    def shows(case_id: str) -> bool:
        chosen = parse_corrections(corrections[case_id])
        try:
            return has_letters(apply_operators(read_file(Path(images) / f"{case_id}.png"), chosen))
        except BoneAgeError:
            return False

    return [case_id for case_id, text in corrections.items() if '"flip"' in text and shows(case_id)]
