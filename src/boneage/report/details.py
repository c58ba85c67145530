"""The details of each run: test error, external test error, training time; and the baseline."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from boneage.core.columns import Column, Table, with_interval
from boneage.core.tables import MONTHS_PER_YEAR
from boneage.dataset.labels import UNKNOWN, Labels
from boneage.evaluation import Run, constant_predictor, mae_interval
from boneage.evaluation.metrics import metrics
from boneage.networks import find
from boneage.report.matching import ComparedRuns
from boneage.report.variants import network_in_words
from boneage.report.words import (
    BASELINE,
    EPOCHS,
    NETWORK,
    RUN,
    number,
    printable,
    source_words,
    years_and_months,
)

_WITHIN = Column(
    "Within 1 year", "Share of the cases with an absolute error of at most one year.", ".3f", unit="share"
)
_RMSE = Column("RMSE (years)", "Root mean squared error; large errors weigh more than in the MAE.", ".2f")
_BIAS = Column(
    "Bias (years)", "Mean of prediction minus ground truth; above zero, predictions are too old.", "+.2f"
)
_ACCURACY = Column(
    "Accuracy", "Share of the cases with an absolute error below half a year.", ".3f", unit="share"
)
_INTERVAL_YEARS, _INTERVAL_MONTHS = "years, 95 % interval", "months, 95 % interval"
_MAE = "Mean absolute error"

DETAILS = Table(
    "Each run",
    [
        NETWORK,
        EPOCHS,
        Column("Validation MAE (years)", f"{_MAE} on the validation cases.", ".2f"),
        Column("Test cases", "Number of test cases.", ",.0f", "Cases"),
        with_interval(
            "Test MAE (years)", f"{_MAE} on the test cases.", ".2f", heading="MAE", unit=_INTERVAL_YEARS
        ),
        with_interval(
            "Test MAE (months)", "The same in months.", ".1f", heading="MAE", unit=_INTERVAL_MONTHS
        ),
        _ACCURACY,
        _WITHIN,
        _RMSE,
        _BIAS,
        Column(
            "R2",
            "Share of the variance of age that predictions explain; 0 is no better than the mean.",
            ".2f",
            "R²",
        ),
        Column("Parameters", "Number of weights.", ",.0f"),
        Column(
            "Seconds an epoch",
            "Mean time of an epoch after the first, on the device named beside it.",
            ",.1f",
            "Epoch",
            "seconds",
        ),
        Column("Images a second", "Images trained on each second.", ",.0f", "Training", "images a second"),
        Column("Image size (px)", "Side of the images.", ",.0f", "Image size", "pixels"),
        Column("Device", "What it was trained on."),
        Column("Backend", "Library that computed it."),
        Column("Weights", "First weights: from scratch, or pretrained on other images."),
        Column("Precision", "Number format of the computation."),
        Column("Finished", "When the training ended."),
        RUN,
    ],
    "details.csv",
    "One row per run in the two tables.",
)
QUALITY = DETAILS.part(
    "Error on the test cases",
    *("Network", "Epochs", "Test MAE (years)", "Test MAE (months)", "Accuracy", "Within 1 year"),
    *("RMSE (years)", "Bias (years)", "R2", "Test cases"),
    note="Bias: mean of prediction minus ground truth; above zero, predictions are too old. RMSE: root mean "
    "squared error. R²: share of the variance of age that the predictions explain; 0 is no better than "
    "the mean.",
    reference=BASELINE,
)
TRAINING_TIMES = DETAILS.part(
    "Training time and device",
    *("Network", "Epochs", "Parameters", "Seconds an epoch", "Images a second", "Image size (px)"),
    *("Device", "Backend", "Weights", "Precision", "Finished"),
)
BASELINE_ERRORS = Table(
    BASELINE,
    [
        Column("Split", "Which cases."),
        Column("Images", "Number of images.", ",.0f", "Images"),
        Column("MAE (years)", f"{_MAE}.", ".2f"),
        Column("MAE (months)", "The same in months.", ".1f"),
        Column("Loss (years²)", "Mean squared error.", ".2f"),
        _ACCURACY,
        _WITHIN,
        _RMSE,
        _BIAS,
    ],
    "baseline.csv",
    "One row per split: the error of predicting the training cases' median age for every case.",
)
OUTSIDE = Table(
    "External test",
    [
        NETWORK,
        EPOCHS,
        Column("Source", "Where the radiographs are from."),
        Column("Label", "Which age is the ground truth there."),
        Column("Cases", "Number of cases.", ",.0f"),
        with_interval("MAE (years)", f"{_MAE}.", ".2f", unit=_INTERVAL_YEARS),
        with_interval("MAE (months)", "The same in months.", ".1f", unit=_INTERVAL_MONTHS),
        _WITHIN,
        _BIAS,
        Column("Baseline MAE (years)", "MAE of predicting the training median for every case.", ".2f"),
        RUN,
    ],
    "outside.csv",
    "One row per run that was tested on another source.",
    shown=(
        *("Network", "Epochs", "MAE (years)", "MAE (months)", "Within 1 year", "Bias (years)"),
        *("Baseline MAE (years)", "Cases"),
    ),
)


@dataclass(frozen=True)
class Outside:
    """An external test of the runs, on another source's images.

    Attributes:
        source: That source.
        label_kind: Its kind of label.
        joined: Run name -> from ``evaluation.join_truth`` with that source's labels.
    """

    source: str
    label_kind: str
    joined: dict[str, pd.DataFrame]


def details_table(runs: list[Run], joined: dict[str, pd.DataFrame]) -> pd.DataFrame:
    rows = []
    for run in runs:
        record, predictions = run.record, joined[run.name]
        of_validation = predictions[predictions["Split"] == "validation"]
        of_test = predictions[predictions["Split"] == "test"]
        rows.append(
            {
                "Network": find(record["network"]).title,
                "Epochs": record["epochs"],
                "Validation MAE (years)": of_validation["Error"].abs().mean(),
                "Test cases": len(of_test),
                **_quality(of_test, run.key.train_seed, "Test "),
                "Parameters": number(record.get("parameters")),
                "Seconds an epoch": number(record.get("seconds_per_epoch")),
                "Images a second": number(record.get("images_per_second")),
                "Image size (px)": number(record["size"]),
                **{
                    name.capitalize(): printable(record.get(name, UNKNOWN))
                    for name in ("device", "backend", "weights", "finished")
                },
                "Precision": printable(record["settings"]["precision"]),
                "Run": run.name,
            }
        )
    return DETAILS.frame(rows)


def _quality(joined: pd.DataFrame, seed: int, prefix: str = "") -> dict[str, float]:
    if joined.empty:
        return {}
    values = metrics(joined["Bone Age"].to_numpy(), joined["Prediction"].to_numpy())
    low, high = mae_interval(joined["Error"].to_numpy(), seed)
    of_mae = {f"{prefix}MAE": values["mae"], f"{prefix}MAE low": low, f"{prefix}MAE high": high}
    return {
        **years_and_months(of_mae),
        "Accuracy": values["accuracy"],
        "Within 1 year": values["within_1_year"],
        "RMSE (years)": values["rmse"],
        "Bias (years)": values["bias"],
        "R2": np.nan if values["r2"] is None else values["r2"],
    }


def baseline_table(labels: Labels) -> pd.DataFrame:
    """``BASELINE_ERRORS``: the error of predicting the training median."""
    rows = []
    if (labels.table["Split"] == "train").any():
        for split, values in constant_predictor(labels.table).items():
            rows.append(
                {
                    "Split": split,
                    "Images": values["count"],
                    "MAE (years)": values["mae"],
                    "MAE (months)": values["mae"] * MONTHS_PER_YEAR,
                    "Loss (years²)": values["loss"],
                    "Accuracy": values["accuracy"],
                    "Within 1 year": values["within_1_year"],
                    "RMSE (years)": values["rmse"],
                    "Bias (years)": values["bias"],
                }
            )
    return BASELINE_ERRORS.frame(rows)


def outside_table(runs: ComparedRuns, test: Outside | None) -> pd.DataFrame:
    """``OUTSIDE``, one row per run tested on another source."""
    rows = []
    table = runs.labels.table
    median = table.loc[table["Split"] == "train", "Bone Age"].median()
    for run in (*runs.tabled, *runs.beside):
        joined = test.joined.get(run.name) if test else None
        if joined is None:
            continue
        rows.append(
            {
                "Network": network_in_words(run, runs.labels.set),
                "Epochs": run.key.epochs,
                "Source": printable(source_words(test.source)),
                "Label": printable(test.label_kind),
                "Cases": len(joined),
                **_quality(joined, run.key.train_seed),
                "Baseline MAE (years)": (joined["Bone Age"] - median).abs().mean(),
                "Run": run.name,
            }
        )
    return OUTSIDE.frame(rows)
