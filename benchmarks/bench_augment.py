"""Augmentation against the bare operators' loop, and its memory against the number of images.

Both sides run in this process, in turns, over the same rows of the same plan with the same number of threads
and the same PNG settings. The bare loop decodes, applies the operators, encodes and writes, but checks no
image, keeps no record and never renames a finished file into place. Only copies are timed: untouched images
are not encoded again, which would flatter us.
"""

import argparse
import os
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
from bench_preprocess import drawn_images, sample_images
from measuring import in_turns, timed, use_of

from boneage.core.tables import PLAN_TABLE, read_table, write_table
from boneage.dataset.augment import RECORD_NAME, RECORD_TABLE, augment
from boneage.dataset.plan import balanced_plan
from boneage.dataset.suggestions import suggest_for
from boneage.images.grey_range import to_uint8
from boneage.images.operators import apply_operators, operators_of_image
from boneage.images.reading import read_grey
from boneage.images.square import PNG_ENCODING, square

SIZE = 928
CASES = 60
SPEED_IMAGES = 240
SPEED_ROUNDS = 5
MEMORY_IMAGES = (200, 2000)
LEAST_SPEED_RATIO = 0.8
MOST_MEMORY_RATIO = 1.10


def run(data: Path | None = None) -> dict[str, float]:
    """Measures both bars.

    Args:
        data: A folder of images, searched recursively; None draws images instead.

    Returns:
        Images a second of both sides and their ratio; peak memory in MiB for few and for many images, and
        their ratio.
    """
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        sources = sample_images(data, CASES) if data else drawn_images(folder / "drawn", CASES)
        images = folder / "images"
        images.mkdir()
        for index, source in enumerate(sources):
            image = square(to_uint8(read_grey(source.read_bytes(), source.name)[0]), SIZE)
            cv2.imwrite(str(images / f"case-{index}.png"), image, PNG_ENCODING)
        return _speed(images, folder) | _memory(images, folder)


def _plan(images: Path, total: int) -> pd.DataFrame:
    """A plan over all images, seven in ten for training."""
    case_ids = sorted(path.stem for path in images.iterdir())
    splits = np.where(np.arange(len(case_ids)) % 10 < 7, "train", "test")
    cases = pd.DataFrame({"case_id": case_ids, "year": 9, "sex": "F", "race": "Unknown", "split": splits})
    return balanced_plan(cases, total, suggest_for(dict.fromkeys(case_ids, "[]"), images)[0])[0]


def _bare_seconds(plan: pd.DataFrame, images: Path, scratch: Path) -> float:
    cv2.setNumThreads(1)
    with tempfile.TemporaryDirectory(dir=scratch) as out:

        def make(row: tuple[str, ...]) -> None:
            image_id, case_id, *recipe = row
            data = np.fromfile(images / f"{case_id}.png", np.uint8)
            image = cv2.imdecode(data, cv2.IMREAD_GRAYSCALE)
            assert image is not None, case_id
            made = apply_operators(image, operators_of_image(*recipe))
            Path(out, f"{image_id}.png").write_bytes(cv2.imencode(".png", made, PNG_ENCODING)[1].tobytes())

        columns = ("image_id", "case_id", "corrections", "augmentations")
        rows = list(zip(*(plan[name] for name in columns), strict=True))
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            return timed(lambda: list(pool.map(make, rows)))


def _augment_seconds(plan: pd.DataFrame, images: Path, scratch: Path) -> float:
    with tempfile.TemporaryDirectory(dir=scratch) as out:
        seconds = timed(lambda: augment(plan, images, out))
        report = read_table(Path(out) / RECORD_NAME, RECORD_TABLE)
    if not (report["status"] == "ok").all():
        raise SystemExit("some images of the plan cannot be made; the comparison would flatter")
    return seconds


def _speed(images: Path, scratch: Path) -> dict[str, float]:
    plan = _plan(images, SPEED_IMAGES)
    plan = plan[plan["image_id"] != plan["case_id"]]
    _bare_seconds(plan, images, scratch)  # Warms the file cache for both.
    paces = in_turns(
        lambda: _augment_seconds(plan, images, scratch),
        lambda: _bare_seconds(plan, images, scratch),
        SPEED_ROUNDS,
    )
    return {
        "bare_operators_images_per_second": len(plan) / paces.other,
        "augment_images_per_second": len(plan) / paces.ours,
        "augment_speed_ratio": paces.times_as_fast,
    }


def _memory(images: Path, scratch: Path) -> dict[str, float]:
    few, many = (_peak_mib(images, scratch, count) for count in MEMORY_IMAGES)
    return {
        f"augment_mib_{MEMORY_IMAGES[0]}_images": few,
        f"augment_mib_{MEMORY_IMAGES[1]}_images": many,
        "augment_memory_ratio": many / few,
    }


def _peak_mib(images: Path, scratch: Path, count: int) -> float:
    """Peak memory of a separate process that makes ``count`` images."""
    listing = write_table(scratch / f"plan-{count}.csv", _plan(images, count))
    command = [__file__, "--memory-of", str(listing), "--data", str(images)]
    return use_of(command, {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}).peak_mib


def _augment_listed(listing: Path, images: Path) -> None:
    with tempfile.TemporaryDirectory(dir=listing.parent) as out:
        augment(read_table(listing, PLAN_TABLE), images, out)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, help="folder of images; without it images are drawn")
    parser.add_argument("--memory-of", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.memory_of:
        _augment_listed(arguments.memory_of, arguments.data)
        return
    for name, value in run(arguments.data).items():
        print(f"{name:34} {value:8.2f}")
    print(f"bars: speed ratio at least {LEAST_SPEED_RATIO}, memory ratio at most {MOST_MEMORY_RATIO}")


if __name__ == "__main__":
    main()
