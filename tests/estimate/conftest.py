"""Two tiny networks trained for a moment on drawn hands."""

from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
from labelling import untouched_labels

from boneage.core.settings import Settings
from boneage.core.tables import CASE_TABLE
from boneage.dataset.labels import read_labels, write_labels
from boneage.dataset.pack import build_pack, open_pack
from boneage.images.square import square
from boneage.phantom.drawing import draw_hand

SIZE = 48
HANDS = 90


@pytest.fixture(scope="session")
def runs(tmp_path_factory) -> list[Path]:
    """The folders of two finished runs, one of which takes the sex, in the work folder of their cases."""
    from boneage.training import train

    root = tmp_path_factory.mktemp("work")
    (root / "images").mkdir()
    ids = [f"{number:04d}" for number in range(HANDS)]
    years, sexes = np.linspace(1.0, 17.5, HANDS), ["FM"[number % 2] for number in range(HANDS)]
    for seed, (one, age, sex) in enumerate(zip(ids, years, sexes, strict=True)):
        image = draw_hand(age, sex, seed, height=300).image
        cv2.imwrite(str(root / "images" / f"{one}.png"), square(image, 2 * SIZE))
    rows = {"case_id": ids, "image": ids, "source": "phantom", "sex": sexes, "race": "Asian"}
    cases = pd.DataFrame(rows | {"bone_age": years}, columns=list(CASE_TABLE))
    write_labels(root / "labels.csv", untouched_labels(cases))
    # Read back, as a run is known by the labels as they lie in the file.
    labels = read_labels(root / "labels.csv")
    build_pack(ids, root / "images", SIZE, root / f"pack-{SIZE}")
    for seed, variant in ((1, "sex"), (2, "")):
        settings = Settings(train_seed=seed, width="tiny", learning_rate=3e-3)
        pack = open_pack(root / f"pack-{SIZE}")
        train("cnn", 4, labels, pack, settings, root / "runs", variant)
    return sorted((root / "runs").glob("cnn-*/"))


@pytest.fixture(scope="session")
def ensemble(runs):
    """The mean of the two networks, with their cases."""
    from boneage.estimate import load_ensemble

    return load_ensemble(runs)


@pytest.fixture(scope="session")
def models(ensemble, tmp_path_factory) -> Path:
    """The ensemble as a folder of models."""
    from boneage.estimate import write_models

    return write_models(ensemble, tmp_path_factory.mktemp("models") / "drawn")
