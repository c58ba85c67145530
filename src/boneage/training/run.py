"""Trains one network: compile, fit, resume, and write a record that can be checked.

A finished run folder holds ``record.json``, ``history.csv``, ``predictions.csv`` and ``model.keras``;
until then see :mod:`boneage.training.checkpoint`.
"""

import contextlib
import gc
import json
import shutil
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import filelock
import keras
import numpy as np
import pandas as pd

from boneage.core.backends import build_for_training, graphs_released, hasten, precision
from boneage.core.errors import BoneAgeError
from boneage.core.files import make_folder, write_text
from boneage.core.runtime import device, is_out_of_memory, seed_everything, versions
from boneage.core.settings import VARIANTS, Settings
from boneage.core.tables import SPLITS, write_table
from boneage.dataset.enough import check_enough
from boneage.dataset.labels import Labels, check_splits
from boneage.dataset.pack import Pack, fingerprint, rows_of
from boneage.evaluation import RECORD_FORMAT, RunKey, constant_predictor, key_of, metrics_by_split, read_run
from boneage.evaluation.runs import RUN_SETTINGS
from boneage.networks import check_size, find
from boneage.training.batches import Batches
from boneage.training.checkpoint import (
    finished_record,
    load_checkpoint,
    make_way,
    save_checkpoint,
    save_model,
)
from boneage.training.devices import (
    all_devices,
    all_processes_needed,
    alone,
    check_agreed,
    check_shares,
    devices_in_words,
    is_first,
    on_one_device,
    share_out,
    wait_for_all,
)
from boneage.training.epochs import KeepEpochs, Progress
from boneage.training.first_weights import FROM_IMAGENET, new_model
from boneage.training.model import as_trained, to_train
from boneage.training.predictions import load_model, prediction_table
from boneage.training.recipe import batch_size_for, compile_model

# Settings that do not affect the numbers or are recorded elsewhere; file locations and reviewers are private.
_NOT_RECORDED = (
    "source",
    "data",
    "work",
    "cache",
    "reviewer",
    "recorded_review",
    "epochs",
    "backend",
    "split_seed",
    "hands",
)


def train(
    network: str,
    epochs: int,
    labels: Labels,
    pack: Pack,
    settings: Settings,
    runs: Path | str,
    variant: str = "",
) -> dict:
    """Trains one network, or resumes its run.

    It trains on training cases only, reports validation errors each epoch, and predicts the test cases once,
    at the end. A finished run is not trained again. One on other labels or images is moved to
    ``evaluation.aside``, and back when those are as they were. If a batch does not fit into the device's
    memory, the run starts again with half the batch size, which the record states.

    Args:
        network: Key of the network.
        epochs: Epochs of the whole run; the learning rate falls to zero at its end.
        labels: Labels, in any order; an epoch on the repeated set has as many images as one on the augmented
            set.
        pack: The packed images.
        settings: Batch size, learning rate, weight decay, precision, width, weights, training seed
            and degradation.
        runs: Folder of all runs; this one's is named by its ``evaluation.RunKey``.
        variant: One of ``settings.VARIANTS``. ``"tta"`` trains nothing: it uses the finished plain run.

    Returns:
        The run's record.

    Raises:
        BoneAgeError: A case is in two splits, there is too little to train on (see ``enough``), the folder
            holds a run with other settings, another process trains it, another host is lost, the loss or a
            prediction is not a number, the network does not take images of that size, required weights are
            not available, one image exceeds the memory, there is no plain run for TTA, or the disk is full.
    """
    check_size(network, pack.size)
    if variant not in VARIANTS:
        raise BoneAgeError(f"variant {variant!r}: must be one of {', '.join(filter(None, VARIANTS))}")
    key = RunKey(network, epochs, labels.set, settings.train_seed, variant)
    run = make_folder(runs) / str(key)
    # Beside the folder, which may be moved.
    lock = run.with_name(f".{run.name}.lock")
    try:
        # On several hosts the other processes only read the folder.
        locked = filelock.FileLock(lock, timeout=0) if is_first() else contextlib.nullcontext()
        with locked, all_processes_needed(run), graphs_released():
            return _run(key, labels, pack, settings, run)
    except filelock.Timeout:
        raise BoneAgeError(f"{run}: another process is training this run; wait for it or stop it") from None
    finally:
        # A network refers to itself, and would wait for Python to look for such cycles while the next one is
        # trained.
        gc.collect()


@dataclass(frozen=True)
class _Part:
    """The cases of one split: rows of the pack, years, and 1 for male if the model takes the sex."""

    rows: np.ndarray
    years: np.ndarray
    male: np.ndarray | None


def _run(key: RunKey, labels: Labels, pack: Pack, settings: Settings, run: Path) -> dict:
    table, rows, notices = rows_of(pack, labels.table)
    for notice in notices:
        print(notice)
    check_splits(table, "labels")
    if not (table["Split"] == "train").any():
        raise BoneAgeError("labels: no training case has an image; run labels and preprocess again")
    check_enough(labels, table, settings.accept_losses)
    identity = {
        **key._asdict(),
        "size": pack.size,
        "backend": keras.backend.backend(),
        "label_kind": labels.kind,
        "fingerprint": fingerprint(pack, table),
        "learning_rate_factor": find(key.network).learning_rate_factor,
        "batch_factor": find(key.network).batch_factor,
        **{name: getattr(settings, name) for name in RUN_SETTINGS},
    }
    if labels.repeated_to:
        identity["images_per_epoch"] = labels.repeated_to - int((table["Split"] != "train").sum())
    if is_first():
        make_way(run, identity)
    wait_for_all()
    finished = finished_record(run, identity)
    check_agreed(finished is not None, run)
    if finished is not None:
        print(f"{run.name}: finished on {finished['finished']}, not trained again")
        if is_first():
            # It may have been killed during the clean-up.
            shutil.rmtree(run / "checkpoint", ignore_errors=True)
        return finished
    parts = {split: _part(table, rows, split, key.variant == "sex") for split in SPLITS}
    if key.variant == "tta":
        model, state = _plain_run(run.parent / str(key._replace(variant="")), identity)
    else:
        model, state = _trained(run, identity, pack, parts, settings)
    if not is_first():
        # Reads what the first process has written.
        wait_for_all()
        return finished_record(run, identity)
    predictions = prediction_table(
        on_one_device(model), pack, table, rows, state["batch_size"], tta=key.variant == "tta"
    )
    record = _record(model, state, table, predictions, settings, labels)
    write_table(run / "history.csv", pd.DataFrame(state["history"]))
    write_table(run / "predictions.csv", predictions)
    save_model(model, run / "model.keras")
    write_text(run / "record.json", json.dumps(record, indent=1) + "\n")
    shutil.rmtree(run / "checkpoint", ignore_errors=True)
    wait_for_all()
    return record


def _part(table: pd.DataFrame, rows: np.ndarray, split: str, with_sex: bool) -> _Part:
    of_split = (table["Split"] == split).to_numpy()
    male = table["Male"].to_numpy(np.float32)[of_split] if with_sex else None
    return _Part(rows[of_split], table["Bone Age"].to_numpy(np.float32)[of_split], male)


def _plain_run(run: Path, identity: dict) -> tuple[keras.Model, dict]:
    """The network and state of the plain run, as if they were this run's."""
    record = finished_record(run, {**identity, "variant": ""})
    if record is None:
        raise BoneAgeError(f"{run}: not finished; train the network without a variant first")
    history = read_run(run).history.to_dict("records")
    state = {name: record[name] for name in ("started", "weights", "batch_size")}
    return load_model(run), {**state, "identity": identity, "history": history}


def _trained(
    run: Path, identity: dict, pack: Pack, parts: dict[str, _Part], settings: Settings
) -> tuple[keras.Model, dict]:
    """The trained model and final state, resumed from a checkpoint if there is one."""
    seed_everything(settings.train_seed)
    with all_devices():
        model, state = load_checkpoint(run, identity)
    check_agreed(state.get("epoch", 0), run)
    if model is not None:
        print(f"{run.name}: resumes after epoch {state['epoch']} of {identity['epochs']}")
    shown = identity["epochs"] * _images_per_epoch(identity, parts["train"])
    batch_size = state.get("batch_size") or batch_size_for(identity["network"], settings, shown)
    while True:
        try:
            # Inside the loop, because clearing the session below resets both.
            with graphs_released(), precision(settings.precision), all_devices():
                if model is None:
                    model, state = _begun(identity, parts["train"], batch_size, settings)
                hasten(model)
                build_for_training(model)
                share_out(model)
                _fit(model, state, run, pack, parts, settings)
                return as_trained(model), state
        except Exception as error:
            if not is_out_of_memory(error):
                raise
            tried = batch_size
        # Outside the except block, whose traceback keeps the step's memory allocated.
        model, batch_size = None, tried // 2
        if not batch_size:
            raise BoneAgeError(
                f"{run.name}: one image of {pack.size} px does not fit into the memory of {device()}; "
                "choose a smaller train_size"
            )
        print(
            f"{run.name}: batches of {tried} do not fit into the memory of {device()}; "
            f"starting again with {batch_size}"
        )
        if is_first():
            shutil.rmtree(run / "checkpoint", ignore_errors=True)
        keras.backend.clear_session()
        seed_everything(settings.train_seed)


def _begun(
    identity: dict, part: _Part, batch_size: int, settings: Settings
) -> tuple[keras.Model, dict[str, object]]:
    moments = (float(part.years.mean()), float(part.years.std()) or 1.0)
    model, weights = new_model(identity["network"], identity["size"], moments, identity["variant"], settings)
    model = to_train(model)
    steps = identity["epochs"] * -(-_images_per_epoch(identity, part) // batch_size)
    compile_model(model, settings, steps, batch_size, fine_tuned=weights == FROM_IMAGENET)
    state = {"identity": identity, "epoch": 0, "started": _now(), "weights": weights, "history": []}
    return model, {**state, "batch_size": batch_size}


def _images_per_epoch(identity: dict, part: _Part) -> int:
    return identity.get("images_per_epoch", len(part.rows))


def _fit(
    model: keras.Model,
    state: dict,
    run: Path,
    pack: Pack,
    parts: dict[str, _Part],
    settings: Settings,
) -> None:
    epochs, batch_size = state["identity"]["epochs"], state["batch_size"]
    if state["epoch"] >= epochs:
        return
    of_train, watched = parts["train"], parts["validation"]
    for count in (_images_per_epoch(state["identity"], of_train), len(watched.rows)):
        check_shares(count, batch_size)
    validation = Batches(pack.images, watched.rows, watched.years, watched.male, batch_size, seed=None)
    batches = Batches(
        pack.images,
        of_train.rows,
        of_train.years,
        of_train.male,
        batch_size,
        settings.train_seed,
        _images_per_epoch(state["identity"], of_train),
    )

    def save() -> None:
        if is_first():
            with alone():
                save_checkpoint(model, state, run)

    progress = Progress(run.name, len(batches), epochs, state["epoch"], shown=is_first())
    with contextlib.closing(progress), contextlib.closing(batches), contextlib.closing(validation):
        model.fit(
            batches,
            # The batches have their own order; Keras's is not in the checkpoint.
            shuffle=False,
            validation_data=validation if len(watched.rows) else None,
            initial_epoch=state["epoch"],
            epochs=epochs,
            verbose=0,
            callbacks=[
                keras.callbacks.TerminateOnNaN(),
                keras.callbacks.LambdaCallback(on_epoch_begin=batches.begin),
                KeepEpochs(state, save),
                progress,
            ],
        )
    if state["epoch"] < epochs:
        raise BoneAgeError(
            f"{run.name}: the loss is not a number in epoch {state['epoch'] + 1}; lower the learning rate "
            f"(now {settings.learning_rate:g}) and delete {run}"
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
    # The first epoch includes compilation, so it is left out if there are others.
    timed = history.iloc[1:] if len(history) > 1 else history
    counts = table.groupby("Split")["Case ID"].count()
    cases = table.groupby("Split")["Source ID"].nunique()
    images_per_epoch = identity.get("images_per_epoch", int(counts["train"]))
    chosen = {name: value for name, value in settings.model_dump().items() if name not in _NOT_RECORDED}
    key = key_of(identity)
    title = find(key.network).title
    return {
        "format": RECORD_FORMAT,
        "title": f"{title} (tiny)" if settings.width == "tiny" else title,
        **key._asdict(),
        **({"fold": labels.fold} if labels.fold else {}),
        "split_seed": labels.split_seed,
        "source": labels.source,
        "label_kind": labels.kind,
        "size": identity["size"],
        "weights": state["weights"],
        "batch_size": state["batch_size"],
        "learning_rate_factor": identity["learning_rate_factor"],
        "batch_factor": identity["batch_factor"],
        "fingerprint": identity["fingerprint"],
        "images": {split: int(counts.get(split, 0)) for split in SPLITS},
        "cases": {split: int(cases.get(split, 0)) for split in SPLITS},
        "images_per_epoch": images_per_epoch,
        "metrics": metrics_by_split(table, predictions),
        "constant_predictor": constant_predictor(table),
        "parameters": model.count_params(),
        "seconds_per_epoch": round(float(timed["seconds"].mean()), 3),
        "images_per_second": round(float(images_per_epoch / timed["training_seconds"].mean()), 1),
        "device": devices_in_words(),
        "backend": identity["backend"],
        "settings": chosen,
        "versions": versions(),
        "started": state["started"],
        "finished": _now(),
    }


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
