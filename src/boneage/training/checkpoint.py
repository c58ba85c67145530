"""What lies in a run folder while a run is under way, and what a finished one is known by.

``checkpoint/`` holds the states after the last two whole epochs: weights, optimiser and its schedule, the
random generators, the history. Where the last is damaged, the run goes on from the one before; each is known
to be whole by its hash. So the folder takes up to three times the room of the model with its optimiser, while
the next is written. The record is written last, so where there is one, the run is whole.
"""

import hashlib
import json
import zipfile
from pathlib import Path

import keras
import numpy as np

from boneage.core.errors import BoneAgeError
from boneage.core.files import atomic_write, sha256_of, write_text

# The settings that a checkpoint must share with the run that takes it up.
RUN_SETTINGS = ("batch_size", "learning_rate", "weight_decay", "precision", "width", "weights")

# What the reading of a record or a state that was edited or cut short may raise.
_UNREADABLE = (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError)

UNREADABLE_MODEL = (*_UNREADABLE, ImportError, NotImplementedError, zipfile.BadZipFile)
"""What Keras may raise over a model file that is no model, or whose bytes are not those that were written."""


_NEWEST, _BEFORE = "state.json", "before.json"


def save_checkpoint(model: keras.Model, state: dict, run: Path) -> None:
    """Writes a checkpoint and keeps the one before it; a kill at any moment leaves at least one, whole."""
    folder = run / "checkpoint"
    path = folder / f"epoch-{state['epoch']}.keras"
    save_model(model, path)
    newest = _read_state(folder / _NEWEST)
    # Where the run went on from the one before, that stays: the newest was damaged.
    if newest and newest["epoch"] < state["epoch"]:
        _write_state(folder / _BEFORE, newest)
    generators = [np.asarray(one).tolist() for one in _random_states(model)]
    # Naming the file here is what makes it the checkpoint.
    files = {"model": path.name, "sha256": sha256_of(path), "generators": generators}
    _write_state(folder / _NEWEST, {**state, **files})
    states = [_read_state(folder / name) for name in (_NEWEST, _BEFORE)]
    named = [one["model"] for one in states if one]
    for old in folder.glob("epoch-*.keras"):
        if old.name not in named:
            old.unlink(missing_ok=True)


def _write_state(path: Path, state: dict) -> None:
    write_text(path, json.dumps({"seal": _seal(state), **state}))


def _read_state(path: Path) -> dict | None:
    """A state as it was written; None where there is none, or a bit of it has changed."""
    try:
        state = json.loads(path.read_text(encoding="utf-8"))
        return state if state.pop("seal") == _seal(state) else None
    except _UNREADABLE:
        return None


def _seal(state: dict) -> str:
    return hashlib.sha256(json.dumps(state).encode()).hexdigest()


def _random_states(model: keras.Model) -> list[keras.Variable]:
    # A saved model leaves out where its random generators stand, and without that a run that is taken up
    # would draw its first transforms and dropouts again.
    weights = {id(one) for one in model.weights}
    return [one for one in model.variables if id(one) not in weights]


def load_checkpoint(run: Path, identity: dict) -> tuple[keras.Model | None, dict]:
    """The model and the state of a run that was interrupted; None and nothing where there is none.

    Where the newest checkpoint is damaged it says so and takes the one before.

    Raises:
        BoneAgeError: No checkpoint there is whole, or it belongs to a run with other settings or data.
    """
    folder, damaged = run / "checkpoint", ""
    for name in (_NEWEST, _BEFORE):
        if not (folder / name).is_file():
            continue
        try:
            found = _loaded(folder, name, identity)
        except UNREADABLE_MODEL as error:
            damaged = damaged or f"{folder / name}: the checkpoint is damaged ({type(error).__name__})"
            continue
        if damaged:
            print(f"{damaged}; the one before is whole")
        return found
    if damaged:
        raise BoneAgeError(f"{damaged}, and none before it is whole; delete {folder} to begin again")
    return None, {}


def _loaded(folder: Path, name: str, identity: dict) -> tuple[keras.Model, dict]:
    state = _read_state(folder / name)
    if state is None:
        raise ValueError
    _refuse_other(folder.parent, state["identity"], identity)
    path, generators = folder / state.pop("model"), state.pop("generators")
    if not path.is_file() or sha256_of(path) != state.pop("sha256"):
        raise ValueError
    model = keras.saving.load_model(path)
    for variable, value in zip(_random_states(model), generators, strict=True):
        variable.assign(value)
    return model, state


def finished_record(run: Path, identity: dict) -> dict | None:
    """The record of a finished run; None where it is not finished.

    Raises:
        BoneAgeError: The record is damaged, or tells of a run with other settings or data.
    """
    path = run / "record.json"
    if not path.is_file():
        return None
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        settings = record["settings"]
        theirs = {name: settings[name] if name in RUN_SETTINGS else record[name] for name in identity}
        if not {"started", "finished", "weights", "batch_size"} <= set(record):
            raise KeyError
    except _UNREADABLE:
        raise BoneAgeError(f"{path}: not a readable record; delete {run} to train again") from None
    _refuse_other(run, theirs, identity)
    return record


def _refuse_other(run: Path, theirs: dict, ours: dict) -> None:
    values = {name: f"({theirs.get(name, 'not recorded')}, now {ours[name]})" for name in ours}
    words = {
        "fingerprint": "labels or images",
        "label_kind": "label",
        "learning_rate_factor": f"share of the learning rate {values['learning_rate_factor']}",
        "batch_factor": f"multiple of the batch size {values['batch_factor']}",
    }
    changed = [words.get(name, f"{name} {values[name]}") for name in ours if theirs.get(name) != ours[name]]
    if changed:
        raise BoneAgeError(
            f"{run}: holds a run with other {', '.join(changed)}; set that back, choose another work folder, "
            "or delete this one"
        )


def save_model(model: keras.Model, path: Path) -> None:
    """Writes a model whole or not at all.

    Raises:
        BoneAgeError: The folder is read-only, or the disk is full.
    """
    with atomic_write(path) as file:
        model.save(file.name)
