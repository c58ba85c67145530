"""The training recipe of the published notebooks of this method, as a baseline for ours.

The image on a white canvas of 2775 x 2777, resized to 256 pixels by nearest neighbour, grey levels divided by
255, Adam at Keras's default learning rate, mean squared error in years, batches of 32, no random transforms.
Networks, cases and epochs are ours, and validation is by case, unlike in the published notebooks. The set is
that of the work folder's labels, plain or augmented. The batches are larger than ours, which makes fewer
steps in as many epochs; with ``--as-many-steps`` the images come again within an epoch until it has as many
as ours. Adds a row to a table after every run; a row that is there is not trained again.

    python benchmarks/published_recipe.py --work WORK --out results/published_recipe.csv
    python benchmarks/published_recipe.py --work WORK --out results/published_recipe.csv --as-many-steps
"""

import argparse
from pathlib import Path

import cv2
import keras
import numpy as np
import pandas as pd
from measuring import is_there

from boneage.core.files import make_folder
from boneage.core.parallel import on_all_cores
from boneage.core.runtime import device, seed_everything
from boneage.core.settings import Settings
from boneage.core.tables import read_cases
from boneage.dataset.labels import read_labels
from boneage.images.operators import apply_operators, parse_operators
from boneage.images.reading import read_file
from boneage.networks import cnn, find
from boneage.training.batches import Batches
from boneage.training.recipe import SMALLEST_BATCH
from boneage.workspace import Workspace

CANVAS_WIDTH, CANVAS_HEIGHT = 2775, 2777
SIZE, BATCH, EPOCHS = 256, 32, 18
NETWORKS = ("cnn", "resnet50", "efficientnetv2s")


def on_white_canvas(image: np.ndarray) -> np.ndarray:
    """An image in the middle of the white canvas.

    An image that fits twice is doubled first: the canvas was made for full-size scans, and one at half its
    size would be a small hand on a white sheet.

    Args:
        image: uint8, (height, width).

    Returns:
        uint8, (CANVAS_HEIGHT, CANVAS_WIDTH).
    """
    height, width = image.shape
    most = min(CANVAS_HEIGHT / height, CANVAS_WIDTH / width)
    factor = 2 if most >= 2 else min(1.0, most)
    image = cv2.resize(image, None, fx=factor, fy=factor, interpolation=cv2.INTER_LINEAR)
    height, width = image.shape
    canvas = np.full((CANVAS_HEIGHT, CANVAS_WIDTH), 255, np.uint8)
    top, left = (CANVAS_HEIGHT - height) // 2, (CANVAS_WIDTH - width) // 2
    canvas[top : top + height, left : left + width] = image
    return canvas


def read_canvases(paths: list[Path], operators: list[str]) -> np.ndarray:
    """The images of a set on their canvases, at the network's size.

    Args:
        paths: The source file of each image.
        operators: JSON of its corrections and augmentations.

    Returns:
        uint8, (images, SIZE, SIZE).
    """
    canvases = np.empty((len(paths), SIZE, SIZE), np.uint8)

    def read(index: int) -> None:
        image = apply_operators(read_file(paths[index]), parse_operators(operators[index]))
        canvas = on_white_canvas(image)
        canvases[index] = cv2.resize(canvas, (SIZE, SIZE), interpolation=cv2.INTER_NEAREST)

    for _ in on_all_cores(read, range(len(paths)), "canvases"):
        pass
    return canvases


def published_model(network: str, size: int = SIZE) -> keras.Model:
    """The network on grey levels divided by 255, with global average pooling and one output, compiled."""
    grey = keras.Input((size, size, 1))
    images = keras.layers.Rescaling(1 / 255)(grey)
    colour = keras.layers.Concatenate()([images] * 3)
    shape = {"include_top": False, "weights": None, "input_shape": (size, size, 3)}
    if network == "cnn":
        maps = cnn.maps(images, "full")
    elif network == "resnet50":
        maps = keras.applications.ResNet50(**shape)(colour)
    else:
        # Its own scaling layer expects 0 to 255.
        maps = keras.applications.EfficientNetV2S(include_preprocessing=False, **shape)(colour)
    years = keras.layers.Dense(1)(keras.layers.GlobalAveragePooling2D()(maps))
    model = keras.Model(grey, years)
    model.compile("adam", "mse", metrics=["mae"])
    return model


def train_published(
    network: str,
    images: np.ndarray,
    years: np.ndarray,
    split: np.ndarray,
    epochs: int,
    images_per_epoch: int,
    seed: int,
    scratch: Path,
) -> pd.DataFrame:
    """Trains with the published recipe, or resumes after the last complete epoch.

    Args:
        network: One of ``NETWORKS``.
        images: uint8, (images, size, size).
        years: Bone age, (images,).
        split: ``train``, ``validation`` or ``test`` of each.
        epochs: Epochs.
        images_per_epoch: How many training images an epoch shows; those that it has come again.
        seed: Seeds weights and order.
        scratch: For the state after each epoch: this name, and with ``.csv`` its log.

    Returns:
        History, a row per epoch.
    """
    seed_everything(seed)
    model = published_model(network, images.shape[1])
    of_train, watched = split == "train", split == "validation"
    log = scratch.with_suffix(".csv")
    if not scratch.is_dir():
        # From a finished training, of which Keras deletes the state and leaves the log.
        log.unlink(missing_ok=True)
    rows = np.flatnonzero(of_train)
    batches = Batches(images, rows, years[of_train], None, BATCH, seed, images_per_epoch)
    model.fit(
        batches,
        shuffle=False,
        epochs=epochs,
        validation_data=(images[watched][..., np.newaxis], years[watched, np.newaxis]),
        verbose=2,
        callbacks=[
            keras.callbacks.LambdaCallback(on_epoch_begin=batches.begin),
            keras.callbacks.BackupAndRestore(scratch),
            keras.callbacks.CSVLogger(log, append=log.is_file()),
        ],
    )
    return pd.read_csv(log)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--work", type=Path, required=True, help="work folder with cases.csv and labels.csv")
    parser.add_argument("--networks", nargs="+", choices=NETWORKS, default=NETWORKS)
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    parser.add_argument("--as-many-steps", action="store_true", help="as many steps an epoch as ours")
    parser.add_argument("--seed", type=int, default=Settings().train_seed)
    parser.add_argument("--out", type=Path, required=True, help="CSV to which a row per network is added")
    given = parser.parse_args()
    work = Workspace.at(given.work)
    labels = read_labels(work.labels)
    table = labels.table
    paths = read_cases(work.cases)[0].set_index("case_id")["image"]
    files = [Path(paths[case_id]) for case_id in table["Source ID"]]
    images = read_canvases(files, table["Operators"].tolist())
    scratch = make_folder(work.root / "published")
    years, split = table["Bone Age"].to_numpy(np.float32), table["Split"].to_numpy()
    count = int((split == "train").sum())
    for network in given.networks:
        shown = count
        if given.as_many_steps:
            shown = BATCH * -(-count // (SMALLEST_BATCH * find(network).batch_factor))
        steps = -(-shown // BATCH)
        row = {
            "Network": network,
            "Epochs": given.epochs,
            "Set": labels.set,
            "Steps": given.epochs * steps,
            "Seed": given.seed,
        }
        if is_there(given.out, row):
            continue
        name = f"{network}-{labels.set}-{given.epochs}x{steps}-s{given.seed}"
        history = train_published(
            network, images, years, split, given.epochs, shown, given.seed, scratch / name
        )
        row |= {
            "Size": SIZE,
            "Training images": count,
            "Validation images": int((split == "validation").sum()),
            "Validation MAE": round(history["val_mae"].iloc[-1], 4),
            "Best epoch": int(history["val_mae"].idxmin()) + 1,
            "Best validation MAE": round(history["val_mae"].min(), 4),
            "MAE": round(history["mae"].iloc[-1], 4),
            "Device": device(),
        }
        given.out.parent.mkdir(parents=True, exist_ok=True)
        pd.DataFrame([row]).to_csv(given.out, mode="a", header=not given.out.exists(), index=False)
        print(row)


if __name__ == "__main__":
    main()
