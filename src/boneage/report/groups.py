"""Test error by sex, race and age."""

from collections.abc import Sequence

import pandas as pd

from boneage.core.columns import Column, Table, View, with_interval
from boneage.evaluation import Run, group_of, mae_interval
from boneage.networks import find
from boneage.report.words import EPOCHS, NETWORK, RUN, years_and_months

FEW_CASES = 10
"""Groups of fewer cases are marked: single cases dominate their MAE and its bootstrap interval."""

GROUPS = Table(
    "Subgroups",
    [
        NETWORK,
        EPOCHS,
        Column("By", "Sex, race or age."),
        Column("Group", "Which of them; age is the true bone age."),
        Column("Test cases", "Number of test cases in the group.", ",.0f"),
        Column("Few cases", f"Whether they are fewer than {FEW_CASES}, too few to say anything."),
        with_interval("Test MAE (years)", "Mean absolute error in the group.", ".2f"),
        with_interval("Test MAE (months)", "The same in months.", ".1f"),
        Column("Bias (years)", "Mean of prediction minus ground truth.", "+.2f"),
        RUN,
    ],
    "groups.csv",
    "One row per run and group of its test cases.",
)


def groups_table(runs: Sequence[Run], joined: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """The test error of every plain run in every group of ``evaluation.group_of`` that has cases.

    Args:
        runs: The plain runs, in the tables' order.
        joined: Run name -> from ``evaluation.join_truth``.

    Returns:
        ``GROUPS``.
    """
    rows = []
    for run in runs:
        table = joined[run.name]
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
                        "Run": run.name,
                    }
                )
    return GROUPS.frame(rows)


def groups_view(table: pd.DataFrame, epochs: int) -> View:
    """The test MAE of each network of one epoch count, a column a group."""
    table = table[table["Epochs"] == epochs]
    columns = [NETWORK]
    for group, rows in table.groupby("Group", sort=False):
        cases, few = rows[["Test cases", "Few cases"]].iloc[0]
        mark = (lambda row: "few") if few == "yes" else None
        ends = (f"{group} low", f"{group} high")
        columns.append(Column(group, "Test MAE in years.", ".2f", group, f"n = {cases:,}", ends, mark=mark))
    wide = table.pivot(index="Network", columns="Group", values=list(GROUPS["Test MAE (years)"].names))
    wide.columns = [group + end for end in ("", " low", " high") for group in wide.columns.levels[1]]
    wide = wide.loc[table["Network"].unique()].reset_index()
    return Table(f"Test MAE in years by group, {epochs} epochs", columns).show(wide)
