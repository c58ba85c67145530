"""The embedded atlas: drawn left-hand radiographs in the Digital Hand Atlas's own tree.

Nothing is downloaded. A hand is laid out by :mod:`boneage.skeleton` after the ages in
:mod:`boneage.ossification`, then projected the way X-rays do: thicknesses of bone and soft tissue add up,
the sum is exposed, blurred, and gets the noise of few photons. The pictures are schematic; a number
measured on them says that the code works, nothing about children.
"""

import dataclasses
import json
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
from tqdm.auto import tqdm

from boneage.errors import BoneAgeError
from boneage.files import atomic_write, make_folder, write_text
from boneage.ossification import MATURE_YEARS, check_sex, tempo_spread
from boneage.skeleton import HAND_UNITS, Bone, Pose, Skeleton, build_skeleton
from boneage.tables import SEXES, write_table

ANOMALIES = ("ring", "bracelet", "unreadable", "growth")
"""What can be wrong with a phantom: metal on a finger, metal on the wrist, bones that cannot be read, and
a skeleton far from what the age lets expect."""

RACE_CODES = {"ASI": "Asian", "BLK": "African American", "CAU": "Caucasian", "HIS": "Hispanic American"}
LARGEST_ATLAS = 9000
"""Photos that an atlas can hold: case numbers have four digits and start at 1000."""

READER_DIFFERENCE_YEARS = 0.63
"""Root mean square of the difference between the two readers of the Digital Hand Atlas."""

STAMP_NAME = "phantom.json"
_DRAWING_VERSION = 1
_FIRST_NUMBER = 1000
_HEIGHT = 1400
# Bones are drawn smaller than the photo, which has no detail that fine, and soft tissue smaller still.
_BONE_SCALE = 0.6
_TISSUE_SCALE = 0.2


@dataclass(frozen=True)
class PhantomHand:
    """One drawn radiograph and the truth about it.

    Attributes:
        photo: The photo, (height, width) uint8, bones bright.
        centres: Pixel (x, y) of each growth centre that has appeared and lies inside the photo.
        fusion: How far the growth plate of each of those has closed, 0 to 1.
        anomaly_box: Box of the anomaly in pixels, (x, y, width, height), or None.
    """

    photo: np.ndarray
    centres: dict[str, tuple[float, float]]
    fusion: dict[str, float]
    anomaly_box: tuple[int, int, int, int] | None
