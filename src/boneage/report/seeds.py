"""How far the test error depends on the training seed, which no bootstrap over cases shows."""

import numpy as np
import pandas as pd

from boneage.core.columns import Column, Table
from boneage.networks import find
from boneage.report.matching import ComparedRuns
from boneage.report.variants import difference_in_words
from boneage.report.words import EPOCHS, NETWORK, years_and_months


def _spread(unit: str, format: str) -> Column:
    """Columns for mean and range of the test MAE in a unit."""
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
        NETWORK,
        EPOCHS,
        Column("Seeds", "The training seeds."),
        Column("Test cases", "Number of test cases.", ",.0f", "Cases"),
        _spread("years", ".2f"),
        _spread("months", ".1f"),
    ],
    "seeds.csv",
    "One row a plain run that was also trained with other seeds.",
    shown=("Network", "Epochs", "Seeds", "Test MAE mean (years)", "Test MAE mean (months)", "Test cases"),
)


def seeds_table(runs: ComparedRuns) -> pd.DataFrame:
    """The test error of each run that was trained with several seeds.

    Returns:
        ``SEEDS``: mean, lowest and highest over all seeds.
    """
    rows = []
    for run in (*runs.tabled, *runs.beside):
        same = run.key._replace(train_seed=0)
        others = [one for one in runs.reseeded if one.key._replace(train_seed=0) == same]
        tests = [runs.joined[one.name].query("Split == 'test'") for one in (run, *others)]
        if not others or tests[0].empty:
            continue
        mae = np.array([test["Error"].abs().mean() for test in tests])
        ends = {"Test MAE mean": mae.mean(), "Test MAE lowest": mae.min(), "Test MAE highest": mae.max()}
        words = difference_in_words(run, runs.labels.set)
        rows.append(
            {
                "Network": ", ".join(filter(None, (find(run.key.network).title, words))),
                "Epochs": run.key.epochs,
                "Seeds": ", ".join(str(one.key.train_seed) for one in (run, *others)),
                "Test cases": len(tests[0]),
                **years_and_months(ends),
            }
        )
    return SEEDS.frame(rows)
