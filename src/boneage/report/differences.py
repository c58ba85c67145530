"""Which differences between networks are real, as far as the test cases can tell."""

import itertools
from collections.abc import Sequence

import numpy as np
import pandas as pd

from boneage.evaluation.metrics import Run, holm, mean_differences
from boneage.networks import find
from boneage.report.variants import errors_on_test

DIFFERENCE_COLUMNS = (
    "Epochs",
    "Network",
    "Other network",
    "Test cases",
    "Test MAE (years)",
    "Other test MAE (years)",
    "Difference (years)",
    "Difference low (years)",
    "Difference high (years)",
    "p",
    "p (Holm)",
    "Real",
)

LEVEL = 0.05
"""A difference whose corrected p lies below it is called real: among all pairs of a table that are in truth
equal, at most one table in twenty then shows one."""


def differences_table(runs: Sequence[Run], joined: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """Every pair of plain runs of one epoch count: by how much their test MAE differ, and whether it is real.

    Args:
        runs: The plain runs, in the tables' order.
        joined: Run folder name -> what ``evaluation.join_truth`` returns, the same cases in all of one count.

    Returns:
        ``DIFFERENCE_COLUMNS``; a difference is the MAE of ``Network`` less that of ``Other network``, with
        the 95 % interval (of that pair alone) and the p of ``evaluation.mean_differences``; ``p (Holm)`` is
        corrected for the number of pairs of that epoch count, ``Real`` says whether it is below ``LEVEL``.
    """
    tables = []
    for epochs in sorted({run.record["epochs"] for run in runs}):
        of_count = [run for run in runs if run.record["epochs"] == epochs]
        titles = [find(run.record["network"]).title for run in of_count]
        sizes = np.array([errors_on_test(joined[run.folder.name]).abs().to_numpy() for run in of_count])
        pairs = np.array(list(itertools.combinations(range(len(of_count)), 2)))
        if not len(pairs) or sizes.shape[1] < 2:
            continue
        one, other = pairs.T
        found = mean_differences(sizes[one] - sizes[other])
        corrected = holm(found["p"].to_numpy())
        mae = sizes.mean(axis=1)
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
                    "Real": np.where(corrected < LEVEL, "yes", "no"),
                }
            )
        )
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=list(DIFFERENCE_COLUMNS))
