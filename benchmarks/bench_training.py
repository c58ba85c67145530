"""The training engine against a bare step, and against the published way of feeding images.

The engine's `fit` reads the pack, draws the batches, keeps the history and shows the bar; the bare step is
`train_on_batch` on one batch in memory. Both use the same compiled network, in turns. Batches have the
settings' size for every network, the smallest used in training, at which the overhead of a step weighs most.

The published notebooks of this method kept every image as a JPEG of 2775 x 2777, which Pillow read, decoded
and shrank for every image of every epoch, in a PyDataset. Same network, same device, in turns.
"""

import argparse
import os
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import keras
import numpy as np
from bench_preprocess import drawn_images, sample_images
from measuring import InTurns, in_turns, timed
from PIL import Image
from published_recipe import on_white_canvas

from boneage.core.backends import hasten, precision
from boneage.core.settings import Settings
from boneage.dataset.pack import build_pack, open_pack
from boneage.dataset.shards import Shards
from boneage.images.reading import read_file
from boneage.images.square import square
from boneage.training.batches import Batches
from boneage.training.epochs import KeepEpochs, Progress
from boneage.training.model import build_model
from boneage.training.recipe import compile_model

# Images an epoch: for the CNN as many as the small set of results/README.md has, as what an epoch costs once
# weighs beside its fast steps. Beside a deep network's it weighs little, and fewer will do.
STEP_IMAGES = {"cnn": 633, "resnet50": 128, "efficientnetv2s": 128}
STEP_SIZE = 128
# The cheapest: beside the step of a deep network, reading an image weighs little.
EPOCH_NETWORK, EPOCH_SIZE = "cnn", 256
EPOCH_IMAGES, BATCH = 64, 8
# A network whose epochs take long has fewer rounds.
ROUNDS, LEAST_ROUNDS, ENOUGH_SECONDS = 8, 3, 90.0
LEAST_OF_BARE_STEP = 0.95


def run(data: Path | None = None) -> dict[str, float]:
    """Measures images a second of both pairs.

    Args:
        data: A folder of images, searched recursively; None draws images instead.

    Returns:
        For each network the engine's images a second, also as a share of the bare step's, and the speed-up of
        an epoch over the published way.
    """
    return dict(measure(data))


def measure(data: Path | None = None) -> Iterator[tuple[str, float]]:
    """The same, one result at a time: a deep network takes minutes on a processor."""
    with tempfile.TemporaryDirectory() as scratch:
        most = max(STEP_IMAGES.values())
        sources = sample_images(data, most) if data else drawn_images(Path(scratch) / "drawn", most)
        for network, count in STEP_IMAGES.items():
            images = _packed(sources[:count], Path(scratch), STEP_SIZE)
            paces = _paces(_fit_seconds, _bare_seconds, _model(network, STEP_SIZE), images)
            yield f"{network}_{STEP_SIZE}_images_per_second", len(images) / paces.ours
            yield f"{network}_{STEP_SIZE}_share_of_bare_step", paces.times_as_fast
        sources = sources[:EPOCH_IMAGES]
        jpegs = _published_jpegs(sources, Path(scratch) / "published")
        images = _packed(sources, Path(scratch), EPOCH_SIZE)

        def published(model: keras.Model, images: Images) -> float:
            return _epoch_seconds(model, PublishedWay(jpegs, _years(images)))

        paces = _paces(_fit_seconds, published, _model(EPOCH_NETWORK, EPOCH_SIZE), images)
        yield f"{EPOCH_NETWORK}_{EPOCH_SIZE}_times_published_way", paces.times_as_fast


class PublishedWay(keras.utils.PyDataset):  # type: ignore[misc]
    """Batches that read and decode their images on request."""

    def __init__(self, paths: list[Path], years: np.ndarray):
        super().__init__()
        self._paths, self._years = paths, years

    def __len__(self) -> int:
        return -(-len(self._paths) // BATCH)

    def __getitem__(self, step: int) -> tuple[np.ndarray, np.ndarray]:
        of_batch = slice(step * BATCH, (step + 1) * BATCH)
        side = (EPOCH_SIZE, EPOCH_SIZE)
        images = [
            np.asarray(Image.open(path).convert("L").resize(side, Image.Resampling.NEAREST), np.float32)
            for path in self._paths[of_batch]
        ]
        return np.stack(images)[..., np.newaxis], self._years[of_batch]


Images = Shards | np.ndarray
Seconds = Callable[[keras.Model, Images], float]


def fit_against_bare(network: str, images: Images, batch: int, kind: str, width: str = "full") -> InTurns:
    """The engine against the bare step over all images, in a numeric precision."""
    with precision(kind):
        model = _model(network, images.shape[1], width)
    return _paces(partial(_fit_seconds, batch=batch), partial(_bare_seconds, batch=batch), model, images)


def _paces(ours: Seconds, other: Seconds, model: keras.Model, images: Images) -> InTurns:
    # The first of each includes compilation and is not counted.
    ours(model, images), other(model, images)
    return in_turns(
        lambda: ours(model, images), lambda: other(model, images), ROUNDS, LEAST_ROUNDS, ENOUGH_SECONDS
    )


def _model(network: str, size: int, width: str = "full") -> keras.Model:
    keras.utils.set_random_seed(1)
    model = build_model(network, size, 10.0, 3.0, seed=1, width=width)
    compile_model(model, Settings(), steps=1000)
    hasten(model)
    return model


def _years(images: Images) -> np.ndarray:
    return np.linspace(1, 18, len(images), dtype=np.float32)


def _fit_seconds(model: keras.Model, images: Images, batch: int = BATCH) -> float:
    rows = np.arange(len(images))
    batches = Batches(images, rows, _years(images), None, batch, seed=1)
    begin = keras.callbacks.LambdaCallback(on_epoch_begin=batches.begin)
    return _epoch_seconds(model, batches, begin, Progress("engine", len(batches), 1, 0, shown=True))


def _epoch_seconds(
    model: keras.Model, batches: keras.utils.PyDataset, *callbacks: keras.callbacks.Callback
) -> float:
    state: dict[str, Any] = {"epoch": 0, "history": []}
    keeping = KeepEpochs(state, lambda: None)
    model.fit(batches, shuffle=False, epochs=1, verbose=0, callbacks=[keeping, *callbacks])
    return float(state["history"][0]["seconds"])


def _bare_seconds(model: keras.Model, images: Images, batch: int = BATCH) -> float:
    of_batch = images[:batch][..., np.newaxis]
    years = _years(images)[:batch, np.newaxis]
    return timed(lambda: [model.train_on_batch(of_batch, years) for _ in range(len(images) // batch)])


def _packed(sources: list[Path], scratch: Path, size: int) -> Shards:
    folder, path = (scratch / f"{what}-{size}-{len(sources)}" for what in ("images", "pack"))
    if not path.is_dir():
        folder.mkdir()
        for number, source in enumerate(sources):
            cv2.imwrite(str(folder / f"{number}.png"), square(read_file(source), size, "background"))
        build_pack([str(number) for number in range(len(sources))], folder, size, path)
    return open_pack(path).images


def _published_jpegs(sources: list[Path], folder: Path) -> list[Path]:
    folder.mkdir()
    paths = [folder / f"{number}.jpg" for number in range(len(sources))]
    for source, path in zip(sources, paths, strict=True):
        cv2.imwrite(str(path), on_white_canvas(read_file(source)))
    return paths


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder of images; without it images are drawn")
    print(f"{os.cpu_count()} cores, {keras.backend.backend()}")
    for name, value in measure(parser.parse_args().data):
        print(f"{name:44} {value:10.2f}", flush=True)


if __name__ == "__main__":
    main()
