"""The finished runs side by side: what may stand together, and every table of the comparison."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from boneage.core.columns import Column, Table, with_interval
from boneage.core.tables import MONTHS_PER_YEAR, SPLITS
from boneage.dataset.labels import UNKNOWN, Labels
from boneage.evaluation import Run, constant_predictor, mae_interval, metrics_by_split, results_table
from boneage.evaluation.metrics import metrics
from boneage.networks import find
from boneage.report.coverage import coverage_of_runs
from boneage.report.differences import differences_table
from boneage.report.examination import Examination
from boneage.report.groups import groups_table
from boneage.report.matching import ComparedRuns
from boneage.report.references import references_table
from boneage.report.seeds import seeds_table
from boneage.report.variants import difference_in_words, variants_table
from boneage.report.words import (
    BASELINE,
    known_source,
    number,
    printable,
    source_words,
    words_of_width,
    years_and_months,
)

_NETWORK = Column("Network", "Its architecture.")
_EPOCHS = Column("Epochs", "How many epochs it was trained for.", ".0f")
_RUN = Column("Run", "The folder of the run.")
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
        _NETWORK,
        _EPOCHS,
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
            "Median time of an epoch on the device named beside it.",
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
        _RUN,
    ],
    "details.csv",
    "One row a run in the two tables.",
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
    "One row a split: the error of predicting the training cases' median age for every case.",
)
OUTSIDE = Table(
    "External test",
    [
        _NETWORK,
        _EPOCHS,
        Column("Source", "Where the radiographs are from."),
        Column("Label", "Which age is the ground truth there."),
        Column("Cases", "Number of cases.", ",.0f"),
        with_interval("MAE (years)", f"{_MAE}.", ".2f", unit=_INTERVAL_YEARS),
        with_interval("MAE (months)", "The same in months.", ".1f", unit=_INTERVAL_MONTHS),
        _WITHIN,
        _BIAS,
        Column("Constant predictor MAE (years)", "MAE of the training median.", ".2f", "Baseline MAE"),
        _RUN,
    ],
    "outside.csv",
    "One row a run that was tested on another source.",
    shown=(
        *("Network", "Epochs", "MAE (years)", "MAE (months)", "Within 1 year", "Bias (years)"),
        *("Constant predictor MAE (years)", "Cases"),
    ),
)


@dataclass(frozen=True)
class Outside:
    """A test of the runs on another source's images, none of which they were trained on.

    Attributes:
        source: That source.
        label_kind: Which age its label is.
        joined: Run name -> what ``evaluation.join_truth`` returns with that source's labels.
    """

    source: str
    label_kind: str
    joined: dict[str, pd.DataFrame]


@dataclass(frozen=True)
class Comparison:
    """The finished runs side by side.

    Attributes:
        heading: What every table is headed by: source, label, cases of each split, how they were split,
            image size.
        tables: Epochs -> the nine-row table of ``evaluation.results_table``, in rising order.
        details: ``DETAILS``, one row a run that stands in a table.
        baseline: ``BASELINE_ERRORS``, one row a split: always saying the training cases' median age.
        variants: ``variants.VARIANTS_TABLE``, one row a variant, run on the augmented set or ensemble,
        against
            its plain run.
        differences: ``differences.DIFFERENCES``, one row a pair of runs of one epoch count.
        seeds: ``seeds.SEEDS``, one row a plain run that was trained with other seeds, too.
        groups: ``groups.GROUPS``, one row a run and group of its test cases.
        references: ``references.REFERENCES``, one row a figure published by others.
        coverage: ``coverage.COVERAGE_OF_RUNS``, how many test cases the intervals of each run hold, by
            band of predicted ages and in all.
        outside: ``OUTSIDE``, one row a run that was tested on another source; else empty.
        coverage_outside: As ``coverage``, of that source's cases.
        interval_notices: Which run has no interval, or bands that share one, and why (``item``, ``reason``).
        left_out: Runs that stand in no table, and why (``item``, ``reason``).
        runs: The runs themselves, their labels, and their predictions beside the truth.
        outside_test: The predictions behind ``outside``.
        examinations: What was found out about networks from images; kept from earlier, or made for this one.
    """

    heading: str
    tables: dict[int, pd.DataFrame]
    details: pd.DataFrame
    baseline: pd.DataFrame
    variants: pd.DataFrame
    differences: pd.DataFrame
    seeds: pd.DataFrame
    groups: pd.DataFrame
    references: pd.DataFrame
    coverage: pd.DataFrame
    outside: pd.DataFrame
    coverage_outside: pd.DataFrame
    interval_notices: pd.DataFrame
    left_out: pd.DataFrame
    runs: ComparedRuns
    outside_test: Outside | None = None
    examinations: tuple[Examination, ...] = ()


def compare_runs(
    runs: ComparedRuns, epochs: Iterable[int], outside_test: Outside | None = None
) -> Comparison:
    """Puts finished runs side by side.

    Args:
        runs: What may be compared, from :func:`boneage.report.matching.match_runs`.
        epochs: Epoch counts to show tables of; those of the runs are added.
        outside_test: Predictions for another source's images, if there are any.
    """
    labels, tabled, joined = runs.labels, runs.tabled, runs.joined
    records = [{**run.record, "metrics": metrics_by_split(labels.table, run.predictions)} for run in tabled]
    coverage, notices = coverage_of_runs(tabled, joined)
    coverage_outside, _ = coverage_of_runs(tabled, joined, outside_test.joined if outside_test else {})
    every_epochs = sorted({*epochs, *(run.key.epochs for run in tabled)})
    return Comparison(
        heading=_heading(labels, tabled),
        tables={count: results_table(records, count) for count in every_epochs},
        details=_details(tabled, joined),
        baseline=_baseline(labels),
        variants=variants_table(runs),
        differences=differences_table(tabled, joined),
        seeds=seeds_table(runs),
        groups=groups_table(tabled, joined),
        references=references_table(),
        coverage=coverage,
        outside=_outside(runs, outside_test),
        coverage_outside=coverage_outside,
        interval_notices=notices.map(printable),
        left_out=runs.left_out.map(printable),
        runs=runs,
        outside_test=outside_test,
    )


def _heading(labels: Labels, runs: list[Run]) -> str:
    sizes = sorted({str(run.record["size"]) for run in runs})
    pixels = f" Images of {' or '.join(f'{size} × {size}' for size in sizes)} pixels." if sizes else ""
    return printable(
        f"Source: {source_words(known_source(labels, runs))}. Label: {labels.kind}. {_counts(labels.table)} "
        "Split by case, stratified by year of age, sex and race, before any augmentation."
        f"{pixels}{words_of_width(runs[0].record) if runs else ''}"
    )


def _counts(table: pd.DataFrame) -> str:
    """How many cases and images there are, of each split and in all: numbers that add up."""
    cases = table.groupby("Split")["Source ID"].nunique().reindex(SPLITS, fill_value=0)
    images = table["Split"].value_counts().reindex(SPLITS, fill_value=0)
    copies = images - cases
    parts = ", ".join(f"{count:,} {split}" for split, count in cases.items())
    counts = f"{cases.sum():,} cases: {parts}."
    if not copies.any():
        return counts
    return (
        f"{counts} {images.sum():,} images: one of each case and {copies['train']:,} changed copies of "
        f"training cases, which makes {images['train']:,} for training."
    )


def _details(runs: list[Run], joined: dict[str, pd.DataFrame]) -> pd.DataFrame:
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


def _baseline(labels: Labels) -> pd.DataFrame:
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


def _outside(runs: ComparedRuns, test: Outside | None) -> pd.DataFrame:
    rows = []
    table = runs.labels.table
    median = table.loc[table["Split"] == "train", "Bone Age"].median()
    for run in (*runs.tabled, *runs.beside):
        joined = test.joined.get(run.name) if test else None
        if joined is None:
            continue
        words = difference_in_words(run, runs.labels.set)
        rows.append(
            {
                "Network": ", ".join(filter(None, (find(run.key.network).title, words))),
                "Epochs": run.key.epochs,
                "Source": printable(source_words(test.source)),
                "Label": printable(test.label_kind),
                "Cases": len(joined),
                **_quality(joined, run.key.train_seed),
                "Constant predictor MAE (years)": (joined["Bone Age"] - median).abs().mean(),
                "Run": run.name,
            }
        )
    return OUTSIDE.frame(rows)
