"""Ablation of the training recipe: the same network, cases, epochs and seed, with one change each.

Every row is a complete training of the CNN. The test cases are left alone: what is chosen is chosen by
validation. Rows of this seed already in the table are not trained again, so it can be made in several
sittings. The effect of augmentation is not a row here: a run on the augmented set has its own record.

    python benchmarks/ingredients.py --work WORK --out results/ingredients.csv
"""

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd
from measuring import is_there
from tqdm.keras import TqdmCallback

from boneage.core.backends import hasten
from boneage.core.runtime import device, seed_everything
from boneage.core.settings import Settings
from boneage.dataset.labels import read_labels
from boneage.dataset.pack import Pack, open_pack, rows_of
from boneage.networks import cnn
from boneage.networks.layers import pooled
from boneage.training import build_model
from boneage.training.batches import Batches
from boneage.training.recipe import SMALLEST_BATCH, AdamW, compile_model
from boneage.workspace import Workspace

SIZE, EPOCHS = 128, 18
OURS = "nothing: the recipe as it is"


@dataclass(frozen=True)
class Change:
    """One row: a change of the settings, the model, or its compilation."""

    words: str
    settings: dict[str, object] | None = None
    build: Callable[..., keras.Model] = build_model
    compile: Callable[[keras.Model, Settings, int], None] = compile_model


def _without_transforms(*choice: Any, **more: Any) -> keras.Model:
    model = build_model(*choice, **more)
    *_, last = (layer for layer in model.layers if layer.name.startswith("random_"))
    return keras.Model(last.output, model.output, name=model.name)


def _between_pixels(*choice: Any, **more: Any) -> keras.Model:
    model = build_model(*choice, **more)
    for layer in model.layers:
        if layer.name.startswith("random_"):
            layer.interpolation = "bilinear"
    return model


def _without_contrast(
    network: str, size: int, mean: float, std: float, seed: int, **more: Any
) -> keras.Model:
    """Grey levels from 0 to 1 in place of the CNN's local contrast."""
    ours = build_model(network, size, mean, std, seed, **more)
    *_, last = (layer for layer in ours.layers if layer.name.startswith("random_"))
    x = keras.layers.Rescaling(1 / 255)(last.output)
    x = pooled(cnn.maps(x, "full"))
    x = keras.layers.Dropout(_dropout(ours).rate, seed=seed + 3)(x)
    x = keras.layers.Dense(1, kernel_initializer="zeros")(x)
    return keras.Model(ours.input, keras.layers.Rescaling(std, offset=mean)(x), name=network)


def _raw_head(network: str, size: int, mean: float, std: float, seed: int, **more: Any) -> keras.Model:
    """A head in years that starts at zero."""
    ours = build_model(network, size, mean, std, seed, **more)
    return keras.Model(ours.input, keras.layers.Dense(1)(_dropout(ours).output), name=network)


def _dropout(model: keras.Model) -> keras.layers.Layer:
    # Found by type: Keras numbers layer names within a process.
    return next(layer for layer in model.layers if isinstance(layer, keras.layers.Dropout))


def _constant_rate(model: keras.Model, settings: Settings, steps: int) -> None:
    model.compile(
        keras.optimizers.AdamW(settings.learning_rate, weight_decay=settings.weight_decay),
        loss="mse",
        metrics=["mae"],
    )


def _clipped(model: keras.Model, settings: Settings, steps: int) -> None:
    compile_model(model, settings, steps)
    model.optimizer.global_clipnorm = 10.0


def _averaged(model: keras.Model, settings: Settings, steps: int) -> None:
    compile_model(model, settings, steps)
    configuration = model.optimizer.get_config() | {"use_ema": True, "ema_momentum": 0.99}
    optimiser = AdamW.from_config(configuration)
    model.compile(optimiser, loss="mse", metrics=["mae"])


CHANGES = (
    Change(OURS),
    Change("no random transforms", build=_without_transforms),
    Change("random transforms interpolate", build=_between_pixels),
    Change("grey levels 0 to 1 in place of local contrast", build=_without_contrast),
    Change("head in years, from nought", build=_raw_head),
    Change("constant rate, no warm-up", compile=_constant_rate),
    Change("batches of 32", {"batch_size": 32}),
    Change("a third of the rate", {"learning_rate": Settings().learning_rate / 3}),
    Change("three times the rate", {"learning_rate": Settings().learning_rate * 3}),
    Change("gradients clipped to a norm of 10", compile=_clipped),
    Change("weights averaged", compile=_averaged),
)


def train_changed(change: Change, labels: pd.DataFrame, pack: Pack, seed: int) -> dict[str, object]:
    """Trains the CNN with one change.

    Args:
        change: The change.
        labels: The label table.
        pack: Its images.
        seed: Seeds everything.

    Returns:
        A row of the table; MAE and bias in years.
    """
    settings = Settings(train_seed=seed, batch_size=SMALLEST_BATCH).replace(**(change.settings or {}))
    table, rows, _ = rows_of(pack, labels[labels["Split"] != "test"])
    years, split = table["Bone Age"].to_numpy(np.float32), table["Split"].to_numpy()
    of_train, watched = split == "train", split == "validation"
    seed_everything(seed)
    mean, std = float(years[of_train].mean()), float(years[of_train].std())
    model = change.build("cnn", pack.size, mean, std, seed)
    # Not told the batch size, with which it would raise the rate: a row is of one change.
    change.compile(model, settings, EPOCHS * -(-int(of_train.sum()) // settings.batch_size))
    hasten(model)
    batches = Batches(pack.images, rows[of_train], years[of_train], None, settings.batch_size, seed)
    images = pack.images[rows][..., np.newaxis]
    history = model.fit(
        batches,
        shuffle=False,
        epochs=EPOCHS,
        validation_data=(images[watched], years[watched, np.newaxis]),
        verbose=0,
        callbacks=[
            keras.callbacks.LambdaCallback(on_epoch_begin=batches.begin),
            TqdmCallback(desc=change.words, verbose=0),
        ],
    ).history
    error = model.predict(images, batch_size=64, verbose=0)[:, 0] - years
    row = {"Change": change.words, "Training images": int(of_train.sum())}
    for one in ("train", "validation"):
        row[f"{one} MAE"] = round(float(np.abs(error[split == one]).mean()), 4)
    row["validation bias"] = round(float(error[watched].mean()), 4)
    row["best validation MAE"] = round(min(history["val_mae"]), 4)
    return row | {"Epochs": EPOCHS, "Size": pack.size, "Seed": seed, "Device": device()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--work", type=Path, required=True, help="work folder with labels and a pack")
    parser.add_argument("--seed", type=int, default=Settings().train_seed)
    parser.add_argument("--out", type=Path, required=True, help="the table")
    given = parser.parse_args()
    work = Workspace.at(given.work)
    labels, pack = read_labels(work.labels).table, open_pack(work.pack(SIZE))
    for change in CHANGES:
        if is_there(given.out, {"Change": change.words, "Epochs": EPOCHS, "Size": SIZE, "Seed": given.seed}):
            continue
        row = train_changed(change, labels, pack, given.seed)
        pd.DataFrame([row]).to_csv(given.out, mode="a", header=not given.out.is_file(), index=False)
        print(row, flush=True)


if __name__ == "__main__":
    main()
