"""How far a single prediction of each network may be off: its intervals, and how many cases they hold."""

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
    about="One row a run and band of predicted ages, and one of all ages.",
    shown=("Network", "Epochs", *_SHOWN),
)


def coverage_of_runs(
    runs: Sequence[Run], joined: Mapping[str, pd.DataFrame], outside: Mapping[str, pd.DataFrame] | None = None
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The intervals of each plain run, made from its validation cases, and what they hold of other cases.

    Args:
        runs: The plain runs, in the tables' order.
        joined: Run name -> what ``evaluation.join_truth`` returns.
        outside: The same with another source's labels, all of whose cases are counted in place of the test
            cases; runs that were not tested there are left out.

    Returns:
        ``COVERAGE_OF_RUNS``, for each run the rows of ``intervals.coverage_table``; and in words which
        run has no interval and why, or bands that share one (``item``, ``reason``).
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
    """For each run the coverage of its intervals over all ages."""
    return COVERAGE_OF_RUNS.part(title).show(table[table["Predictions"] == intervals.ALL_PREDICTIONS])


def coverage_by_band(table: pd.DataFrame) -> list[View]:
    """For each epoch count the coverage by band of predicted ages."""
    bands = table[table["Predictions"] != intervals.ALL_PREDICTIONS]
    return [
        COVERAGE_OF_RUNS.part(
            f"Intervals by predicted age, {epochs} epochs", "Network", "Predictions", *_SHOWN, note=""
        ).show(rows)
        for epochs, rows in bands.groupby("Epochs")
    ]
