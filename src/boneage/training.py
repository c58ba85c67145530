"""Training one network: compile, fit, resume where it stopped, and leave a record that can be checked.

A run folder holds, once finished, ``record.json``, ``history.csv``, ``predictions.csv`` and
``model.keras``. Until then ``checkpoint/`` holds the state after the last whole epoch: weights, optimiser
and its schedule, the random generators, the history. The record is written last, so where there is one,
the run is whole.
"""

import dataclasses
import json
import shutil
import time
from datetime import UTC, datetime
from pathlib import Path

import filelock
import keras
import numpy as np
import pandas as pd
from keras import ops
from tqdm.keras import TqdmCallback

from boneage.dataset import Store, batches_of, fingerprint, rows_of
from boneage.errors import BoneAgeError
from boneage.evaluation import ACCURATE_YEARS, RECORD_FORMAT, constant_predictor, metrics_by_split
from boneage.files import atomic_write, make_folder, write_text
from boneage.labels import Labels, check_splits
from boneage.networks import WeightsError, build_features, check_size, find
from boneage.runtime import device, seed_everything, versions
from boneage.settings import Settings
from boneage.tables import PREDICTION_COLUMNS, SPLITS, write_table

# Share of the steps in which the learning rate rises from a hundredth to its full value.
WARM_UP = 0.1
DROPOUT = 0.3

# The settings that a checkpoint must share with the run that takes it up.
_RUN_SETTINGS = ("seed", "batch_size", "learning_rate", "weight_decay", "width", "weights")

# What the reading of a record, a state or a model that was edited or cut short may raise.
_UNREADABLE = (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError)


@keras.saving.register_keras_serializable(package="boneage")
def accuracy(truth: keras.KerasTensor, estimate: keras.KerasTensor) -> keras.KerasTensor:
    """Share of the cases whose estimate is less than half a year off."""
    return ops.mean(ops.cast(ops.abs(estimate - truth) < ACCURATE_YEARS, "float32"), axis=-1)


class Batches(keras.utils.PyDataset):
    """Training batches in an order that depends on the seed and the epoch alone."""

    def __init__(
        self, store: Store, rows: np.ndarray, years: np.ndarray, batch_size: int, seed: int, epoch: int
    ):
        super().__init__()
        self._store = store
        self._years = dict(zip(rows.tolist(), years.tolist(), strict=True))
        self._rows, self._batch_size, self._seed, self._epoch = rows, batch_size, seed, epoch
        self._order = batches_of(rows, batch_size, seed, epoch)

    def __len__(self) -> int:
        return len(self._order)

    def __getitem__(self, step: int) -> tuple[np.ndarray, np.ndarray]:
        rows = self._order[step]
        years = np.array([self._years[row] for row in rows.tolist()], np.float32)
        return self._store.photos[rows][..., np.newaxis], years[:, np.newaxis]

    def on_epoch_begin(self) -> None:
        self._order = batches_of(self._rows, self._batch_size, self._seed, self._epoch)
        self._epoch += 1


def build_model(
    network: str,
    size: int,
    mean_years: float,
    std_years: float,
    seed: int,
    width: str = "full",
    weights: str = "scratch",
) -> keras.Model:
    """A network with its regression head, not yet compiled.

    The head says one number in standard deviations about the training mean, so an untrained network
    starts at the mean, and the last layer turns it into years. Light random rotation, shift and zoom act
    while training only.

    Args:
        network: Key of the network.
        size: Side of the photos in pixels.
        mean_years: Mean bone age of the training cases.
        std_years: Its standard deviation.
        seed: Seeds the random transforms and dropout.
        width: One of ``settings.WIDTHS``.
        weights: One of ``settings.WEIGHTS``.

    Returns:
        A model from photos (batch, size, size, 1), 0 to 255, to years (batch, 1).

    Raises:
        WeightsError: The weights cannot be had.
        BoneAgeError: The network takes no photos of that size.
    """
    photos = keras.Input((size, size, 1), name="photo")
    fill = {"fill_mode": "nearest"}
    x = keras.layers.RandomRotation(0.04, seed=seed, **fill)(photos)
    x = keras.layers.RandomTranslation(0.06, 0.06, seed=seed + 1, **fill)(x)
    x = keras.layers.RandomZoom(0.1, seed=seed + 2, **fill)(x)
    x = build_features(network, x, width, weights)
    x = keras.layers.Dropout(DROPOUT, seed=seed + 3)(x)
    # Zeros, so that the first estimate is the mean whatever the features.
    x = keras.layers.Dense(1, kernel_initializer="zeros", dtype="float32", name="standardised_years")(x)
    years = keras.layers.Rescaling(std_years, offset=mean_years, dtype="float32", name="years")(x)
    return keras.Model(photos, years, name=network)


def train(
    network: str, epochs: int, labels: Labels, store: Store, settings: Settings, runs: Path | str
) -> dict:
    """Trains one network for a number of epochs, or takes the run up where it stopped.

    Training sees training cases only; validation cases are watched; test cases are estimated once, at the
    end. A run that is finished is not trained again.

    Args:
        network: Key of the network.
        epochs: Epochs of the whole run; the learning rate falls to zero at its end.
        labels: Labels, in any order.
        store: The packed photos.
        settings: Batch size, learning rate, weight decay, width, weights and seed are used.
        runs: Folder of all runs; this one's is ``<network>-<epochs>`` in it.

    Returns:
        The run's record.

    Raises:
        BoneAgeError: A case stands in two splits, a split is missing, the folder holds a run with other
            settings or data, another process trains it, the estimates are not numbers, the network takes no
            photos of that size, the weights that the settings insist on cannot be had, or the disk is full.
    """
    check_size(network, store.size)
    run = make_folder(Path(runs) / f"{network}-{epochs}")
    try:
        with filelock.FileLock(run / ".lock", timeout=0):
            return _train(network, epochs, labels, store, settings, run)
    except filelock.Timeout:
        raise BoneAgeError(f"{run}: another process trains this run; wait for it or stop it") from None


def _train(network: str, epochs: int, labels: Labels, store: Store, settings: Settings, run: Path) -> dict:
    table, rows, notices = rows_of(store, labels.table)
    for notice in notices:
        print(notice)
    check_splits(table, "labels")
    rows_of_split = {split: rows[(table["Split"] == split).to_numpy()] for split in SPLITS}
    if not len(rows_of_split["train"]):
        raise BoneAgeError("labels: no training case has a photo; run labels and preprocess again")
    identity = {
        "network": network,
        "epochs": epochs,
        "size": store.size,
        "backend": keras.backend.backend(),
        "label_kind": labels.kind,
        "fingerprint": fingerprint(store, table),
        **{name: getattr(settings, name) for name in _RUN_SETTINGS},
    }
    finished = _finished(run, identity)
    if finished is not None:
        print(f"{run.name}: finished on {finished['finished']}, not trained again")
        return finished

    seed_everything(settings.seed)
    years = pd.Series(table["Bone Age"].to_numpy(np.float32), index=rows)
    model, state = _resume(run, identity)
    if model is None:
        of_train = years[rows_of_split["train"]]
        model, weights = _new_model(network, store.size, of_train, settings)
        _compile(model, settings, epochs * -(-len(of_train) // settings.batch_size))
        state = {"identity": identity, "epoch": 0, "started": _now(), "weights": weights, "history": []}
    else:
        print(f"{run.name}: goes on after epoch {state['epoch']} of {epochs}")
    _fit(model, state, run, store, years, rows_of_split, settings)

    predictions = _predict(model, store, table, rows, settings.batch_size)
    record = _record(model, state, table, predictions, settings, labels)
    write_table(run / "history.csv", pd.DataFrame(state["history"]))
    write_table(run / "predictions.csv", predictions)
    _save_model(model, run / "model.keras")
    write_text(run / "record.json", json.dumps(record, indent=1) + "\n")
    shutil.rmtree(run / "checkpoint", ignore_errors=True)
    return record


def _new_model(network: str, size: int, of_train: pd.Series, settings: Settings) -> tuple[keras.Model, str]:
    """The untrained model, and what it begins with, in words."""
    choice = (network, size, float(of_train.mean()), float(of_train.std(ddof=0)) or 1.0, settings.seed)
    if settings.weights != "scratch" and settings.width == "full" and find(network).imagenet:
        try:
            return build_model(*choice, settings.width, "imagenet"), "from ImageNet"
        except WeightsError as error:
            if settings.weights == "imagenet":
                raise
            print(f"{network}: {error}; it is trained from scratch")
        # As if nothing had been tried.
        seed_everything(settings.seed)
    return build_model(*choice, settings.width, "scratch"), "from scratch"


def _compile(model: keras.Model, settings: Settings, steps: int) -> None:
    warm_up = max(1, round(WARM_UP * steps))
    highest = settings.learning_rate * (find(model.name).rate if settings.width == "full" else 1.0)
    schedule = keras.optimizers.schedules.CosineDecay(
        highest / 100,
        max(1, steps - warm_up),
        warmup_target=highest,
        warmup_steps=warm_up,
    )
    model.compile(
        keras.optimizers.AdamW(schedule, weight_decay=settings.weight_decay),
        loss="mse",
        metrics=["mae", accuracy],
    )


def _fit(
    model: keras.Model,
    state: dict,
    run: Path,
    store: Store,
    years: pd.Series,
    rows_of_split: dict[str, np.ndarray],
    settings: Settings,
) -> None:
    epochs = state["identity"]["epochs"]
    if state["epoch"] >= epochs:
        return
    train_rows, validation_rows = rows_of_split["train"], rows_of_split["validation"]
    validation = None
    if len(validation_rows):
        photos = store.photos[validation_rows][..., np.newaxis]
        validation = (photos, years[validation_rows].to_numpy()[:, np.newaxis])
    model.fit(
        Batches(
            store,
            train_rows,
            years[train_rows].to_numpy(),
            settings.batch_size,
            settings.seed,
            state["epoch"],
        ),
        # The batches have their own order; Keras would draw one that no checkpoint keeps.
        shuffle=False,
        validation_data=validation,
        validation_batch_size=settings.batch_size,
        initial_epoch=state["epoch"],
        epochs=epochs,
        verbose=0,
        callbacks=[
            keras.callbacks.TerminateOnNaN(),
            _Checkpoint(run, state),
            TqdmCallback(desc=run.name, initial=state["epoch"], verbose=0),
        ],
    )
    if state["epoch"] < epochs:
        raise BoneAgeError(
            f"{run.name}: the loss is not a number in epoch {state['epoch'] + 1}; lower the learning rate "
            f"(now {settings.learning_rate:g}) and delete {run}"
        )


class _Checkpoint(keras.callbacks.Callback):
    """Keeps the whole state of the run on disk after every epoch."""

    def __init__(self, run: Path, state: dict):
        super().__init__()
        self._run, self._state = run, state
        self._begun = self._trained = 0.0

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        self._begun = self._trained = time.perf_counter()

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        self._trained = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        values = {name: float(value) for name, value in (logs or {}).items()}
        if not all(np.isfinite(value) for value in values.values()):
            # TerminateOnNaN stops the run; the last sound state stays.
            self.model.stop_training = True
            return
        now = time.perf_counter()
        seconds = {"seconds": now - self._begun, "training_seconds": self._trained - self._begun}
        self._state["history"].append({"epoch": epoch + 1, **values, **seconds})
        self._state["epoch"] = epoch + 1
        save_checkpoint(self.model, self._state, self._run)


def save_checkpoint(model: keras.Model, state: dict, run: Path) -> None:
    """Writes a checkpoint so that a kill at any moment leaves this one or the one before, whole."""
    folder = run / "checkpoint"
    name = f"epoch-{state['epoch']}.keras"
    _save_model(model, folder / name)
    # Naming the file in state.json is what makes it the checkpoint.
    generators = [np.asarray(one).tolist() for one in _random_states(model)]
    write_text(folder / "state.json", json.dumps({**state, "model": name, "generators": generators}))
    for old in folder.glob("epoch-*.keras"):
        if old.name != name:
            old.unlink(missing_ok=True)


def _random_states(model: keras.Model) -> list[keras.Variable]:
    # A saved model leaves out where its random generators stand, and without that a run that is taken up
    # would draw its first transforms and dropouts again.
    weights = {id(one) for one in model.weights}
    return [one for one in model.variables if id(one) not in weights]


def _resume(run: Path, identity: dict) -> tuple[keras.Model | None, dict]:
    path = run / "checkpoint" / "state.json"
    if not path.is_file():
        return None, {}
    try:
        state = json.loads(path.read_text(encoding="utf-8"))
        model_path = run / "checkpoint" / state.pop("model")
        generators = state.pop("generators")
        _refuse_other(run, state["identity"], identity)
        if len(state["history"]) != state["epoch"]:
            raise ValueError
        model = keras.saving.load_model(model_path)
        for variable, value in zip(_random_states(model), generators, strict=True):
            variable.assign(value)
        return model, state
    except _UNREADABLE as error:
        raise BoneAgeError(
            f"{path}: the checkpoint is damaged ({type(error).__name__}); delete {path.parent} to begin again"
        ) from None


def _finished(run: Path, identity: dict) -> dict | None:
    path = run / "record.json"
    if not path.is_file():
        return None
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        settings = record["settings"]
        # A setting that was not known then had the value that is the default now.
        theirs = {
            name: settings.get(name, getattr(Settings, name)) if name in _RUN_SETTINGS else record.get(name)
            for name in identity
        }
    except _UNREADABLE:
        raise BoneAgeError(f"{path}: not a readable record; delete {run} to train again") from None
    _refuse_other(run, theirs, identity)
    return record


def _refuse_other(run: Path, theirs: dict, ours: dict) -> None:
    words = {"fingerprint": "labels or photos", "label_kind": "label"}
    changed = [
        words.get(name, f"{name} ({theirs.get(name)}, now {ours[name]})")
        for name in ours
        if theirs.get(name) != ours[name]
    ]
    if changed:
        raise BoneAgeError(
            f"{run}: holds a run with other {', '.join(changed)}; set that back, choose another work folder, "
            "or delete this one"
        )


def _save_model(model: keras.Model, path: Path) -> None:
    with atomic_write(path) as file:
        model.save(file.name)


def _predict(
    model: keras.Model, store: Store, table: pd.DataFrame, rows: np.ndarray, batch_size: int
) -> pd.DataFrame:
    estimates = []
    for start in range(0, len(rows), 8 * batch_size):
        photos = store.photos[rows[start : start + 8 * batch_size]][..., np.newaxis]
        estimates.append(model.predict(photos, batch_size=batch_size, verbose=0)[:, 0])
    return pd.DataFrame(
        {
            "Case ID": table["Case ID"],
            "Split": table["Split"],
            # Five decimals are five minutes of a child's life: far below anything a reading can tell.
            "Estimate": np.round(np.concatenate(estimates).astype(float), 5),
        },
        columns=list(PREDICTION_COLUMNS),
    )


def _record(
    model: keras.Model,
    state: dict,
    table: pd.DataFrame,
    predictions: pd.DataFrame,
    settings: Settings,
    labels: Labels,
) -> dict:
    identity, history = state["identity"], pd.DataFrame(state["history"])
    # The first epoch also compiles; where there are others, they tell the speed.
    timed = history.iloc[1:] if len(history) > 1 else history
    counts = table.groupby("Split")["Case ID"].count()
    cases = table.groupby("Split")["Source ID"].nunique()
    chosen = {
        name: value
        for name, value in dataclasses.asdict(settings).items()
        # Where the files lie and who reviewed them is nobody else's business, and the same run elsewhere is
        # the same run.
        if name not in ("source", "data", "work", "reviewer", "recorded_review", "epochs", "backend")
    }
    title = find(identity["network"]).title
    return {
        "format": RECORD_FORMAT,
        "network": identity["network"],
        "title": f"{title} (tiny)" if settings.width == "tiny" else title,
        "epochs": identity["epochs"],
        "source": labels.source,
        "label_kind": labels.kind,
        "size": identity["size"],
        "weights": state["weights"],
        "fingerprint": identity["fingerprint"],
        "photos": {split: int(counts.get(split, 0)) for split in SPLITS},
        "cases": {split: int(cases.get(split, 0)) for split in SPLITS},
        "metrics": metrics_by_split(table, predictions),
        "constant_predictor": constant_predictor(table),
        "parameters": model.count_params(),
        "seconds_per_epoch": round(float(timed["seconds"].mean()), 3),
        "photos_per_second": round(float(counts["train"] / timed["training_seconds"].mean()), 1),
        "device": device(),
        "backend": identity["backend"],
        "seed": settings.seed,
        "settings": chosen,
        "versions": versions(),
        "started": state["started"],
        "finished": _now(),
    }


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def load_model(run: Path | str) -> keras.Model:
    """The trained network of a finished run, from photos (batch, size, size, 1), 0 to 255, to years.

    Raises:
        BoneAgeError: The run has no readable model.
    """
    path = Path(run) / "model.keras"
    try:
        return keras.saving.load_model(path, compile=False)
    except (OSError, ValueError, KeyError, TypeError, ImportError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise BoneAgeError(f"{path}: not a readable model ({reason}); train that run again") from None


def estimate_store(run: Path | str, store: Store, labels: Labels) -> pd.DataFrame:
    """The estimates of a finished run for photos that it was not trained on.

    Args:
        run: The run folder.
        store: Photos at the run's size.
        labels: Their labels; only the ids and splits are used.

    Returns:
        ``tables.PREDICTION_COLUMNS``; estimates in years.

    Raises:
        BoneAgeError: The run has no readable model, or the photos are of another size.
    """
    model = load_model(run)
    if model.input_shape[1] != store.size:
        raise BoneAgeError(
            f"{store.path}: photos of {store.size} px, but {Path(run).name} was trained on "
            f"{model.input_shape[1]} px; run `python -m boneage store --size {model.input_shape[1]}`"
        )
    table, rows, _ = rows_of(store, labels.table)
    return _predict(model, store, table, rows, batch_size=16)
