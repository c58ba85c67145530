"""Training batches from the packed store against decoding the source photo for every sample.

The published notebooks of this method read and decoded the photo file with Pillow for every photo of every
epoch. Both sides run in this one process, in turns, over the same photos in the same shuffled order.
"""

import argparse
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np
from bench_preprocess import drawn_photos, sample_photos
from PIL import Image

from boneage.dataset.pack import batches_of, build_store, open_store

SIZE = 128
BATCH = 32
PHOTOS = 200
ROUNDS = 3
LEAST_RATIO = 20.0


def run(data: Path | None = None) -> dict[str, float]:
    """Measures photos a second of both sides.

    Args:
        data: A folder of photos, searched in depth; None draws photos instead.

    Returns:
        Photos a second of both sides in their best round, and their ratio.
    """
    with tempfile.TemporaryDirectory() as scratch:
        sources = sample_photos(data, PHOTOS) if data else drawn_photos(Path(scratch) / "drawn", 60)
        folder = Path(scratch) / "photos"
        folder.mkdir()
        ids = [str(number) for number in range(len(sources))]
        for photo_id, source in zip(ids, sources, strict=True):
            photo = cv2.resize(cv2.imread(str(source), cv2.IMREAD_GRAYSCALE), (SIZE, SIZE))
            cv2.imwrite(str(folder / f"{photo_id}.png"), photo)
        path = Path(scratch) / "store.npy"
        build_store(ids, folder, SIZE, path)
        store, rows = open_store(path), np.arange(len(ids))
        _store_seconds(store.photos, rows, epoch=0)  # The file cache is warm for both.
        decoded = [_decode_seconds(sources, rows, epoch) for epoch in range(ROUNDS)]
        packed = [_store_seconds(store.photos, rows, epoch) for epoch in range(ROUNDS)]
    return {
        "decode_photos_per_second": len(ids) / min(decoded),
        "store_photos_per_second": len(ids) / min(packed),
        "training_input_ratio": min(decoded) / min(packed),
    }


def _decode_seconds(sources: list[Path], rows: np.ndarray, epoch: int) -> float:
    start = time.perf_counter()
    for batch in batches_of(rows, BATCH, seed=1, epoch=epoch):
        photos = [Image.open(sources[row]).convert("L").resize((SIZE, SIZE), Image.BOX) for row in batch]
        np.stack([np.asarray(photo) for photo in photos])[..., np.newaxis]
    return time.perf_counter() - start


def _store_seconds(photos: np.ndarray, rows: np.ndarray, epoch: int) -> float:
    start = time.perf_counter()
    for batch in batches_of(rows, BATCH, seed=1, epoch=epoch):
        photos[batch][..., np.newaxis]
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, help="folder of photos; without it photos are drawn")
    for name, value in run(parser.parse_args().data).items():
        print(f"{name:32} {value:10.1f}")


if __name__ == "__main__":
    main()
