"""Preprocessing against a bare loop of OpenCV calls, and its memory against the number of images.

Both sides run in this process, in turns, on the same images with the same number of threads, the same
interpolation and the same PNG settings. The bare loop decodes, fits into the square, encodes and writes, but
checks no image, keeps no record and never renames a finished file into place.
"""

import argparse
import json
import os
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
from measuring import in_turns, timed, use_of

from boneage.images.preprocess import preprocess, read_report
from boneage.images.square import PNG_ENCODING

SIZE = 928
# A round of half the atlas: what a run does once, such as its record, weighs as little as in a real one.
SPEED_IMAGES = 700
SPEED_ROUNDS = 5
MEMORY_IMAGES = (200, 2000)
LEAST_SPEED_RATIO = 0.85
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
        images = sample_images(data, SPEED_IMAGES) if data else drawn_images(Path(scratch) / "drawn", 60)
        round_of = [images[index % len(images)] for index in range(SPEED_IMAGES)]
        return _speed(round_of, Path(scratch)) | _memory(images, Path(scratch))


def sample_images(data: Path, count: int) -> list[Path]:
    found = sorted(path for path in data.rglob("*") if path.suffix.lower() in (".jpg", ".jpeg", ".png"))
    if not found:
        raise SystemExit(f"{data}: no JPEG or PNG below this folder; name another")
    return [found[index] for index in np.unique(np.linspace(0, len(found) - 1, count).astype(int))]


def drawn_images(folder: Path, count: int) -> list[Path]:
    """Blurred noise with bright bars: about as hard to decode and encode as a radiograph."""
    folder.mkdir()
    rng = np.random.default_rng(2026)
    images = []
    for index in range(count):
        image = cv2.GaussianBlur(rng.normal(60, 40, (820, 640)).astype(np.float32), (0, 0), 2) + 20
        for left in range(100, 540, 110):
            image[150:700, left : left + 50] += 90
        path = folder / f"{index}{'.png' if index % 9 == 0 else '.jpg'}"
        cv2.imwrite(str(path), np.clip(image, 0, 255).astype(np.uint8))
        images.append(path)
    return images


def _cases(images: list[Path], count: int) -> pd.DataFrame:
    paths = [str(images[index % len(images)].resolve()) for index in range(count)]
    return pd.DataFrame({"case_id": [f"case-{index}" for index in range(count)], "image": paths})


def _bare(path: Path, output: Path) -> None:
    image = cv2.imdecode(np.frombuffer(path.read_bytes(), np.uint8), cv2.IMREAD_GRAYSCALE)
    assert image is not None, path
    scale = SIZE / max(image.shape)
    height, width = (round(side * scale) for side in image.shape)
    fitted = cv2.resize(
        image, (width, height), interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    )
    top, left = (SIZE - height) // 2, (SIZE - width) // 2
    squared = cv2.copyMakeBorder(
        fitted, top, SIZE - height - top, left, SIZE - width - left, cv2.BORDER_CONSTANT, value=0
    )
    output.write_bytes(cv2.imencode(".png", squared, PNG_ENCODING)[1].tobytes())


def _bare_seconds(images: list[Path], scratch: Path) -> float:
    cv2.setNumThreads(1)
    with tempfile.TemporaryDirectory(dir=scratch) as work, ThreadPoolExecutor(os.cpu_count()) as pool:
        outputs = [Path(work, f"case-{index}.png") for index in range(len(images))]
        return timed(lambda: list(pool.map(_bare, images, outputs)))


def _preprocess_seconds(images: list[Path], scratch: Path) -> float:
    with tempfile.TemporaryDirectory(dir=scratch) as work:
        cases = _cases(images, len(images))
        seconds = timed(lambda: preprocess(cases, work, SIZE))
        report = read_report(work)
    if not (report["status"] == "ok").all():
        raise SystemExit("some images of the sample cannot be read; the comparison would flatter")
    return seconds


def _speed(images: list[Path], scratch: Path) -> dict[str, float]:
    _bare_seconds(images, scratch)  # Warms the file cache for both.
    paces = in_turns(
        lambda: _preprocess_seconds(images, scratch), lambda: _bare_seconds(images, scratch), SPEED_ROUNDS
    )
    return {
        "bare_images_per_second": len(images) / paces.other,
        "preprocess_images_per_second": len(images) / paces.ours,
        "preprocess_speed_ratio": paces.times_as_fast,
    }


def _memory(images: list[Path], scratch: Path) -> dict[str, float]:
    listing = scratch / "images.json"
    listing.write_text(json.dumps([str(path) for path in images]), encoding="utf-8")
    few, many = (_peak_mib(listing, count) for count in MEMORY_IMAGES)
    return {
        f"memory_mib_{MEMORY_IMAGES[0]}_images": few,
        f"memory_mib_{MEMORY_IMAGES[1]}_images": many,
        "preprocess_memory_ratio": many / few,
    }


def _peak_mib(listing: Path, count: int) -> float:
    """Peak memory of a separate process that preprocesses ``count`` images."""
    command = [__file__, "--memory-of", str(count), "--listing", str(listing)]
    return use_of(command, {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}).peak_mib


def _preprocess_listed(count: int, listing: Path) -> None:
    images = [Path(path) for path in json.loads(listing.read_text(encoding="utf-8"))]
    with tempfile.TemporaryDirectory(dir=listing.parent) as work:
        preprocess(_cases(images, count), work, SIZE)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, help="folder of images; without it images are drawn")
    parser.add_argument("--memory-of", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--listing", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.memory_of:
        _preprocess_listed(arguments.memory_of, arguments.listing)
        return
    measured = run(arguments.data)
    for name, value in measured.items():
        print(f"{name:32} {value:8.2f}")
    print(f"bars: speed ratio at least {LEAST_SPEED_RATIO}, memory ratio at most {MOST_MEMORY_RATIO}")


if __name__ == "__main__":
    main()
