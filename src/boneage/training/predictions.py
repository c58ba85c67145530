"""The predictions of a trained network."""

from collections.abc import Iterator
from pathlib import Path

import keras
import numpy as np
import pandas as pd

from boneage.core.backends import graphs_released, hasten
from boneage.core.errors import BoneAgeError
from boneage.core.tables import PREDICTION_TABLE
from boneage.dataset.labels import Labels
from boneage.dataset.pack import Pack, rows_of
from boneage.dataset.shards import Shards
from boneage.evaluation import read_run
from boneage.training.batches import model_input
from boneage.training.model_files import ModelFileError, read_model

TTA_VIEWS = 16
"""Views of an image in test-time augmentation (TTA)."""

# What training does to the place of an image; it never mirrors.
_TRANSFORMS = (keras.layers.RandomRotation, keras.layers.RandomTranslation, keras.layers.RandomZoom)

# Images predicted at a time, so that memory does not grow with their number.
_LOT = 128


def load_model(run: Path | str) -> keras.Model:
    """The trained network of a finished run; for its inputs see :func:`build_model`.

    Raises:
        BoneAgeError: The run has no readable model.
    """
    path = Path(run) / "model.keras"
    if not path.is_file():
        raise BoneAgeError(f"{path}: missing, and the weights are in no other file; train that run again")
    try:
        model = read_model(path)
    except ModelFileError as error:
        raise BoneAgeError(f"{path}: not a readable model ({error}); train that run again") from None
    hasten(model)
    return model


def tta_images(model: keras.Model, images: np.ndarray) -> Iterator[np.ndarray]:
    """The images as training showed them: rotated, shifted and zoomed by the model's own random layers.

    A view is the same for all images, and the views are always the same, so that a prediction depends on its
    image alone.

    Args:
        model: As ``build_model`` makes it.
        images: uint8, (images, size, size).

    Yields:
        ``TTA_VIEWS`` times float32, (images, size, size), 0 to 255.
    """
    layers = [type(one).from_config(one.get_config()) for one in model.layers if isinstance(one, _TRANSFORMS)]
    # As channels of one image, all get the same draw.
    as_channels = np.moveaxis(images, 0, -1)[np.newaxis].astype(np.float32)
    for _ in range(TTA_VIEWS):
        view = as_channels
        for layer in layers:
            view = layer(view, training=True)
        yield np.moveaxis(keras.ops.convert_to_numpy(view)[0], -1, 0)


def prediction(
    model: keras.Model,
    images: Shards | np.ndarray,
    male: np.ndarray,
    batch_size: int = 16,
    tta: bool = False,
    rows: np.ndarray | None = None,
) -> np.ndarray:
    """The predictions of a model.

    Args:
        model: As ``build_model`` makes it.
        images: uint8, (images, size, size), such as a pack's.
        male: Whether each is male, (rows,); used if the model takes the sex.
        batch_size: Images a step.
        tta: Whether to average over :func:`tta_images`.
        rows: Which images, in order; by default all.

    Returns:
        Years, (rows,).
    """
    male = male if len(model.inputs) == 2 else None
    rows = np.arange(len(images)) if rows is None else rows
    batch_size = min(batch_size, len(rows))
    years = []
    for start in range(0, len(rows), _LOT):
        lot = images[rows[start : start + _LOT]]
        sex = None if male is None else male[start : start + _LOT]
        views = tta_images(model, lot) if tta else (lot,)
        years.append(np.mean([_said(model, view, sex, batch_size) for view in views], axis=0))
    return np.concatenate(years).astype(float)


def _said(model: keras.Model, images: np.ndarray, sex: np.ndarray | None, batch_size: int) -> np.ndarray:
    # Every batch is full, since another size would be traced or compiled anew: the last one goes on with the
    # first images, whose second prediction is left out.
    batches = [
        np.arange(start, start + batch_size) % len(images) for start in range(0, len(images), batch_size)
    ]
    # Not `predict`, which takes longer to set up than a small network to read a hundred images.
    with graphs_released():
        said = [
            model.predict_on_batch(model_input(images[batch], None if sex is None else sex[batch]))
            for batch in batches
        ]
    return np.concatenate(said)[: len(images), 0]


def prediction_table(
    model: keras.Model,
    pack: Pack,
    table: pd.DataFrame,
    rows: np.ndarray,
    batch_size: int = 16,
    tta: bool = False,
) -> pd.DataFrame:
    """``tables.PREDICTION_TABLE`` for a label table whose images are these rows of the pack."""
    years = prediction(model, pack.images, table["Male"].to_numpy(bool), batch_size, tta, rows)
    # Five decimals are five minutes: far below the precision of any reading.
    columns = {"Case ID": table["Case ID"], "Split": table["Split"], "Prediction": np.round(years, 5)}
    return pd.DataFrame(columns, columns=list(PREDICTION_TABLE))


def predict_pack(run: Path | str, pack: Pack, labels: Labels) -> pd.DataFrame:
    """The predictions of a finished run for other images, made like the run's own (TTA included).

    Only ids, splits and sex of the labels are used.

    Returns:
        ``tables.PREDICTION_TABLE``; predictions in years.

    Raises:
        BoneAgeError: The run is unfinished or damaged, or the images have another size.
    """
    model = load_model(run)
    size = model.inputs[0].shape[1]
    if size != pack.size:
        raise BoneAgeError(
            f"{pack.path}: images of {pack.size} px, but {Path(run).name} was trained on "
            f"{size} px; run `python -m boneage pack --train-size {size}`"
        )
    table, rows, _ = rows_of(pack, labels.table)
    tta = read_run(run).key.variant == "tta"
    return prediction_table(model, pack, table, rows, tta=tta)
