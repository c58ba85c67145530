"""Small photos for tests that train: a disc tells the age by its size."""

from pathlib import Path

import cv2
import numpy as np
import pandas as pd
from labelling import untouched_labels

from boneage.core.tables import CASE_COLUMNS
from boneage.dataset.labels import write_labels
from boneage.dataset.pack import build_store

SIZE = 32


def disc(years: float, seed: int) -> np.ndarray:
    """A photo that tells its age by the size of a disc: uint8, (SIZE, SIZE)."""
    photo = np.random.default_rng(seed).integers(0, 60, (SIZE, SIZE), np.uint8)
    return cv2.circle(photo, (SIZE // 2, SIZE // 2), int(2 + years / 2), 220, -1)


def disc_work(root: Path, shown: np.ndarray, years: np.ndarray, sex: np.ndarray) -> Path:
    """Fills a work folder with photos, a label CSV and a store.

    Args:
        root: The folder.
        shown: Age that each photo shows in years, (photos,).
        years: Its label in years, (photos,).
        sex: ``"F"`` or ``"M"``, (photos,).
    """
    (root / "photos").mkdir()
    ids = [f"{number:04d}" for number in range(len(shown))]
    for seed, (photo_id, age) in enumerate(zip(ids, shown, strict=True)):
        cv2.imwrite(str(root / "photos" / f"{photo_id}.png"), disc(age, seed))
    cases = pd.DataFrame(
        {"case_id": ids, "photo": ids, "source": "dha", "sex": sex, "race": "Asian", "bone_age": years},
        columns=list(CASE_COLUMNS),
    )
    write_labels(root / "labels.csv", untouched_labels(cases))
    build_store(ids, root / "photos", SIZE, root / "store.npy")
    return root


def plain_work(root: Path) -> Path:
    """A work folder of 80 girls, whose photos show the age on their label."""
    years = np.arange(80) % 20 * 0.9
    return disc_work(root, years, years, np.full(80, "F"))
