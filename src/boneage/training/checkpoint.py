"""The state of a run on disk: checkpoints while it trains, its record once it is finished.

``checkpoint/`` holds the state after each of the last two epochs: weights, optimiser, schedule, random
generators and history, with hashes that reveal damage. If the last is damaged, the run resumes from the one
before. While a checkpoint is written, the folder takes up to three times the space of the model with its
optimiser. The record is written last, so a run with a record is complete.
"""

import contextlib
import hashlib
import itertools
import json
from collections.abc import Iterable
from pathlib import Path

import keras
import numpy as np

from boneage.core.errors import BoneAgeError
from boneage.core.files import atomic_write, make_folder, sha256_of, write_text, writing
from boneage.evaluation import aside
from boneage.evaluation.runs import RUN_SETTINGS, settings_of
from boneage.training.model_files import ModelFileError, read_model

# What a run is trained on, of all that tells it from others.
_DATA = ("fingerprint", "label_kind")

# Raised when a record or state was edited or truncated.
_UNREADABLE = (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError)

_NEWEST, _BEFORE = "state.json", "before.json"


def save_checkpoint(model: keras.Model, state: dict, run: Path) -> None:
    """Writes a checkpoint and keeps the one before; killed at any moment, it leaves at least one intact."""
    folder = run / "checkpoint"
    path = folder / f"epoch-{state['epoch']}.keras"
    save_model(model, path)
    newest = _read_state(folder / _NEWEST)
    # If the run resumed from the one before, the newest was damaged and the one before stays.
    if newest and newest["epoch"] < state["epoch"]:
        _write_state(folder / _BEFORE, newest)
    generators = [np.asarray(one).tolist() for one in _random_states(model)]
    # The model file counts only once the state names it.
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
    """A state as it was written; None if it is missing or damaged."""
    try:
        state = json.loads(path.read_text(encoding="utf-8"))
        return state if state.pop("seal") == _seal(state) else None
    except _UNREADABLE:
        return None


def _seal(state: dict) -> str:
    return hashlib.sha256(json.dumps(state).encode()).hexdigest()


def _random_states(model: keras.Model) -> list[keras.Variable]:
    # A saved model omits the state of its random generators; without it a resumed run would draw its first
    # transforms and dropouts again.
    weights = {id(one) for one in model.weights}
    return [one for one in model.variables if id(one) not in weights]


def load_checkpoint(run: Path, identity: dict) -> tuple[keras.Model | None, dict]:
    """The model and state of an interrupted run; None and an empty dict if there is none.

    If the newest checkpoint is damaged, it says so and loads the one before.

    Raises:
        BoneAgeError: All checkpoints are damaged, or they belong to a run with other settings or data.
    """
    folder, damaged = run / "checkpoint", ""
    for name in (_NEWEST, _BEFORE):
        if not (folder / name).is_file():
            continue
        try:
            found = _loaded(folder, name, identity)
        except (*_UNREADABLE, ModelFileError) as error:
            reason = str(error) if isinstance(error, ModelFileError) else type(error).__name__
            damaged = damaged or f"{folder / name}: the checkpoint is damaged ({reason})"
            continue
        if damaged:
            print(f"{damaged}; resuming from the one before")
        return found
    if damaged:
        raise BoneAgeError(f"{damaged}, and there is no intact one before it; delete {folder} to start again")
    return None, {}


def _loaded(folder: Path, name: str, identity: dict) -> tuple[keras.Model, dict]:
    state = _read_state(folder / name)
    if state is None:
        raise ValueError
    _refuse_other(folder.parent, state["identity"], identity)
    path, generators = folder / state.pop("model"), state.pop("generators")
    if not path.is_file() or sha256_of(path) != state.pop("sha256"):
        raise ValueError
    model = read_model(path, compiled=True)
    for variable, value in zip(_random_states(model), generators, strict=True):
        variable.assign(value)
    return model, state


def finished_record(run: Path, identity: dict) -> dict | None:
    """The record of a finished run; None if it is not finished.

    Raises:
        BoneAgeError: The record is damaged, or belongs to a run with other settings or data.
    """
    path = run / "record.json"
    if not path.is_file():
        return None
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        theirs = _identity_of(record, identity)
        if not {"started", "finished", "weights", "batch_size"} <= set(record):
            raise KeyError
    except _UNREADABLE:
        raise BoneAgeError(f"{path}: not a readable record; delete {run} to train again") from None
    _refuse_other(run, theirs, identity)
    return record


def _identity_of(record: dict, names: Iterable[str]) -> dict:
    settings = settings_of(record)
    return {name: settings[name] if name in RUN_SETTINGS else record[name] for name in names}


def make_way(run: Path, identity: dict) -> None:
    """Moves a run on other labels or images out of the way of this one, which may lie there from before.

    So nothing that was trained is lost when labels change, nor trained again when they change back.

    Raises:
        BoneAgeError: A folder is read-only.
    """
    theirs = _found_identity(run, identity)
    if theirs and any(theirs.get(name) != identity[name] for name in _DATA):
        names = (f"{run.name}-{number}" for number in itertools.count(1))
        old = next(one for one in map(aside(run.parent).joinpath, names) if not one.exists())
        with writing(make_folder(old.parent)):
            run.rename(old)
        print(f"{run.name}: was trained on other labels or images; that run is kept as {old}")
    if run.exists():
        return
    for old in sorted(aside(run.parent).glob(f"{run.name}-*")):
        if _found_identity(old, identity) == identity:
            with writing(run):
                old.rename(run)
            print(f"{run.name}: was trained on these labels before; that run is back from {old}")
            return


def _found_identity(run: Path, names: Iterable[str]) -> dict | None:
    """What tells the run in a folder from others; None if it holds none, or nothing that can be read."""
    with contextlib.suppress(*_UNREADABLE):
        return _identity_of(json.loads((run / "record.json").read_text(encoding="utf-8")), names)
    states = (_read_state(run / "checkpoint" / name) for name in (_NEWEST, _BEFORE))
    return next((state["identity"] for state in states if state), None)


def _refuse_other(run: Path, theirs: dict, ours: dict) -> None:
    values = {name: f"({theirs.get(name, 'not recorded')}, now {ours[name]})" for name in ours}
    words = {
        "fingerprint": "labels or images",
        "label_kind": "label",
        "learning_rate_factor": f"learning-rate factor {values['learning_rate_factor']}",
        "batch_factor": f"batch factor {values['batch_factor']}",
    }
    changed = [words.get(name, f"{name} {values[name]}") for name in ours if theirs.get(name) != ours[name]]
    if changed:
        raise BoneAgeError(
            f"{run}: holds a run with different {', '.join(changed)}; change that back, use another work "
            "folder, or move this one away"
        )


def save_model(model: keras.Model, path: Path) -> None:
    """Writes a model atomically.

    Raises:
        BoneAgeError: The folder is read-only, or the disk is full.
    """
    with atomic_write(path) as file:
        model.save(file.name)
