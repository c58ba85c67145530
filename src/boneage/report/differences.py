"""Significant differences between networks on the test cases."""

import itertools

import numpy as np
import pandas as pd

from boneage.core.columns import Column, Table, with_interval
from boneage.evaluation import holm, training_differences
from boneage.networks import find
from boneage.report.matching import ComparedRuns
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
        Column("Trainings", "With how many seeds the better one was trained.", ".0f"),
        Column("Other trainings", "The same of the other one.", ".0f"),
        Column("Test cases", "Number of test cases.", ",.0f"),
        Column("Test MAE (years)", "MAE of the better one, mean of its trainings.", ".2f", "MAE"),
        Column("Other test MAE (years)", "The same of the other one.", ".2f", "Other MAE"),
        with_interval(
            "Difference (years)",
            "The first MAE minus the other, with the uncorrected interval of this pair (bootstrap over cases "
            "and trainings).",
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
    "One row per pair of networks with as many epochs, the largest difference first.",
    "Difference: MAE of the better network minus that of the other, with the uncorrected interval of that "
    "pair. The smallest p that 10,000 resamples can show is 0.0002.",
    shown=(
        *("Network", "Other network", "Test MAE (years)", "Other test MAE (years)", "Difference (years)"),
        *("p", "p (Holm)", "Significant"),
    ),
)


def differences_table(runs: ComparedRuns) -> pd.DataFrame:
    """The difference in test MAE of every pair of networks of one epoch count, and its significance.

    A network that was trained with several seeds counts with all of them: its MAE is their mean.

    Returns:
        ``DIFFERENCES``; interval and p are those of ``evaluation.training_differences``.
    """
    tables = []
    for epochs in sorted({run.key.epochs for run in runs.tabled}):
        of_count = [run for run in runs.tabled if run.key.epochs == epochs]
        errors = [
            np.array([errors_on_test(runs.joined[one.name]).abs() for one in runs.of_every_seed(run)])
            for run in of_count
        ]
        if len(of_count) < 2 or errors[0].shape[1] < 2:
            continue
        titles = [find(run.key.network).title for run in of_count]
        mae = np.array([of_run.mean() for of_run in errors])
        pairs = list(itertools.combinations(np.argsort(mae, kind="stable"), 2))
        one, other = np.array(pairs).T
        found = training_differences(errors, pairs)
        corrected = holm(found["p"].to_numpy())
        tables.append(
            pd.DataFrame(
                {
                    "Epochs": epochs,
                    "Network": [titles[place] for place in one],
                    "Other network": [titles[place] for place in other],
                    "Trainings": [len(errors[place]) for place in one],
                    "Other trainings": [len(errors[place]) for place in other],
                    "Test cases": errors[0].shape[1],
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


def trainings_in_words(table: pd.DataFrame) -> str:
    """How often the networks of one epoch count were trained, and what that leaves open.

    Args:
        table: ``DIFFERENCES`` of that count.
    """
    pairs = (("Network", "Trainings"), ("Other network", "Other trainings"))
    trained = {row[name]: int(row[count]) for name, count in pairs for row in table.to_dict("records")}
    several = ", ".join(f"{name} with the mean of {count}" for name, count in trained.items() if count > 1)
    if not several:
        return "Each network was trained once, so this says nothing about another training."
    if min(trained.values()) > 1:
        return f"Each network stands with its trainings: {several}."
    return f"{several} trainings; the others were trained once, which says nothing about another training."
