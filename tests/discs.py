"""Small images for tests that train: a disc tells the age by its size."""

from pathlib import Path

import cv2
import numpy as np
import pandas as pd
from labelling import untouched_labels

from boneage.core.tables import CASE_TABLE
from boneage.dataset.labels import write_labels
from boneage.dataset.pack import build_pack

SIZE = 32


def disc(years: float, seed: int) -> np.ndarray:
    """An image that tells its age by the size of a disc: uint8, (SIZE, SIZE)."""
    image = np.random.default_rng(seed).integers(0, 60, (SIZE, SIZE), np.uint8)
    return cv2.circle(image, (SIZE // 2, SIZE // 2), int(2 + years / 2), 220, -1)


def disc_work(root: Path, shown: np.ndarray, years: np.ndarray, sex: np.ndarray) -> Path:
    """Fills a work folder with images, a label CSV and a pack.

    Args:
        root: The folder.
        shown: Age that each image shows in years, (images,).
        years: Its label in years, (images,).
        sex: ``"F"`` or ``"M"``, (images,).
    """
    (root / "images").mkdir()
    ids = [f"{number:04d}" for number in range(len(shown))]
    for seed, (image_id, age) in enumerate(zip(ids, shown, strict=True)):
        cv2.imwrite(str(root / "images" / f"{image_id}.png"), disc(age, seed))
    cases = pd.DataFrame(
        {"case_id": ids, "image": ids, "source": "dha", "sex": sex, "race": "Asian", "bone_age": years},
        columns=list(CASE_TABLE),
    )
    write_labels(root / "labels.csv", untouched_labels(cases))
    build_pack(ids, root / "images", SIZE, root / "pack")
    return root


def plain_work(root: Path) -> Path:
    """A work folder of 80 girls, whose images show the age on their label."""
    years = np.arange(80) % 20 * 0.9
    return disc_work(root, years, years, np.full(80, "F"))
