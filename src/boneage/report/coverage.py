"""Prediction intervals of each network, and their coverage."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import pandas as pd

from boneage.core.columns import View
from boneage.core.errors import BoneAgeError
from boneage.core.tables import skipped_table
from boneage.evaluation import Run, intervals
from boneage.networks import find
from boneage.report.words import EPOCHS, NETWORK, RUN, title_of

_SHOWN = ("Coverage", "Level", "Mean width (years)", "Test cases", "Validation cases")

COVERAGE_OF_RUNS = replace(
    intervals.COVERAGE,
    columns=[
        NETWORK,
        EPOCHS,
        *intervals.COVERAGE.columns,
        RUN,
    ],
    file="coverage.csv",
    about="One row per run and band of predicted ages, and one of all ages.",
    shown=("Network", "Epochs", *_SHOWN),
)


def coverage_of_runs(
    runs: Sequence[Run], joined: Mapping[str, pd.DataFrame], outside: Mapping[str, pd.DataFrame] | None = None
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The prediction intervals of each plain run, calibrated on its validation cases, and their coverage.

    Args:
        runs: The plain runs, in the tables' order.
        joined: Run name -> from ``evaluation.join_truth``.
        outside: The same with another source's labels, whose cases are all used in place of the test cases;
            runs not tested there are left out.

    Returns:
        ``COVERAGE_OF_RUNS``, for each run the rows of ``intervals.coverage_table``; and notices on runs
        without intervals or with joined bands (``item``, ``reason``).
    """
    tables, said = [], []
    for run in runs:
        name = run.name
        if outside is not None and name not in outside:
            continue
        of_split = dict(list(joined[name].groupby("Split")))
        none = joined[name].iloc[:0]
        test = of_split.get("test", none) if outside is None else outside[name]
        try:
            bands = intervals.calibrate(*_years(of_split.get("validation", none)))
            table = intervals.coverage_table(bands, *_years(test))
        except BoneAgeError as error:
            said.append((title_of(run), str(error)))
            continue
        said += [(title_of(run), notice) for notice in intervals.notices(bands)]
        first = {"Network": find(run.record["network"]).title, "Epochs": run.record["epochs"]}
        tables.append(table.assign(**first, Run=name)[list(COVERAGE_OF_RUNS)])
    empty = COVERAGE_OF_RUNS.frame()
    return pd.concat(tables, ignore_index=True) if tables else empty, skipped_table(said)


def _years(joined: pd.DataFrame) -> tuple[pd.Series, pd.Series]:
    return joined["Bone Age"], joined["Prediction"]


def coverage_view(table: pd.DataFrame, title: str = intervals.COVERAGE.title) -> View:
    """The coverage over all ages for each run."""
    return COVERAGE_OF_RUNS.part(title).show(table[table["Predictions"] == intervals.ALL_PREDICTIONS])


def coverage_by_band(table: pd.DataFrame) -> list[View]:
    """The coverage by band of predicted ages, a table for each epoch count."""
    bands = table[table["Predictions"] != intervals.ALL_PREDICTIONS]
    return [
        COVERAGE_OF_RUNS.part(
            f"Intervals by predicted age, {epochs} epochs", "Network", "Predictions", *_SHOWN, note=""
        ).show(rows)
        for epochs, rows in bands.groupby("Epochs")
    ]
