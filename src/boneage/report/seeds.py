"""How far a test error depends on the seed of the training, which no bootstrap over cases tells."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from boneage.core.columns import Column, Table
from boneage.evaluation.metrics import Run
from boneage.networks import find
from boneage.report.words import years_and_months


def _spread(unit: str, format: str) -> Column:
    """Mean and range of the test MAE in a unit."""
    mean, *ends = (f"Test MAE {which} ({unit})" for which in ("mean", "lowest", "highest"))
    return Column(
        mean,
        "Mean of the test MAE over the seeds, with the lowest and highest.",
        format,
        "Test MAE",
        f"{unit}, mean and range",
        tuple(ends),
    )


SEEDS = Table(
    "Trained again with other seeds",
    [
        Column("Network", "Its architecture."),
        Column("Epochs", "How many epochs it was trained for.", ".0f"),
        Column("Seeds", "The seeds of the trainings."),
        Column("Test cases", "Number of test cases.", ",.0f", "Cases"),
        _spread("years", ".2f"),
        _spread("months", ".1f"),
    ],
    "seeds.csv",
    "One row a plain run that was also trained with other seeds.",
    shown=("Network", "Epochs", "Seeds", "Test MAE mean (years)", "Test MAE mean (months)", "Test cases"),
)


def seeds_table(
    plain: Sequence[Run], joined: dict[str, pd.DataFrame], reseeded: Sequence[tuple[Run, pd.DataFrame]]
) -> pd.DataFrame:
    """The test error of each plain run that was trained with other seeds, too.

    Args:
        plain: The plain runs, in the tables' order.
        joined: Run folder name -> what ``evaluation.join_truth`` returns.
        reseeded: Runs of other seeds, each with what ``evaluation.join_truth`` returns.

    Returns:
        ``SEEDS``, one row a plain run that has others beside it; mean, lowest and highest are of all
        its trainings.
    """
    rows = []
    for run in plain:
        own = run.record["network"], run.record["epochs"]
        others = [
            (other.record["seed"], table)
            for other, table in reseeded
            if (other.record["network"], other.record["epochs"]) == own
        ]
        trainings = [(run.record["seed"], joined[run.folder.name]), *others]
        tests = [table[table["Split"] == "test"] for _, table in trainings]
        if not others or tests[0].empty:
            continue
        mae = np.array([test["Error"].abs().mean() for test in tests])
        ends = {"Test MAE mean": mae.mean(), "Test MAE lowest": mae.min(), "Test MAE highest": mae.max()}
        rows.append(
            {
                "Network": find(own[0]).title,
                "Epochs": own[1],
                "Seeds": ", ".join(str(seed) for seed, _ in trainings),
                "Test cases": len(tests[0]),
                **years_and_months(ends),
            }
        )
    return SEEDS.frame(rows)
