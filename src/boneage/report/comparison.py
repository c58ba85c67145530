"""The finished runs side by side: what may stand together, and every table of the comparison."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from boneage.core.columns import Column, Table, with_interval
from boneage.core.errors import BoneAgeError
from boneage.core.tables import MONTHS_PER_YEAR, SPLITS, skipped_table
from boneage.dataset.labels import UNKNOWN, Labels
from boneage.evaluation.metrics import (
    AUGMENTED,
    Run,
    constant_predictor,
    mae_interval,
    metrics,
    metrics_by_split,
    plain_runs,
    precision_of,
    results_table,
    variant_of,
)
from boneage.networks import find
from boneage.report.coverage import coverage_of_runs
from boneage.report.differences import differences_table
from boneage.report.examination import Examination
from boneage.report.groups import groups_table
from boneage.report.matching import (
    grown_beside_plain,
    joined_with_truth,
    largest_groups,
    reseeded_beside_plain,
    variants_beside_plain,
)
from boneage.report.references import references_table
from boneage.report.seeds import seeds_table
from boneage.report.variants import grown_words, variants_table
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
        joined: Run folder name, for runs on the augmented set behind ``augmented/`` -> what
            ``evaluation.join_truth`` returns with that source's labels.
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
        variants: ``variants.VARIANT_COLUMNS``, one row a variant, run on the augmented set or ensemble,
        against
            its plain run.
        differences: ``differences.DIFFERENCE_COLUMNS``, one row a pair of runs of one epoch count.
        seeds: ``seeds.SEED_COLUMNS``, one row a plain run that was trained with other seeds, too.
        groups: ``groups.GROUP_COLUMNS``, one row a run and group of its test cases.
        references: ``references.REFERENCE_COLUMNS``, one row a figure published by others.
        coverage: ``coverage.RUN_COVERAGE_COLUMNS``, how many test cases the intervals of each run hold, by
            band of predicted ages and in all.
        outside: ``OUTSIDE``, one row a run that was tested on another source; else empty.
        coverage_outside: As ``coverage``, of that source's cases.
        interval_notices: Which run has no interval, or bands that share one, and why (``item``, ``reason``).
        left_out: Runs that stand in no table, and why (``item``, ``reason``).
        joined: Run folder name -> its predictions beside the truth (``evaluation.join_truth``), variants too.
        runs: The plain runs, which stand in the two tables.
        variant_runs: The runs of a variant that stand against their plain run.
        grown_runs: The runs on the augmented set that stand against their plain run.
        reseeded_runs: The runs of other seeds that stand beside their plain run.
        labels: The labels of all of them.
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
    joined: dict[str, pd.DataFrame]
    runs: list[Run]
    variant_runs: list[Run]
    grown_runs: list[Run]
    reseeded_runs: list[Run]
    labels: Labels
    outside_test: Outside | None = None
    examinations: tuple[Examination, ...] = ()


def compare_runs(
    runs: Sequence[Run],
    labels: Labels,
    epochs: Iterable[int],
    left_out: pd.DataFrame,
    outside_test: Outside | None = None,
    grown: Sequence[Run] = (),
    reseeded: Sequence[Run] = (),
) -> Comparison:
    """Puts the finished runs side by side.

    A run whose predictions do not belong to the labels is left out with its reason. So is one that differs
    from the others of its table in source, label, split, images or size: the larger group stands, of two
    equally large ones that with the newest run. So is a variant whose plain run is not there, or is not one
    of the same data.

    Args:
        runs: Finished runs in the tables' order, one a network, epoch count and variant
            (``evaluation.read_runs``).
        labels: The labels they were trained on.
        epochs: Epoch counts to show tables of; those of the runs are added.
        left_out: What was left out already (``item``, ``reason``).
        outside_test: Predictions for another source's images, if there are any.
        grown: Finished runs of the same networks on the same cases, trained on more images of them. One
            whose plain run is not there, or that was tested on other cases, is left out with its reason.
        reseeded: Finished runs of the same networks on the same images, trained with other seeds. One whose
            plain run is not there, or is not of the same data, is left out with its reason.
    """
    joined: dict[str, pd.DataFrame] = {}
    reasons: list[tuple[str, str]] = []
    belonging = []
    for run in runs:
        try:
            joined[run.folder.name] = joined_with_truth(run, labels)
            belonging.append(run)
        except BoneAgeError as error:
            reasons.append((run.folder.name, str(error)))
    standing, unlike = largest_groups(plain_runs(belonging))
    variants, alone = variants_beside_plain([run for run in belonging if variant_of(run.record)], standing)
    joined = {run.folder.name: joined[run.folder.name] for run in [*standing, *variants]}
    grown_beside, strange = grown_beside_plain(grown, standing, labels)
    reseeded_beside, unequal = reseeded_beside_plain(reseeded, standing, labels)
    records = [{**run.record, "metrics": metrics_by_split(labels.table, run.predictions)} for run in standing]
    coverage, notices = coverage_of_runs(standing, joined)
    coverage_outside, _ = coverage_of_runs(standing, joined, outside_test.joined if outside_test else {})
    every_epochs = sorted({*epochs, *(run.record["epochs"] for run in standing)})
    reasons = skipped_table([*reasons, *unlike, *alone, *strange, *unequal])
    return Comparison(
        heading=_heading(labels, standing),
        tables={count: results_table(records, count) for count in every_epochs},
        details=_details(standing, joined),
        baseline=_baseline(labels),
        variants=variants_table(standing, variants, joined, grown_beside),
        differences=differences_table(standing, joined),
        seeds=seeds_table(standing, joined, reseeded_beside),
        groups=groups_table(standing, joined),
        references=references_table(),
        coverage=coverage,
        outside=_outside(standing, [run for run, _ in grown_beside], labels, outside_test),
        coverage_outside=coverage_outside,
        interval_notices=notices.map(printable),
        left_out=pd.concat([left_out, reasons], ignore_index=True).map(printable),
        joined=joined,
        runs=standing,
        variant_runs=variants,
        grown_runs=[run for run, _ in grown_beside],
        reseeded_runs=[run for run, _ in reseeded_beside],
        labels=labels,
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
        record, predictions = run.record, joined[run.folder.name]
        of_validation = predictions[predictions["Split"] == "validation"]
        of_test = predictions[predictions["Split"] == "test"]
        rows.append(
            {
                "Network": find(record["network"]).title,
                "Epochs": record["epochs"],
                "Validation MAE (years)": of_validation["Error"].abs().mean(),
                "Test cases": len(of_test),
                **_quality(of_test, record.get("seed"), "Test "),
                "Parameters": number(record.get("parameters")),
                "Seconds an epoch": number(record.get("seconds_per_epoch")),
                "Images a second": number(record.get("images_per_second")),
                "Image size (px)": number(record["size"]),
                **{
                    name.capitalize(): printable(record.get(name, UNKNOWN))
                    for name in ("device", "backend", "weights", "finished")
                },
                "Precision": printable(precision_of(record)),
                "Run": printable(run.folder.name),
            }
        )
    return DETAILS.frame(rows)


def _quality(joined: pd.DataFrame, seed: object, prefix: str = "") -> dict[str, float]:
    if joined.empty:
        return {}
    values = metrics(joined["Bone Age"].to_numpy(), joined["Prediction"].to_numpy())
    low, high = mae_interval(joined["Error"].to_numpy(), seed if type(seed) is int and seed >= 0 else 0)
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


def _outside(runs: list[Run], grown: list[Run], labels: Labels, test: Outside | None) -> pd.DataFrame:
    rows = []
    median = labels.table.loc[labels.table["Split"] == "train", "Bone Age"].median()
    named = [(run.folder.name, "", run) for run in runs]
    named += [(f"{AUGMENTED}/{run.folder.name}", f", {grown_words(run)}", run) for run in grown]
    for name, what, run in named:
        joined = test.joined.get(name) if test else None
        if joined is None:
            continue
        rows.append(
            {
                "Network": find(run.record["network"]).title + what,
                "Epochs": run.record["epochs"],
                "Source": printable(source_words(test.source)),
                "Label": printable(test.label_kind),
                "Cases": len(joined),
                **_quality(joined, run.record.get("seed")),
                "Constant predictor MAE (years)": (joined["Bone Age"] - median).abs().mean(),
                "Run": printable(name),
            }
        )
    return OUTSIDE.frame(rows)
