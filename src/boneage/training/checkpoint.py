"""What lies in a run folder while a run is under way, and what a finished one is known by.

``checkpoint/`` holds the state after the last whole epoch: weights, optimiser and its schedule, the random
generators, the history. The record is written last, so where there is one, the run is whole.
"""

import json
import zipfile
from pathlib import Path

import keras
import numpy as np

from boneage.errors import BoneAgeError
from boneage.files import atomic_write, write_text
from boneage.settings import Settings

# The settings that a checkpoint must share with the run that takes it up.
RUN_SETTINGS = ("seed", "batch_size", "learning_rate", "weight_decay", "precision", "width", "weights")

# What the reading of a record or a state that was edited or cut short may raise.
_UNREADABLE = (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError)

UNREADABLE_MODEL = (*_UNREADABLE, ImportError, NotImplementedError, zipfile.BadZipFile)
"""What Keras may raise over a model file that is no model, or whose bytes are not those that were written."""


def save_checkpoint(model: keras.Model, state: dict, run: Path) -> None:
    """Writes a checkpoint so that a kill at any moment leaves this one or the one before, whole."""
    folder = run / "checkpoint"
    name = f"epoch-{state['epoch']}.keras"
    save_model(model, folder / name)
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


def load_checkpoint(run: Path, identity: dict) -> tuple[keras.Model | None, dict]:
    """The model and the state of a run that was interrupted; None and nothing where there is none.

    Raises:
        BoneAgeError: The checkpoint is damaged, or belongs to a run with other settings or data.
    """
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
    except UNREADABLE_MODEL as error:
        raise BoneAgeError(
            f"{path}: the checkpoint is damaged ({type(error).__name__}); delete {path.parent} to begin again"
        ) from None


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
        # What was not recorded then had the value that is the default now.
        unrecorded = {"variant": "", "rate_share": identity["rate_share"], "batch_multiple": 1}
        theirs = {
            name: settings.get(name, getattr(Settings, name))
            if name in RUN_SETTINGS
            else record.get(name, unrecorded.get(name))
            for name in identity
        }
        if not {"started", "finished", "weights"} <= set(record):
            raise KeyError
    except _UNREADABLE:
        raise BoneAgeError(f"{path}: not a readable record; delete {run} to train again") from None
    _refuse_other(run, theirs, identity)
    return record


def _refuse_other(run: Path, theirs: dict, ours: dict) -> None:
    values = {name: f"({theirs.get(name, 'not recorded')}, now {ours[name]})" for name in ours}
    words = {
        "fingerprint": "labels or photos",
        "label_kind": "label",
        "rate_share": f"share of the learning rate {values['rate_share']}",
        "batch_multiple": f"multiple of the batch size {values['batch_multiple']}",
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
