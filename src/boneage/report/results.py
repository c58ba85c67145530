"""The tables that end with the baseline: results, and test error."""

from dataclasses import replace

import pandas as pd

from boneage.core.columns import Column, Table, View
from boneage.evaluation.runs import RESULTS_TABLE
from boneage.report.comparison import Comparison
from boneage.report.details import OUTSIDE, QUALITY
from boneage.report.words import (
    BASELINE,
    EPOCHS,
    NETWORK,
    NOT_RUN,
    known_source,
    printable,
    source_words,
    table_title,
    title_of,
)

RESULTS = replace(RESULTS_TABLE, reference=BASELINE, absent=NOT_RUN)

CASE = Table(
    "Predictions for one case",
    [
        NETWORK,
        EPOCHS,
        Column("Prediction (years)", "The network's prediction.", ".2f"),
        Column("Error (years)", "Prediction minus ground truth.", "+.2f"),
    ],
    about="One row per run, the nearest first, below the ground truth.",
    note="Error: prediction minus ground truth. Networks have seen the ground truth of training cases.",
    reference="Ground truth",
)


def results_view(comparison: Comparison, epochs: int) -> View:
    """One of the results tables, the best of each column marked, the baseline last."""
    source = source_words(known_source(comparison.runs.labels, comparison.runs.tabled))
    note = printable(f"Source: {source}. Label: {comparison.runs.labels.kind}.")
    rows = pd.concat(
        [comparison.tables.results[epochs].reset_index(), _baseline(comparison)], ignore_index=True
    )
    if RESULTS.show(rows).stars:
        note += " ★ best of its column."
    return RESULTS.part(table_title(epochs), note=note).show(rows)


def _baseline(comparison: Comparison) -> pd.DataFrame:
    by_split = comparison.tables.baseline.set_index("Split").rename(
        columns={"Loss (years²)": "Loss", "MAE (years)": "MAE"}
    )
    row = {"Network": BASELINE}
    for split, prefix in (("train", ""), ("validation", "Validation ")):
        if split in by_split.index:
            row |= {f"{prefix}{name}": by_split.at[split, name] for name in ("MAE", "Loss", "Accuracy")}
    return pd.DataFrame([row])


def quality_view(comparison: Comparison) -> View:
    """The test error of each run, the baseline's last."""
    of_test = comparison.tables.baseline[comparison.tables.baseline["Split"] == "test"].drop(columns="Split")
    names = {"MAE (years)": "Test MAE (years)", "MAE (months)": "Test MAE (months)", "Images": "Test cases"}
    baseline = of_test.rename(columns=names).assign(Network=BASELINE)
    return QUALITY.show(
        QUALITY.frame([*comparison.tables.details.to_dict("records"), *baseline.to_dict("records")])
    )


def case_view(comparison: Comparison, case_id: str) -> View:
    """Every run's prediction for one image, the nearest first, below the ground truth."""
    rows = []
    for run in comparison.runs.tabled:
        joined = comparison.runs.joined[run.name]
        for row in joined[joined["Case ID"] == case_id].to_dict("records"):
            network, _, _ = title_of(run).rpartition(",")
            rows.append((network, run.record["epochs"], row["Prediction"], row["Error"], row["Bone Age"]))
    rows.sort(key=lambda row: abs(row[3]))
    truth = [(CASE.reference, None, rows[0][4], None)] if rows else []
    return CASE.part(f"Predictions for {case_id}").show(CASE.frame([*truth, *(row[:4] for row in rows)]))


def outside_view(comparison: Comparison) -> View:
    """The error of each run on another source's images, with both labels named."""
    if comparison.tables.outside.empty:
        return OUTSIDE.show(comparison.tables.outside)
    source, kind = comparison.tables.outside.loc[0, ["Source", "Label"]]
    note = f"Source: {source}. Label: {kind}; in training: {printable(comparison.runs.labels.kind)}."
    return OUTSIDE.part(OUTSIDE.title, note=note).show(comparison.tables.outside)
