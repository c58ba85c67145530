"""For whom a network errs: its test error by sex, race and age."""

from collections.abc import Sequence

import pandas as pd

from boneage.evaluation.metrics import Run, group_of, mae_interval
from boneage.networks import find
from boneage.report.words import printable, years_and_months

GROUP_COLUMNS = (
    "Network",
    "Epochs",
    "By",
    "Group",
    "Test cases",
    "Few cases",
    "Test MAE (years)",
    "Test MAE low (years)",
    "Test MAE high (years)",
    "Test MAE (months)",
    "Test MAE low (months)",
    "Test MAE high (months)",
    "Bias (years)",
    "Run",
)

FEW_CASES = 10
"""A group of fewer cases is marked: its MAE hangs on single cases, and so does the bootstrap's interval."""


def groups_table(runs: Sequence[Run], joined: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """The test error of every plain run in every group of ``evaluation.group_of`` that has cases.

    Args:
        runs: The plain runs, in the tables' order.
        joined: Run folder name -> what ``evaluation.join_truth`` returns.

    Returns:
        ``GROUP_COLUMNS``; ``Few cases`` is "yes" below ``FEW_CASES``.
    """
    rows = []
    for run in runs:
        table = joined[run.folder.name]
        test = table[table["Split"] == "test"]
        for by, of_case in group_of(test).items():
            for group, errors in test["Error"].astype(float).groupby(of_case, observed=True):
                low, high = mae_interval(errors.to_numpy())
                ends = {"Test MAE": errors.abs().mean(), "Test MAE low": low, "Test MAE high": high}
                rows.append(
                    {
                        "Network": find(run.record["network"]).title,
                        "Epochs": run.record["epochs"],
                        "By": by,
                        "Group": group,
                        "Test cases": len(errors),
                        "Few cases": "yes" if len(errors) < FEW_CASES else "no",
                        **years_and_months(ends),
                        "Bias (years)": errors.mean(),
                        "Run": printable(run.folder.name),
                    }
                )
    return pd.DataFrame(rows, columns=list(GROUP_COLUMNS))
