"""A work folder for tests, as the first stages leave it."""

import cv2
import numpy as np
import pandas as pd
import pytest

from boneage import pipeline
from boneage.core.settings import Settings
from boneage.workspace import Workspace

CASES = 40
TOTAL = 90


def workspace_of(tmp_path, **chosen) -> Workspace:
    values = {"image_size": 96, "train_size": 32, "total": TOTAL, "validation_share": 0.2, "test_share": 0.2}
    values |= {"data": str(tmp_path / "rsna"), "work": str(tmp_path / "work")}
    return Workspace(Settings(source="rsna", **values | chosen))


@pytest.fixture
def prepared(tmp_path) -> Workspace:
    """A work folder with cases and images of blobs, as the first stages leave it."""
    return prepare(tmp_path)


def prepare(tmp_path) -> Workspace:
    """See :func:`prepared`."""
    images = tmp_path / "rsna" / "images"
    images.mkdir(parents=True)
    rows = []
    for number in range(CASES):
        noise = np.random.default_rng(number).normal(90, 60, (96, 96)).astype(np.float32)
        image = np.clip(cv2.GaussianBlur(noise, (0, 0), 4) * 3 - 180, 0, 255).astype(np.uint8)
        cv2.imwrite(str(images / f"{2000 + number}.png"), image)
        rows.append((2000 + number, 24 + 12 * (number % 10), number % 3 == 0))
    table = pd.DataFrame(rows, columns=["id", "boneage", "male"])
    table.to_csv(tmp_path / "rsna" / "boneage.csv", index=False)
    work = workspace_of(tmp_path)
    pipeline.make_cases(work)
    pipeline.make_images(work)
    return work
