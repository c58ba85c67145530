"""Training batches from the pack against decoding the source image for every sample.

The published notebooks of this method read and decoded every image file with Pillow in every epoch. Both
sides run in this process, in turns, over the same images in the same shuffled order.
"""

import argparse
import tempfile
from pathlib import Path

import cv2
import numpy as np
from bench_preprocess import drawn_images, sample_images
from measuring import in_turns, timed
from PIL import Image

from boneage.dataset.pack import batches_of, build_pack, open_pack
from boneage.dataset.shards import Shards
from boneage.images.reading import read_file

SIZE = 128
BATCH = 32
IMAGES = 200
ROUNDS = 3
LEAST_RATIO = 20.0


def run(data: Path | None = None) -> dict[str, float]:
    """Images a second of both sides, and their ratio.

    Args:
        data: A folder of images, searched recursively; None draws images instead.
    """
    with tempfile.TemporaryDirectory() as scratch:
        sources = sample_images(data, IMAGES) if data else drawn_images(Path(scratch) / "drawn", 60)
        folder = Path(scratch) / "images"
        folder.mkdir()
        ids = [str(number) for number in range(len(sources))]
        for image_id, source in zip(ids, sources, strict=True):
            image = cv2.resize(read_file(source), (SIZE, SIZE))
            cv2.imwrite(str(folder / f"{image_id}.png"), image)
        path = Path(scratch) / "pack"
        build_pack(ids, folder, SIZE, path)
        pack, rows = open_pack(path), np.arange(len(ids))
        _from_pack(pack.images, rows)  # Warms the file cache for both.
        paces = in_turns(
            lambda: timed(lambda: _from_pack(pack.images, rows)),
            lambda: timed(lambda: _from_files(sources, rows)),
            ROUNDS,
        )
    return {
        "decode_images_per_second": len(ids) / paces.other,
        "pack_images_per_second": len(ids) / paces.ours,
        "training_input_ratio": paces.times_as_fast,
    }


def _from_files(sources: list[Path], rows: np.ndarray) -> None:
    for batch in batches_of(rows, BATCH, seed=1, epoch=0):
        images = [
            Image.open(sources[row]).convert("L").resize((SIZE, SIZE), Image.Resampling.BOX) for row in batch
        ]
        np.stack([np.asarray(image) for image in images])[..., np.newaxis]


def _from_pack(images: Shards, rows: np.ndarray) -> None:
    for batch in batches_of(rows, BATCH, seed=1, epoch=0):
        images[batch][..., np.newaxis]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, help="folder of images; without it images are drawn")
    for name, value in run(parser.parse_args().data).items():
        print(f"{name:32} {value:10.1f}")


if __name__ == "__main__":
    main()
