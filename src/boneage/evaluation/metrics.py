"""How good the predictions are: metrics, the two tables, and the records they come from."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from boneage.core.errors import BoneAgeError
from boneage.core.files import make_folder, write_bytes
from boneage.core.settings import VARIANTS
from boneage.core.tables import PREDICTION_COLUMNS, RACES, SPLITS, read_table, skipped_table, write_table
from boneage.networks import NETWORKS

Record = dict[str, Any]
"""What record.json of a run says, or a part of it: checked when it is read."""

ACCURATE_YEARS = 0.5
"""A prediction this close rounds to the right whole year: the tables' Accuracy counts those below it."""

BOOTSTRAP_RESAMPLES = 2000

PAIRED_RESAMPLES = 10_000
"""So many that the smallest p, 2 / 10,001, stays below 0.05 after Holm's correction for 36 pairs."""

AGE_BANDS = {0: "0–4 years", 5: "5–9 years", 10: "10–14 years", 15: "15+ years"}
"""First year of age of each band: babies and toddlers, childhood, the years of puberty, closing plates."""

RECORD_FORMAT = 1

AUGMENTED = "augmented"
"""Name of the folder, among recorded runs, of those that were trained on the augmented set."""

SEEDS = "seeds"
"""Name of the folder, among recorded runs, of those that were trained with other seeds: a folder a seed."""

OUTSIDE_NAME = "outside.csv"
"""A run's predictions for another source's images, in its folder."""

TABLE_COLUMNS = ("MAE", "Validation MAE", "Loss", "Validation Loss", "Accuracy", "Validation Accuracy")
_METRIC_OF_COLUMN = {"MAE": "mae", "Loss": "loss", "Accuracy": "accuracy"}

# What must be equal for two runs to stand in one table, and how to say it.
_COMPARABLE = {
    "source": "source",
    "label_kind": "label",
    "fingerprint": "data, split or size",
    "size": "image size",
}

# What README tells of a run besides.
_TOLD = (
    "images",
    "cases",
    "constant_predictor",
    "parameters",
    "seconds_per_epoch",
    "device",
    "backend",
    "weights",
    "seed",
)


def metrics(truth: np.ndarray, prediction: np.ndarray) -> dict[str, float | int | None]:
    """The metrics of one split.

    Args:
        truth: Bone ages in years, (cases,), at least one.
        prediction: Predictions in years, (cases,).

    Returns:
        ``count``; ``mae``, ``rmse`` and ``bias`` (mean of prediction minus truth) in years; ``loss`` (mean
        squared error) in years squared; ``accuracy`` and ``within_1_year``, shares of the cases with an
        absolute error below half a year and of at most one; ``r2`` (None where all truths are equal).

    Raises:
        BoneAgeError: The two differ in length, are empty, or a prediction is not a finite number.
    """
    truth, prediction = np.asarray(truth, float), np.asarray(prediction, float)
    if truth.shape != prediction.shape or truth.ndim != 1 or not len(truth):
        raise BoneAgeError(f"metrics: {truth.shape} truths and {prediction.shape} predictions do not match")
    if not (np.isfinite(truth).all() and np.isfinite(prediction).all()):
        raise BoneAgeError(
            "metrics: a prediction is not a finite number; the training diverged, lower its rate"
        )
    error = prediction - truth
    squares = float(np.mean(error**2))
    spread = float(np.mean((truth - truth.mean()) ** 2))
    return {
        "count": len(truth),
        "mae": float(np.mean(np.abs(error))),
        "loss": squares,
        "accuracy": float(np.mean(np.abs(error) < ACCURATE_YEARS)),
        "within_1_year": float(np.mean(np.abs(error) <= 1.0)),
        "rmse": squares**0.5,
        "bias": float(error.mean()),
        "r2": 1.0 - squares / spread if spread else None,
    }


def mae_interval(error: np.ndarray, seed: int = 0) -> tuple[float, float]:
    """The 95 % interval of an MAE over other cases like these, by the percentile bootstrap.

    After Efron and Tibshirani, "An Introduction to the Bootstrap", 1993, chapter 13. It says how much the
    MAE depends on which cases were tested, not how much on the seed of the training.

    Args:
        error: Prediction minus truth in years, (cases,).
        seed: The same seed gives the same interval.

    Returns:
        Its ends in years; NaN for fewer than two cases.
    """
    size = np.abs(np.asarray(error, float))
    if len(size) < 2:
        return np.nan, np.nan
    interval = stats.bootstrap(
        (size,),
        np.mean,
        method="percentile",
        n_resamples=BOOTSTRAP_RESAMPLES,
        # Drawn in small lots, so that memory stays flat on a source of many thousand cases.
        batch=100,
        rng=np.random.default_rng(seed),
    ).confidence_interval
    return float(interval.low), float(interval.high)


def mean_differences(differences: np.ndarray, seed: int = 0) -> pd.DataFrame:
    """The mean of paired differences, its 95 % interval and its p, by the bootstrap over cases.

    The percentile interval after Efron and Tibshirani, "An Introduction to the Bootstrap", 1993, chapter 13.
    p is two-sided: the level at which that interval just reaches zero, which is twice the smaller share of
    resamples at or beyond zero; one is added to both counts, so that it is never zero (Davison and Hinkley,
    "Bootstrap Methods and their Application", 1997, chapter 4). All rows are drawn with the same cases.

    Args:
        differences: For each pair and case the absolute error of the one less that of the other, in years,
            (pairs, cases).
        seed: The same seed gives the same table.

    Returns:
        ``difference``, ``low``, ``high`` in years and ``p``, one row a pair; all but the first are NaN for
        fewer than two cases.
    """
    differences = np.asarray(differences, float)
    mean = differences.mean(axis=1)
    if differences.shape[1] < 2:
        return pd.DataFrame({"difference": mean, "low": np.nan, "high": np.nan, "p": np.nan})
    drawn = stats.bootstrap(
        (differences,),
        np.mean,
        axis=-1,
        method="percentile",
        n_resamples=PAIRED_RESAMPLES,
        batch=100,
        rng=np.random.default_rng(seed),
    )
    means = drawn.bootstrap_distribution
    beyond = np.minimum((means <= 0).sum(axis=-1), (means >= 0).sum(axis=-1))
    return pd.DataFrame(
        {
            "difference": mean,
            "low": drawn.confidence_interval.low,
            "high": drawn.confidence_interval.high,
            "p": np.minimum(1.0, 2 * (1 + beyond) / (1 + PAIRED_RESAMPLES)),
        }
    )


def holm(p: np.ndarray) -> np.ndarray:
    """p-values corrected for their number, so that all together err at most as often as one alone.

    After Holm, "A simple sequentially rejective multiple test procedure", Scandinavian Journal of
    Statistics 1979; 6:65-70.

    Args:
        p: p-values from 0 to 1, (tests,).

    Returns:
        The corrected ones, in the same order.
    """
    p = np.asarray(p, float)
    order = np.argsort(p)
    corrected = np.empty_like(p)
    corrected[order] = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    capped: np.ndarray = np.minimum(corrected, 1.0)
    return capped


def group_of(labels: pd.DataFrame) -> pd.DataFrame:
    """The groups that each case belongs to: ``Sex``, ``Race`` and ``Age``, in words.

    Args:
        labels: ``Male``, ``Location`` (the race) and ``Bone Age`` in years.

    Returns:
        Ordered categories, in the order to show them in.
    """
    sexes, races = ["Girls", "Boys"], [race for race in RACES if race != "Unknown"]
    sex = np.where(labels["Male"].astype(bool), "Boys", "Girls")
    ages, edges = labels["Bone Age"].astype(float), [*map(float, AGE_BANDS), np.inf]
    return pd.DataFrame(
        {
            "Sex": pd.Categorical(sex, sexes, ordered=True),
            # A case of unknown race is of no group.
            "Race": pd.Categorical(labels["Location"], races, ordered=True),
            "Age": pd.cut(ages, edges, right=False, labels=list(AGE_BANDS.values())),
        },
        index=labels.index,
    )


def metrics_by_split(labels: pd.DataFrame, predictions: pd.DataFrame) -> dict[str, Record]:
    """The metrics of each split that has cases, the truth joined from the labels.

    Raises:
        BoneAgeError: A prediction has no label, or stands under another split there.
    """
    joined = join_truth(labels, predictions)
    return {
        split: metrics(rows["Bone Age"].to_numpy(), rows["Prediction"].to_numpy())
        for split in SPLITS
        if len(rows := joined[joined["Split"] == split])
    }


def join_truth(labels: pd.DataFrame, predictions: pd.DataFrame) -> pd.DataFrame:
    """Predictions beside their labels, in the predictions' order.

    Returns:
        The label columns and ``Prediction``, ``Error`` (prediction minus truth), both in years.

    Raises:
        BoneAgeError: A prediction has no label, stands twice, or stands under another split there.
    """
    if not predictions["Case ID"].is_unique:
        raise BoneAgeError("predictions: a Case ID stands twice; train that run again")
    joined = predictions.merge(labels, on="Case ID", how="left", suffixes=("", " of label"))
    unknown = joined.loc[joined["Bone Age"].isna(), "Case ID"]
    if len(unknown):
        raise BoneAgeError(
            f"predictions: {len(unknown)} cases have no label (the first: {unknown.iloc[0]}); the run "
            "belongs to other labels"
        )
    if (joined["Split"] != joined["Split of label"]).any():
        raise BoneAgeError(
            "predictions: the split is not that of the labels; the run belongs to other labels"
        )
    joined["Error"] = joined["Prediction"] - joined["Bone Age"]
    return joined.drop(columns="Split of label")


def constant_predictor(labels: pd.DataFrame) -> dict[str, Record]:
    """The metrics of always saying the training cases' median age: what a network must beat."""
    median = labels.loc[labels["Split"] == "train", "Bone Age"].median()
    return {
        split: metrics(rows.to_numpy(), np.full(len(rows), median))
        for split in SPLITS
        if len(rows := labels.loc[labels["Split"] == split, "Bone Age"])
    }


HISTORY_COLUMNS = ("Network", "Epochs", "epoch", "mae", "val_mae")


@dataclass(frozen=True)
class Run:
    """A finished run as it lies in its folder.

    Attributes:
        record: What record.json says.
        history: One row an epoch.
        predictions: ``tables.PREDICTION_COLUMNS``; predictions in years.
        folder: The run folder.
    """

    record: Record
    history: pd.DataFrame
    predictions: pd.DataFrame
    folder: Path


def read_runs(*folders: Path | str) -> tuple[list[Run], pd.DataFrame]:
    """Reads every finished run below some folders, in the tables' order, epochs and variants within.

    Where two records are of one network, number of epochs and variant, the newest by finish time wins. A
    run that lies in two of the folders is taken from the first. Folders named ``AUGMENTED`` and ``SEEDS`` are
    passed over.

    Returns:
        The runs, no two of one folder name, and what was left out with its reason (``item``, ``reason``).
    """
    runs: dict[tuple[str, int, str], Run] = {}
    reasons: list[tuple[str, str]] = []
    for run_folder in (path for folder in folders for path in sorted(Path(folder).glob("*"))):
        if not run_folder.is_dir() or run_folder.name in (AUGMENTED, SEEDS):
            continue
        try:
            run = read_run(run_folder)
        except BoneAgeError as error:
            # A report is passed on; where its folder lay on this machine is nobody else's business.
            reasons.append((run_folder.name, str(error).replace(str(run_folder), run_folder.name)))
            continue
        row = (run.record["network"], run.record["epochs"], variant_of(run.record))
        rival = runs.get(row)
        if rival is not None and rival.record == run.record:
            continue
        if rival is not None:
            newest, older = sorted((run, rival), key=lambda one: one.record["finished"], reverse=True)
            same = newest.folder.name == older.folder.name
            rival_name = "another run of that name" if same else newest.folder.name
            reasons.append((older.folder.name, f"{rival_name} finished later and stands in its place"))
            run = newest
        runs[row] = run
    networks, variants = list(NETWORKS), list(VARIANTS)

    def place(row: tuple[str, int, str]) -> tuple[int, int, int]:
        network, epochs, variant = row
        return networks.index(network), epochs, variants.index(variant)

    standing: dict[str, Run] = {}
    for row in sorted(runs, key=place):
        run = runs[row]
        if standing.setdefault(run.folder.name, run) is not run:
            reasons.append((run_name(*row), f"another run's folder is also called {run.folder.name}"))
    return list(standing.values()), skipped_table(reasons)


def record_run(run: Run, folder: Path | str) -> None:
    """Puts a run's record, history and predictions into its folder below another, its weights not.

    Raises:
        BoneAgeError: The folder is read-only, or the disk is full.
    """
    own = (run.record["network"], run.record["epochs"], variant_of(run.record))
    there = make_folder(Path(folder) / run_name(*own))
    if there.resolve() == run.folder.resolve():
        return
    # The record last: without it the folder holds no run.
    for name in ("history.csv", "predictions.csv", OUTSIDE_NAME, "record.json"):
        if (run.folder / name).is_file():
            write_bytes(there / name, (run.folder / name).read_bytes())
        else:
            (there / name).unlink(missing_ok=True)


def run_name(network: str, epochs: int, variant: str = "") -> str:
    """The name of a run's folder: ``resnet50-18``, or ``resnet50-18-sex`` for a variant."""
    return "-".join(filter(None, (network, str(epochs), variant)))


def variant_of(record: Record) -> str:
    """Which of ``settings.VARIANTS`` a run is; before there were any, all were plain."""
    return str(record.get("variant", ""))


def plain_runs(runs: Sequence[Run]) -> list[Run]:
    """The runs that stand in the two tables: those of no variant."""
    return [run for run in runs if not variant_of(run.record)]


def histories_table(runs: Iterable[Run]) -> pd.DataFrame:
    """How the error of runs fell, one row an epoch: ``HISTORY_COLUMNS``, in the runs' order.

    ``mae`` is that of the training images as they were shown, changed copies and random turns included, while
    the network was changing; ``val_mae`` is empty where there were no validation cases.
    """
    columns = list(HISTORY_COLUMNS)
    tables = []
    for run in runs:
        of_run = {"Network": NETWORKS[run.record["network"]].title, "Epochs": run.record["epochs"]}
        tables.append(run.history.assign(**of_run).reindex(columns=columns))
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=columns)


def read_run(folder: Path | str) -> Run:
    """Reads one finished run.

    Raises:
        BoneAgeError: It is not finished, or its record, history or predictions are damaged.
    """
    folder = Path(folder)
    path = folder / "record.json"
    if not path.is_file():
        raise BoneAgeError(f"{folder}: not finished (no record.json); run the same training again to go on")
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        raise BoneAgeError(
            f"{path}: not a readable record; delete that run's folder and train again"
        ) from None
    fault = _record_fault(record)
    if fault:
        raise BoneAgeError(f"{path}: {fault}; delete that run's folder and train again")
    predictions = _read_predictions(folder / "predictions.csv", PREDICTION_COLUMNS, "train that run again")
    history = read_table(folder / "history.csv", ("epoch", "loss", "mae")).apply(
        pd.to_numeric, errors="coerce"
    )
    return Run(record, history, predictions, folder)


def keep_outside(run: Run, predictions: pd.DataFrame, images: str) -> None:
    """Keeps a run's predictions for another source's images in its folder, so that they outlast the model.

    Args:
        run: The run.
        predictions: ``tables.PREDICTION_COLUMNS``; years.
        images: ``dataset.fingerprint`` of those images and labels.

    Raises:
        BoneAgeError: The folder is read-only, or the disk is full.
    """
    write_table(run.folder / OUTSIDE_NAME, predictions.assign(Images=images, Finished=run.record["finished"]))


def kept_outside(run: Run, images: str) -> pd.DataFrame | None:
    """What :func:`keep_outside` kept of this very run for these very images, or None.

    Raises:
        BoneAgeError: The kept table is damaged.
    """
    path = run.folder / OUTSIDE_NAME
    if not path.is_file():
        return None
    table = _read_predictions(path, (*PREDICTION_COLUMNS, "Images", "Finished"), "delete the file")
    same = (table["Images"] == images) & (table["Finished"] == run.record["finished"])
    return table[list(PREDICTION_COLUMNS)] if len(table) and same.all() else None


def _read_predictions(path: Path, columns: Sequence[str], advice: str) -> pd.DataFrame:
    table = read_table(path, columns)
    table["Prediction"] = pd.to_numeric(table["Prediction"], errors="coerce")
    if not np.isfinite(table["Prediction"]).all():
        raise BoneAgeError(f"{path}: a prediction is not a number; {advice}")
    return table


def _record_fault(record: object) -> str | None:
    if not isinstance(record, dict) or record.get("format") != RECORD_FORMAT:
        return f"not a record of format {RECORD_FORMAT}"
    if not isinstance(record.get("network"), str) or record["network"] not in NETWORKS:
        return f"{record.get('network')!r} is no network of the tables"
    if type(record.get("epochs")) is not int or record["epochs"] < 1:
        return "the number of epochs is missing"
    if variant_of(record) not in tuple(VARIANTS):
        return f"{variant_of(record)!r} is no variant of a network"
    if not isinstance(record.get("finished"), str):
        return "the finish time is missing"
    missing = [key for key in (*_COMPARABLE, *_TOLD) if key not in record]
    if missing:
        return f"{', '.join(missing)} is missing"
    images = record["images"]
    if not isinstance(images, dict) or type(images.get("train")) is not int:
        return "the number of training images is missing"
    values = record.get("metrics")
    if not isinstance(values, dict) or "train" not in values:
        return "the metrics are missing"
    for split, of_split in values.items():
        fault = _metrics_fault(of_split)
        if fault:
            return f"the {split} {fault} is not a number"
    return None


def _metrics_fault(of_split: object) -> str | None:
    """The name of a metric that is absent or no finite number; R2 may be absent, or unknown."""
    if not isinstance(of_split, dict):
        return "error"
    for name in dict.fromkeys([*_METRIC_OF_COLUMN.values(), *of_split]):
        value = of_split.get(name)
        if not isinstance(value, int | float) or not abs(value) < np.inf:
            if name == "r2" and value is None:
                continue
            return str(name)
    return None


def width_of(record: Record) -> str:
    """The width of a run's network, one of ``settings.WIDTHS``; before there was a choice it was full."""
    return _setting(record, "width", "full")


def precision_of(record: Record) -> str:
    """The numbers of a run, one of ``settings.PRECISIONS``; before there was a choice they were single."""
    return _setting(record, "precision", "float32")


def _setting(record: Record, name: str, before_it_was: str) -> str:
    settings = record.get("settings")
    return str(settings.get(name, before_it_was)) if isinstance(settings, dict) else before_it_was


def check_comparable(records: Iterable[Record]) -> None:
    """Makes sure that runs may stand in one table: same source, labels, split, images, size and width.

    Raises:
        BoneAgeError: Two differ; both are named.
    """
    records = list(records)
    for record in records[1:]:
        differing = [words for key, words in _COMPARABLE.items() if record[key] != records[0][key]]
        if width_of(record) != width_of(records[0]):
            differing.append("widths of the network")
        if differing:
            first, other = (
                run_name(one["network"], one["epochs"], variant_of(one)) for one in (records[0], record)
            )
            raise BoneAgeError(
                f"{first} and {other}: trained on different {differing[0]}, so they cannot stand in one "
                "table; train one of them again"
            )


def results_table(records: Iterable[Record], epochs: int) -> pd.DataFrame:
    """One of the two tables: all nine networks in their order, those not run yet with empty cells.

    Args:
        records: Run records; only plain ones of ``epochs`` epochs are shown.
        epochs: The number of epochs of this table.

    Returns:
        Indexed by the networks' titles, columns ``TABLE_COLUMNS``; MAE in years, Loss in years squared,
        Accuracy a share from 0 to 1; NaN for a network that was not run.

    Raises:
        BoneAgeError: The runs are not comparable.
    """
    shown = {
        record["network"]: record
        for record in records
        if record["epochs"] == epochs and not variant_of(record)
    }
    check_comparable(shown.values())
    rows = [_table_row(shown[key]["metrics"]) if key in shown else {} for key in NETWORKS]
    titles = pd.Index([network.title for network in NETWORKS.values()], name="Network")
    return pd.DataFrame(rows, index=titles, columns=list(TABLE_COLUMNS)).astype(float)


def _table_row(of_split: Record) -> dict[str, float]:
    row: dict[str, float] = {}
    for column, metric in _METRIC_OF_COLUMN.items():
        row[column] = of_split["train"][metric]
        row[f"Validation {column}"] = of_split.get("validation", {}).get(metric, np.nan)
    return row


def cases_by_error(joined: pd.DataFrame, seed: int = 0, count: int = 1) -> dict[str, pd.DataFrame]:
    """The cases whose predictions are nearest, in the middle, drawn at random, and farthest off.

    Args:
        joined: Predictions beside the truth, as ``evaluation.join_truth`` makes it.
        seed: Draws the random ones.
        count: Cases of each kind, fewer where there are fewer.

    Returns:
        ``best``, ``median``, ``random`` and ``worst`` -> rows of the table, by absolute error; the worst
        first among the worst. Of cases equally far off the one whose Case ID comes first.

    Raises:
        BoneAgeError: There is no case.
    """
    if joined.empty:
        raise BoneAgeError("cases by error: there are none; choose a split that has cases")
    ordered = joined.assign(Off=joined["Error"].abs()).sort_values(["Off", "Case ID"]).drop(columns="Off")
    count = min(count, len(ordered))
    first = (len(ordered) - count) // 2
    return {
        "best": ordered.head(count),
        "median": ordered.iloc[first : first + count],
        "random": ordered.sample(count, random_state=seed),
        "worst": ordered.tail(count)[::-1],
    }
