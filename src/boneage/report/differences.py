"""Significant differences between networks on the test cases."""

import itertools
from collections.abc import Sequence

import numpy as np
import pandas as pd

from boneage.core.columns import Column, Table, with_interval
from boneage.evaluation import Run, holm, mean_differences
from boneage.networks import find
from boneage.report.variants import errors_on_test

LEVEL = 0.05
"""Significance level for the corrected p: of twenty tables of equally good networks, at most one then shows a
significant pair."""


DIFFERENCES = Table(
    "Differences between networks",
    [
        Column("Epochs", "How many epochs both were trained for.", ".0f"),
        Column("Network", "The one with the lower error.", heading="Better network"),
        Column("Other network", "The one with the higher error."),
        Column("Test cases", "Number of test cases.", ",.0f"),
        Column("Test MAE (years)", "Mean absolute error of the better one.", ".2f", "MAE"),
        Column("Other test MAE (years)", "Mean absolute error of the other one.", ".2f", "Other MAE"),
        with_interval(
            "Difference (years)",
            "The first MAE minus the other, with the uncorrected interval of this pair (paired bootstrap).",
            "+.2f",
            unit="years, 95 % interval",
            mark=lambda row: "significant" if row["Significant"] == "yes" else "",
        ),
        Column(
            "p",
            "Two-sided p-value of this pair alone; the smallest that 10,000 resamples can show is 0.0002.",
            ".4f",
        ),
        Column(
            "p (Holm)",
            "The p-value after Holm's correction for the number of pairs.",
            ".4f",
            unit="Holm correction",
        ),
        Column("Significant", f"Whether the corrected p is below {LEVEL:g}."),
    ],
    "differences.csv",
    "One row a pair of networks with as many epochs, the largest difference first.",
    "Difference: MAE of the better network minus that of the other, with the uncorrected interval of that "
    "pair. The smallest p that 10,000 resamples can show is 0.0002.",
    shown=(
        *("Network", "Other network", "Test MAE (years)", "Other test MAE (years)", "Difference (years)"),
        *("p", "p (Holm)", "Significant"),
    ),
)


def differences_table(runs: Sequence[Run], joined: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """The difference in test MAE of every pair of plain runs of one epoch count, and its significance.

    Args:
        runs: The plain runs, in the tables' order.
        joined: Run name -> from ``evaluation.join_truth``, with the same cases within one epoch count.

    Returns:
        ``DIFFERENCES``; interval and p are those of ``evaluation.mean_differences``.
    """
    tables = []
    for epochs in sorted({run.record["epochs"] for run in runs}):
        of_count = [run for run in runs if run.record["epochs"] == epochs]
        titles = [find(run.record["network"]).title for run in of_count]
        sizes = np.array([errors_on_test(joined[run.name]).abs().to_numpy() for run in of_count])
        if len(of_count) < 2 or sizes.shape[1] < 2:
            continue
        mae = sizes.mean(axis=1)
        by_mae = np.argsort(mae, kind="stable")
        one, other = np.array(list(itertools.combinations(by_mae, 2))).T
        found = mean_differences(sizes[one] - sizes[other])
        corrected = holm(found["p"].to_numpy())
        tables.append(
            pd.DataFrame(
                {
                    "Epochs": epochs,
                    "Network": [titles[place] for place in one],
                    "Other network": [titles[place] for place in other],
                    "Test cases": sizes.shape[1],
                    "Test MAE (years)": mae[one],
                    "Other test MAE (years)": mae[other],
                    "Difference (years)": found["difference"],
                    "Difference low (years)": found["low"],
                    "Difference high (years)": found["high"],
                    "p": found["p"],
                    "p (Holm)": corrected,
                    "Significant": np.where(corrected < LEVEL, "yes", "no"),
                }
            ).sort_values("Difference (years)", kind="stable")
        )
    return pd.concat(tables, ignore_index=True) if tables else DIFFERENCES.frame()
