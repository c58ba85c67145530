"""Finished runs on disk: their names, their records, and the results tables."""

import itertools
import json
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from boneage.core.columns import Column, Table
from boneage.core.errors import BoneAgeError
from boneage.core.files import make_folder, write_bytes
from boneage.core.settings import VARIANTS, Settings
from boneage.core.tables import PREDICTION_TABLE, read_table, skipped_table, write_table
from boneage.dataset.labels import SETS
from boneage.networks import NETWORKS

Record = dict[str, Any]
"""The content of a run's record.json, checked when it is read."""

RECORD_FORMAT = 2

OUTSIDE_NAME, REJECTED_NAME = "outside.csv", "rejected.csv"
"""A run's predictions for another source's images, and for rejected cases, in its folder."""

_METRICS = {
    "MAE": ("years", ".2f", "min", "Mean absolute error: how far a prediction is off on average."),
    "Loss": ("years²", ".2f", "min", "Mean squared error, which training minimises."),
    "Accuracy": ("share", ".3f", "max", "Share of the cases with an absolute error below half a year."),
}


def _columns(name: str) -> list[Column]:
    unit, spec, best, meaning = _METRICS[name]
    training = f"{meaning} On the training images, augmented ones included."
    validation = "The same on the validation cases, which the network was not trained on."
    return [
        Column(name, training, spec, unit=unit, best=best),
        Column(f"Validation {name}", validation, spec, unit=unit, best=best),
    ]


RESULTS_TABLE = Table(
    "Results",
    [
        Column("Network", "Its architecture.", heading="Networks"),
        *itertools.chain(*map(_columns, _METRICS)),
    ],
    "table-10-epoch.csv",
    "One row per network, one table for each number of epochs.",
)

_METRIC_OF_COLUMN = {"MAE": "mae", "Loss": "loss", "Accuracy": "accuracy"}

HISTORY_TABLE = Table(
    "Learning curves",
    [
        Column("Network", "Its architecture."),
        Column("Epochs", "How many epochs it was trained for.", ".0f"),
        Column("epoch", "The epoch.", ".0f"),
        Column(
            "mae",
            "MAE on the training images as they were shown, augmented, while the network changed.",
            ".2f",
            unit="years",
        ),
        Column("val_mae", "MAE on the validation cases; empty without any.", ".2f", unit="years"),
    ],
    about="One row per epoch of a run.",
)

# What two runs in one table must share, and its name in messages.
_COMPARABLE = {
    "source": "source",
    "label_kind": "label",
    "fingerprint": "data, split or size",
    "size": "image size",
}

RUN_SETTINGS = ("batch_size", "learning_rate", "weight_decay", "precision", "width", "weights", "degradation")
"""Settings that must be the same when a run is resumed."""

# Further entries that a record must have.
_TOLD = (
    "cases",
    "constant_predictor",
    "parameters",
    "seconds_per_epoch",
    "device",
    "backend",
    "weights",
    "split_seed",
)


class RunKey(NamedTuple):
    """Identifies a run within its work folder; as text it is the name of the run's folder."""

    network: str
    epochs: int
    set: str
    train_seed: int
    variant: str = ""

    def __str__(self) -> str:
        words = (self.network, str(self.epochs), self.set, self.variant, f"s{self.train_seed}")
        return "-".join(filter(None, words))

    def place(self) -> tuple[int, ...]:
        """Sort key: in the tables' order, then by epochs, set, variant and seed."""
        orders: tuple[Iterable[str], ...] = (NETWORKS, SETS, VARIANTS)
        network, of_set, variant = (
            list(order).index(one)
            for order, one in zip(orders, (self.network, self.set, self.variant), strict=True)
        )
        return network, self.epochs, of_set, variant, self.train_seed


def key_of(record: Record) -> RunKey:
    """The key of a record's run."""
    return RunKey(*(record[name] for name in RunKey._fields))


@dataclass(frozen=True)
class Run:
    """A finished run.

    Attributes:
        record: The content of record.json.
        history: One row per epoch.
        predictions: ``tables.PREDICTION_TABLE``; predictions in years.
        folder: The run folder.
    """

    record: Record
    history: pd.DataFrame
    predictions: pd.DataFrame
    folder: Path

    @property
    def key(self) -> RunKey:
        return key_of(self.record)

    @property
    def name(self) -> str:
        """The name its folder should have, even if that was renamed."""
        return str(self.key)


def read_runs(
    *folders: Path | str, preferred: Callable[[Run], bool] = lambda run: False
) -> tuple[list[Run], pd.DataFrame]:
    """Reads every finished run in some folders, in the order of ``RunKey.place``.

    Of several records with one key, a preferred one is used, or else the one that finished last.

    Returns:
        The runs, with unique names, and what was left out with its reason (``item``, ``reason``).
    """
    runs: dict[RunKey, Run] = {}
    reasons: list[tuple[str, str]] = []
    for folder in (one for parent in folders for one in sorted(Path(parent).glob("*/"))):
        try:
            run = read_run(folder)
        except BoneAgeError as error:
            # Reports are passed on, so paths of this machine stay out of them.
            reasons.append((folder.name, str(error).replace(str(folder), folder.name)))
            continue
        rival = runs.setdefault(run.key, run)
        if rival.record == run.record:
            continue
        ranks = [(preferred(one), one.record["finished"]) for one in (run, rival)]
        used, other = (run, rival) if ranks[0] > ranks[1] else (rival, run)
        same = used.folder.name == other.folder.name
        used_name = "another run of that name" if same else used.folder.name
        why = "was read first"
        if ranks[0][0] != ranks[1][0]:
            why = "is of these labels"
        elif ranks[0] != ranks[1]:
            why = "finished later"
        reasons.append((other.folder.name, f"{used_name} {why} and is used instead"))
        runs[run.key] = used
    return [runs[key] for key in sorted(runs, key=RunKey.place)], skipped_table(reasons)


def read_run(folder: Path | str) -> Run:
    """Reads one finished run.

    Raises:
        BoneAgeError: It is not finished, or its record, history or predictions are damaged.
    """
    folder = Path(folder)
    path = folder / "record.json"
    if not path.is_file():
        raise BoneAgeError(f"{folder}: not finished (no record.json); run the same training again to resume")
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        raise BoneAgeError(
            f"{path}: not a readable record; delete that run's folder and train again"
        ) from None
    fault = _record_fault(record)
    if fault:
        raise BoneAgeError(f"{path}: {fault}; delete that run's folder and train again")
    for name in ("history.csv", "predictions.csv"):
        if not (folder / name).is_file():
            raise BoneAgeError(f"{folder / name}: is gone; delete that run's folder and train again")
    predictions = _read_predictions(folder / "predictions.csv", PREDICTION_TABLE, "train that run again")
    history = read_table(folder / "history.csv", ("epoch", "loss", "mae")).apply(
        pd.to_numeric, errors="coerce"
    )
    return Run(record, history, predictions, folder)


def _record_fault(record: object) -> str | None:
    if not isinstance(record, dict) or record.get("format") != RECORD_FORMAT:
        return f"not a record of format {RECORD_FORMAT}"
    for name, known, what in (
        ("network", NETWORKS, "known network"),
        ("set", SETS, "known set"),
        ("variant", VARIANTS, "known variant"),
    ):
        value = record.get(name)
        if not isinstance(value, str) or value not in known:
            return f"{value!r} is not a {what}"
    for name, least, what in (
        ("epochs", 1, "number of epochs"),
        ("train_seed", 0, "training seed"),
        ("size", 1, "image size"),
    ):
        if type(record.get(name)) is not int or record[name] < least:
            return f"the {what} is missing"
    if not isinstance(record.get("finished"), str):
        return "the finish time is missing"
    missing = [key for key in (*_COMPARABLE, *_TOLD) if key not in record]
    if missing:
        return f"{', '.join(missing)} is missing"
    images, settings, values = (record.get(name) for name in ("images", "settings", "metrics"))
    if not isinstance(images, dict) or type(images.get("train")) is not int:
        return "the number of training images is missing"
    if not isinstance(settings, dict) or not {"width", "precision"} <= set(settings):
        return "the settings are missing"
    if not isinstance(values, dict) or "train" not in values:
        return "the metrics are missing"
    faults = ((split, _metrics_fault(of_split)) for split, of_split in values.items())
    return next((f"the {split} {fault} is not a number" for split, fault in faults if fault), None)


def _metrics_fault(of_split: object) -> str | None:
    """The name of a metric that is missing or not finite; R2 may be missing or None."""
    if not isinstance(of_split, dict):
        return "error"
    for name in dict.fromkeys([*_METRIC_OF_COLUMN.values(), *of_split]):
        value = of_split.get(name)
        if not isinstance(value, int | float) or not abs(value) < np.inf:
            if name == "r2" and value is None:
                continue
            return str(name)
    return None


def aside(runs: Path) -> Path:
    """Where a folder of runs has those on other labels or images, whose place in it others have taken."""
    return runs.with_name(f"{runs.name}-aside")


def changed_settings(record: Record, settings: Settings) -> list[str]:
    """The names of ``RUN_SETTINGS`` that a run was trained with otherwise than these."""
    now, then = settings.model_dump(include=set(RUN_SETTINGS)), settings_of(record)
    return [name for name in RUN_SETTINGS if then.get(name, now[name]) != now[name]]


def settings_of(record: Record) -> Record:
    """A run's settings; one from before there was degradation had none."""
    return {"degradation": 0.0, **record["settings"]}


def record_run(run: Run, folder: Path | str) -> None:
    """Copies a run's record, history and predictions, not its weights, to its folder in another one.

    Raises:
        BoneAgeError: The folder is read-only, or the disk is full.
    """
    there = make_folder(Path(folder) / run.name)
    if there.resolve() == run.folder.resolve():
        return
    try:
        is_recorded = read_run(there).record["finished"] == run.record["finished"]
    except BoneAgeError:
        is_recorded = False
    # The record last, as it marks a complete run.
    for name in ("history.csv", "predictions.csv", OUTSIDE_NAME, REJECTED_NAME, "record.json"):
        if (run.folder / name).is_file():
            write_bytes(there / name, (run.folder / name).read_bytes())
        elif not is_recorded:
            (there / name).unlink(missing_ok=True)


def keep_predictions(run: Run, name: str, predictions: pd.DataFrame, images: str) -> None:
    """Saves a run's predictions for other images in its folder, so that they outlast the model.

    Args:
        run: The run.
        name: The file: ``OUTSIDE_NAME`` or ``REJECTED_NAME``.
        predictions: ``tables.PREDICTION_TABLE``; years.
        images: ``pack.fingerprint`` of those images and labels.

    Raises:
        BoneAgeError: The folder is read-only, or the disk is full.
    """
    write_table(run.folder / name, predictions.assign(Images=images, Finished=run.record["finished"]))


def kept_predictions(run: Run, name: str, images: str) -> pd.DataFrame | None:
    """What :func:`keep_predictions` saved under a name for this run and these images, or None.

    Raises:
        BoneAgeError: The saved table is damaged.
    """
    path = run.folder / name
    if not path.is_file():
        return None
    table = _read_predictions(path, (*PREDICTION_TABLE, "Images", "Finished"), "delete the file")
    same = (table["Images"] == images) & (table["Finished"] == run.record["finished"])
    return table[list(PREDICTION_TABLE)] if len(table) and same.all() else None


def _read_predictions(path: Path, columns: Collection[str], advice: str) -> pd.DataFrame:
    table = read_table(path, columns)
    table["Prediction"] = pd.to_numeric(table["Prediction"], errors="coerce")
    if not np.isfinite(table["Prediction"]).all():
        raise BoneAgeError(f"{path}: a prediction is not a number; {advice}")
    return table


def tabled_runs(runs: Iterable[Run], of_set: str) -> list[Run]:
    """The runs of one set in the results tables: plain, and of several seeds the lowest."""
    return first_of_seeds(run for run in runs if run.key.set == of_set and not run.key.variant)


def first_of_seeds(runs: Iterable[Run]) -> list[Run]:
    """Of runs that differ only in their training seed, the one with the lowest."""
    runs = list(runs)
    first: dict[RunKey, Run] = {}
    for run in sorted(runs, key=lambda run: run.key.train_seed):
        first.setdefault(run.key._replace(train_seed=0), run)
    return [run for run in runs if first[run.key._replace(train_seed=0)] is run]


def check_comparable(records: Iterable[Record]) -> None:
    """Checks that runs can share a table: same source, labels, split, images, size and width.

    Raises:
        BoneAgeError: Two differ; both are named.
    """
    records = list(records)
    for record in records[1:]:
        differing = [words for key, words in _COMPARABLE.items() if record[key] != records[0][key]]
        if record["settings"]["width"] != records[0]["settings"]["width"]:
            differing.append("widths of the network")
        if differing:
            raise BoneAgeError(
                f"{key_of(records[0])} and {key_of(record)}: trained on different {differing[0]}, so they "
                "cannot share a table; train one of them again"
            )


def are_of_same_data(one: Run, other: Run) -> bool:
    """Whether two runs have the same source, label, data, split and image size."""
    return all(one.record[key] == other.record[key] for key in _COMPARABLE)


def results_table(records: Iterable[Record], epochs: int) -> pd.DataFrame:
    """One of the results tables: all nine networks in order, with empty cells for those not run yet.

    Args:
        records: Records of :func:`tabled_runs`; those of ``epochs`` epochs are shown.
        epochs: The number of epochs of this table.

    Returns:
        Indexed by the networks' titles, columns ``RESULTS_TABLE``; MAE in years, Loss in years squared,
        Accuracy a share from 0 to 1; NaN for a network not run.

    Raises:
        BoneAgeError: The runs are not comparable.
    """
    shown = {record["network"]: record for record in records if record["epochs"] == epochs}
    check_comparable(shown.values())
    rows = [_table_row(shown[key]["metrics"]) if key in shown else {} for key in NETWORKS]
    titles = pd.Index([network.title for network in NETWORKS.values()], name="Network")
    return pd.DataFrame(rows, index=titles, columns=list(RESULTS_TABLE)[1:]).astype(float)


def _table_row(of_split: Record) -> dict[str, float]:
    row: dict[str, float] = {}
    for column, metric in _METRIC_OF_COLUMN.items():
        row[column] = of_split["train"][metric]
        row[f"Validation {column}"] = of_split.get("validation", {}).get(metric, np.nan)
    return row


def histories_table(runs: Iterable[Run]) -> pd.DataFrame:
    """Learning curves of runs, one row per epoch: ``HISTORY_TABLE``, in the runs' order.

    ``mae`` is on the training images as shown, with augmentation, while the network changed; ``val_mae`` is
    empty without validation cases.
    """
    columns = list(HISTORY_TABLE)
    tables = []
    for run in runs:
        of_run = {"Network": NETWORKS[run.record["network"]].title, "Epochs": run.record["epochs"]}
        tables.append(run.history.assign(**of_run).reindex(columns=columns))
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=columns)
