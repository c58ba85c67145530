"""The test error with and without the cases that the review rejected."""

from collections.abc import Mapping

import pandas as pd

from boneage.core.columns import Column, Table, with_interval
from boneage.evaluation import mae_interval, mixed_mae_interval
from boneage.report.matching import ComparedRuns
from boneage.report.variants import errors_on_test, network_in_words
from boneage.report.words import EPOCHS, NETWORK, RUN

_UNIT = "years, 95 % interval"

REJECTED = Table(
    "Test error with the rejected cases",
    [
        NETWORK,
        EPOCHS,
        Column("Test cases", "Number of test cases, all of them accepted.", ",.0f", "Test", "cases"),
        with_interval("Test MAE (years)", "Mean absolute error on them.", ".2f", unit=_UNIT),
        Column("Rejected cases", "Number of rejected cases, as they came.", ",.0f", "Rejected", "cases"),
        with_interval("Rejected MAE (years)", "Mean absolute error on them.", ".2f", unit=_UNIT),
        Column("Rejected share", "Their share of all cases.", ".3f", unit="share"),
        with_interval(
            "MAE with rejected (years)",
            "Mean absolute error if test cases and rejected ones came in these shares.",
            ".2f",
            heading="MAE of both",
            unit=_UNIT,
        ),
        RUN,
    ],
    "rejected.csv",
    "One row per run that was tested on the rejected cases.",
    "Rejected cases are in no split, so all of them are tested; in the last MAE they count as much as they "
    "make up of all cases.",
    shown=(
        *("Network", "Epochs", "Test MAE (years)", "Rejected MAE (years)", "MAE with rejected (years)"),
        *("Rejected share", "Test cases", "Rejected cases"),
    ),
)


def rejected_table(runs: ComparedRuns, rejected: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """The error of each run on the test cases, on the rejected ones, and on both as they come in.

    Args:
        runs: The compared runs.
        rejected: Run name -> predictions for the rejected cases with ground truth.

    Returns:
        ``REJECTED``; intervals from the bootstrap over cases, drawn in each part by itself.
    """
    accepted = runs.labels.table["Source ID"].nunique()
    rows = []
    for run in (run for run in (*runs.tabled, *runs.beside) if run.name in rejected):
        test, others = errors_on_test(runs.joined[run.name]), rejected[run.name]["Error"].astype(float)
        if test.empty:
            continue
        share = len(others) / (accepted + len(others))
        row = {
            "Network": network_in_words(run, runs.labels.set),
            "Epochs": run.key.epochs,
            "Test cases": len(test),
            "Rejected cases": len(others),
            "Rejected share": share,
            "Run": run.name,
        }
        mixed = (1 - share) * test.abs().mean() + share * others.abs().mean()
        for name, mae, (low, high) in (
            ("Test MAE", test.abs().mean(), mae_interval(test, run.key.train_seed)),
            ("Rejected MAE", others.abs().mean(), mae_interval(others)),
            ("MAE with rejected", mixed, mixed_mae_interval([test, others], [1 - share, share])),
        ):
            row |= {f"{name} (years)": mae, f"{name} low (years)": low, f"{name} high (years)": high}
        rows.append(row)
    return REJECTED.frame(rows)
