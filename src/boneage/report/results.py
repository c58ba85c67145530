"""The tables of a comparison that end with the baseline: the published form's, and the test error."""

import itertools

import pandas as pd

from boneage.core.columns import Column, Table, View
from boneage.report.comparison import OUTSIDE, QUALITY, Comparison
from boneage.report.words import (
    BASELINE,
    NOT_RUN,
    known_source,
    printable,
    source_words,
    table_title,
    title_of,
)

_OF = {
    "MAE": ("years", ".2f", "min", "Mean absolute error: how far a prediction is off on average."),
    "Loss": ("years²", ".2f", "min", "Mean squared error, which training minimises."),
    "Accuracy": ("share", ".3f", "max", "Share of the cases with an absolute error below half a year."),
}


def _columns(name: str) -> list[Column]:
    unit, spec, best, meaning = _OF[name]
    training = f"{meaning} On the training images, augmented ones included."
    validation = "The same on the validation cases, which the network was not trained on."
    return [
        Column(name, training, spec, unit=unit, best=best),
        Column(f"Validation {name}", validation, spec, unit=unit, best=best),
    ]


RESULTS = Table(
    "Results",
    [
        Column("Network", "Its architecture.", heading="Networks"),
        *itertools.chain(*map(_columns, _OF)),
    ],
    "table-10-epoch.csv",
    "One row a network, one table for each number of epochs.",
    reference=BASELINE,
    absent=NOT_RUN,
)

CASE = Table(
    "Predictions for one case",
    [
        Column("Network", "Its architecture."),
        Column("Epochs", "How many epochs it was trained for.", ".0f"),
        Column("Prediction (years)", "What it predicts.", ".2f"),
        Column("Error (years)", "Prediction minus ground truth.", "+.2f"),
    ],
    about="One row a run, the nearest first, below the ground truth.",
    note="Error: prediction minus ground truth. Networks have seen the ground truth of training cases.",
    reference="Ground truth",
)


def results_view(comparison: Comparison, epochs: int) -> View:
    """One of the two tables, the best of each column marked, the baseline last."""
    source = source_words(known_source(comparison.runs.labels, comparison.runs.tabled))
    note = printable(f"Source: {source}. Label: {comparison.runs.labels.kind}.")
    rows = pd.concat([comparison.tables[epochs].reset_index(), _baseline(comparison)], ignore_index=True)
    if RESULTS.show(rows).stars:
        note += " ★ best of its column."
    return RESULTS.part(table_title(epochs), note=note).show(rows)


def _baseline(comparison: Comparison) -> pd.DataFrame:
    by_split = comparison.baseline.set_index("Split").rename(
        columns={"Loss (years²)": "Loss", "MAE (years)": "MAE"}
    )
    row = {"Network": BASELINE}
    for split, prefix in (("train", ""), ("validation", "Validation ")):
        if split in by_split.index:
            row |= {f"{prefix}{name}": by_split.at[split, name] for name in _OF}
    return pd.DataFrame([row])


def quality_view(comparison: Comparison) -> View:
    """The error of each run on the test cases, the baseline's last."""
    of_test = comparison.baseline[comparison.baseline["Split"] == "test"].drop(columns="Split")
    names = {"MAE (years)": "Test MAE (years)", "MAE (months)": "Test MAE (months)", "Images": "Test cases"}
    baseline = of_test.rename(columns=names).assign(Network=BASELINE)
    return QUALITY.show(QUALITY.frame([*comparison.details.to_dict("records"), *baseline.to_dict("records")]))


def case_view(comparison: Comparison, case_id: str) -> View:
    """What every run predicts for one image, the nearest first, below the ground truth."""
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
    if comparison.outside.empty:
        return OUTSIDE.show(comparison.outside)
    source, kind = comparison.outside.loc[0, ["Source", "Label"]]
    note = f"Source: {source}. Label: {kind}; in training: {printable(comparison.runs.labels.kind)}."
    return OUTSIDE.part(OUTSIDE.title, note=note).show(comparison.outside)
