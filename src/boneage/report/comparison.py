"""The comparison of finished runs: its data and all its tables."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import pandas as pd

from boneage.core.tables import SPLITS
from boneage.dataset.labels import Labels
from boneage.evaluation import Run, metrics_by_split, results_table
from boneage.report.coverage import coverage_of_runs
from boneage.report.details import Outside, baseline_table, details_table, outside_table
from boneage.report.differences import differences_table
from boneage.report.examination import Examination
from boneage.report.groups import groups_table
from boneage.report.matching import ComparedRuns
from boneage.report.references import references_table
from boneage.report.rejected import rejected_table
from boneage.report.seeds import seeds_table
from boneage.report.sets import sets_table
from boneage.report.variants import variants_table
from boneage.report.words import (
    known_source,
    printable,
    source_words,
    words_of_width,
)


@dataclass(frozen=True)
class Tables:
    """The tables of a comparison, each also a CSV of its name beside the page.

    Attributes:
        results: Epochs -> ``RESULTS``, in rising order.
        details: ``DETAILS``.
        baseline: ``BASELINE_ERRORS``.
        variants: ``VARIANTS_TABLE``.
        differences: ``DIFFERENCES``.
        seeds: ``SEEDS``.
        sets: ``SETS_TABLE``.
        groups: ``GROUPS``.
        references: ``REFERENCES``.
        coverage: ``COVERAGE_OF_RUNS``.
        outside: ``OUTSIDE``; empty without an external test.
        rejected: ``REJECTED``; empty without a test on the rejected cases.
        coverage_outside: ``COVERAGE_OF_RUNS`` on that source's cases.
        interval_notices: Runs without intervals or with joined bands, and why (``item``, ``reason``).
        left_out: Runs in no table, and why (``item``, ``reason``).
    """

    results: dict[int, pd.DataFrame]
    details: pd.DataFrame
    baseline: pd.DataFrame
    variants: pd.DataFrame
    differences: pd.DataFrame
    seeds: pd.DataFrame
    sets: pd.DataFrame
    groups: pd.DataFrame
    references: pd.DataFrame
    coverage: pd.DataFrame
    outside: pd.DataFrame
    rejected: pd.DataFrame
    coverage_outside: pd.DataFrame
    interval_notices: pd.DataFrame
    left_out: pd.DataFrame


@dataclass(frozen=True)
class Comparison:
    """A comparison of finished runs.

    Attributes:
        heading: Heads every table: source, label, cases of each split, how they were split, image size.
        runs: The compared runs, their labels, and their predictions with ground truth.
        tables: All tables.
        outside: Predictions for another source's images, if any.
        examinations: Examinations of networks, made now or kept from earlier.
    """

    heading: str
    runs: ComparedRuns
    tables: Tables
    outside: Outside | None = None
    examinations: tuple[Examination, ...] = ()


def compare_runs(
    runs: ComparedRuns,
    epochs: Iterable[int],
    outside: Outside | None = None,
    rejected: Mapping[str, pd.DataFrame] | None = None,
) -> Comparison:
    """Compares finished runs.

    Args:
        runs: From :func:`boneage.report.matching.match_runs`.
        epochs: Epoch counts to show tables of; those of the runs are added.
        outside: Predictions for another source's images, if any.
        rejected: Run name -> predictions for the rejected cases with ground truth, if any.
    """
    labels, tabled, joined = runs.labels, runs.tabled, runs.joined
    records = [{**run.record, "metrics": metrics_by_split(labels.table, run.predictions)} for run in tabled]
    coverage, notices = coverage_of_runs(tabled, joined)
    coverage_outside, _ = coverage_of_runs(tabled, joined, outside.joined if outside else {})
    every_epochs = sorted({*epochs, *(run.key.epochs for run in tabled)})
    tables = Tables(
        results={count: results_table(records, count) for count in every_epochs},
        details=details_table(tabled, joined),
        baseline=baseline_table(labels),
        variants=variants_table(runs),
        differences=differences_table(runs),
        seeds=seeds_table(runs),
        sets=sets_table(runs),
        groups=groups_table(tabled, joined),
        references=references_table(),
        coverage=coverage,
        outside=outside_table(runs, outside),
        rejected=rejected_table(runs, rejected or {}),
        coverage_outside=coverage_outside,
        interval_notices=notices.map(printable),
        left_out=runs.left_out.map(printable),
    )
    return Comparison(_heading(labels, tabled), runs, tables, outside)


def _heading(labels: Labels, runs: list[Run]) -> str:
    sizes = sorted({str(run.record["size"]) for run in runs})
    pixels = f" Images of {' or '.join(f'{size} × {size}' for size in sizes)} pixels." if sizes else ""
    return printable(
        f"Source: {source_words(known_source(labels, runs))}. Label: {labels.kind}. {_counts(labels.table)} "
        "Split by case, stratified by year of age, sex and race, before any augmentation."
        f"{pixels}{words_of_width(runs[0].record) if runs else ''}"
    )


def _counts(table: pd.DataFrame) -> str:
    """The number of cases and images, by split and in total."""
    cases = table.groupby("Split")["Source ID"].nunique().reindex(SPLITS, fill_value=0)
    images = table["Split"].value_counts().reindex(SPLITS, fill_value=0)
    copies = images - cases
    parts = ", ".join(f"{count:,} {split}" for split, count in cases.items())
    counts = f"{cases.sum():,} cases: {parts}."
    if not copies.any():
        return counts
    return (
        f"{counts} {images.sum():,} images: one of each case and {copies['train']:,} augmented copies of "
        f"training cases, {images['train']:,} for training in total."
    )
