"""Weights learnt from drawn hands, for networks that have no others to begin with.

Drawn hands cost nothing, never run out and have a known age. What a network learns of bones from them it
does not have to learn from the few hundred radiographs of a study.
"""

from pathlib import Path

import cv2
import numpy as np
import pandas as pd

from boneage.core.files import LIVING_SECONDS, atomic_write, make_folder, remove_leftovers
from boneage.core.parallel import on_all_cores
from boneage.core.settings import Settings
from boneage.core.tables import LABEL_TABLE, SEXES, skipped_table
from boneage.dataset.labels import Labels
from boneage.dataset.pack import Pack, build_pack, open_pack
from boneage.evaluation import Run, key_of, read_run
from boneage.phantom.drawing import draw_hand
from boneage.phantom.ossification import MATURE_YEARS, tempo_spread
from boneage.training.first_weights import pretrained_runs
from boneage.training.run import train

EPOCHS = 8

# Of its own, so that all runs of a network begin with the same weights.
SEED = 2026

HEIGHTS = (3.2, 5.0)
"""The range of the heights that hands are drawn at, in sides of the packed images: they are made smaller, as
radiographs are, and four times as quickly drawn as at an atlas's size."""

_OLDEST = 19.0
_QUALITY = (70, 95)
_SPLITS = ("train",) * 18 + ("validation", "test")


def pretrain(network: str, settings: Settings, variant: str = "", epochs: int = EPOCHS) -> Run:
    """Trains a network on drawn hands, or goes on where it stopped; what is finished is left alone.

    Args:
        network: Key of the network.
        settings: As for :func:`boneage.training.train`; size of the images, number of hands and folder, too.
        variant: One of ``settings.VARIANTS`` that is trained.
        epochs: Epochs of the training.

    Returns:
        The finished run.

    Raises:
        BoneAgeError: See :func:`boneage.training.train`.
    """
    settings = settings.replace(weights="scratch", train_seed=SEED)
    runs = make_folder(pretrained_runs(settings.train_size, settings))
    labels, pack = draw_hands(settings.hands, settings.train_size, runs)
    record = train(network, epochs, labels, pack, settings, runs, variant)
    return read_run(runs / str(key_of(record)))


def draw_hands(count: int, size: int, folder: Path) -> tuple[Labels, Pack]:
    """Drawn hands of all ages, packed; what was drawn before is kept.

    Args:
        count: How many.
        size: Side of the packed images in pixels.
        folder: Where they go.

    Returns:
        Their labels and images; the same arguments give the same.
    """
    hands = plan_hands(count)
    # Of another number, the same ids are other hands.
    files = make_folder(folder / "hands" / str(count))
    remove_leftovers(files, LIVING_SECONDS)

    def draw(hand: dict) -> None:
        height = max(200, round(hand["height"] * size))
        image = draw_hand(hand["bone_age"], hand["sex"], hand["seed"], None, hand["age"], height).image
        data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, hand["quality"]])[1]
        with atomic_write(files / f"{hand['id']}.jpg", sync=False) as file:
            file.write(data.tobytes())

    missing = [one for one in hands.to_dict("records") if not (files / f"{one['id']}.jpg").is_file()]
    for _ in on_all_cores(draw, missing, "Drawing hands"):
        pass
    path = folder / f"hands-{count}"
    build_pack(hands["id"].tolist(), files, size, path)
    labels = pd.DataFrame(
        {
            "Case ID": hands["id"],
            "Bone Age": hands["bone_age"],
            "Male": hands["sex"] == "M",
            "Location": "Unknown",
            "Split": [_SPLITS[number % len(_SPLITS)] for number in range(count)],
            "Source ID": hands["id"],
            "Operators": "",
        },
        columns=list(LABEL_TABLE),
    )
    return Labels(labels, "ages of drawn hands", "phantom", skipped_table([])), open_pack(path)


def plan_hands(count: int) -> pd.DataFrame:
    """Who is drawn: ``id, sex, age, bone_age, height, quality, seed``, one row per hand.

    Ages are spread evenly, so that no year is rare; height in sides of the image, quality of a JPEG file.
    """
    rng = np.random.default_rng(SEED)
    sex = rng.choice(list(SEXES), count)
    age = rng.uniform(0.0, _OLDEST, count)
    spread = [tempo_spread(min(one, 18.0), of) for one, of in zip(age, sex, strict=True)]
    bone_age = age + np.array(spread) * rng.standard_normal(count).clip(-2.5, 2.5)
    return pd.DataFrame(
        {
            "id": [f"drawn-{number:06d}" for number in range(count)],
            "sex": sex,
            "age": age,
            "bone_age": np.clip(bone_age, 0.0, [MATURE_YEARS[one] for one in sex]),
            "height": rng.uniform(*HEIGHTS, count),
            "quality": rng.integers(*_QUALITY, count),
            "seed": rng.integers(2**31, size=count),
        }
    )
