"""How far the test error depends on the training seed, which no bootstrap over cases shows."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from boneage.core.columns import Column, Table
from boneage.evaluation import Run
from boneage.report.matching import ComparedRuns
from boneage.report.variants import network_in_words
from boneage.report.words import EPOCHS, NETWORK, years_and_months


def spread(name: str, unit: str, format: str) -> Column:
    """Columns for mean and range of an error over seeds."""
    mean, *ends = (f"{name} {which} ({unit})" for which in ("mean", "lowest", "highest"))
    return Column(
        mean,
        f"Mean of the {name[0].lower()}{name[1:]} over the seeds, with the lowest and highest.",
        format,
        name,
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
        spread("Test MAE", "years", ".2f"),
        spread("Test MAE", "months", ".1f"),
    ],
    "seeds.csv",
    "One row per plain run that was also trained with other seeds.",
    shown=("Network", "Epochs", "Seeds", "Test MAE mean (years)", "Test MAE mean (months)", "Test cases"),
)


def seeds_table(runs: ComparedRuns) -> pd.DataFrame:
    """The test error of each run that was trained with several seeds.

    Returns:
        ``SEEDS``: mean, lowest and highest over all seeds.
    """
    rows = []
    for run in (*runs.tabled, *runs.beside):
        trained = runs.of_every_seed(run)
        joined = [runs.joined[one.name] for one in trained]
        cases = int((joined[0]["Split"] == "test").sum())
        if len(trained) == 1 or not cases:
            continue
        rows.append(
            {
                "Network": network_in_words(run, runs.labels.set),
                "Epochs": run.key.epochs,
                "Seeds": seeds_in_words(trained),
                "Test cases": cases,
                **mae_over_seeds("Test MAE", joined, "test"),
            }
        )
    return SEEDS.frame(rows)


def seeds_in_words(runs: Sequence[Run]) -> str:
    """The training seeds of some runs."""
    return ", ".join(str(run.key.train_seed) for run in runs)


def mae_over_seeds(name: str, joined: Sequence[pd.DataFrame], split: str) -> dict[str, float]:
    """Mean, lowest and highest MAE of trainings on the cases of a split; a single one has no range."""
    mae = np.array([table.loc[table["Split"] == split, "Error"].abs().mean() for table in joined])
    lowest, highest = (mae.min(), mae.max()) if len(mae) > 1 else (np.nan, np.nan)
    return years_and_months(
        {f"{name} mean": mae.mean(), f"{name} lowest": lowest, f"{name} highest": highest}
    )
