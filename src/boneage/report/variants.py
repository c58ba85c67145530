"""What a variant of a network changes, and what the mean of the best three does, against a plain run."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from boneage.core.columns import Column, Table, leaves_out_zero, with_interval
from boneage.core.settings import VARIANTS
from boneage.evaluation.metrics import Run, mean_differences, variant_of
from boneage.networks import find
from boneage.report.words import printable, years_and_months

_CHANGED = leaves_out_zero("Difference low (years)", "Difference high (years)")

VARIANTS_TABLE = Table(
    "Variants against their plain runs",
    [
        Column("Variant", "What differs from the plain run."),
        Column("Network", "Its architecture."),
        Column("Epochs", "How many epochs it was trained for.", ".0f"),
        Column("Plain run", "The run it is compared with."),
        Column("Test cases", "Number of test cases.", ",.0f", "Cases"),
        Column(
            "Plain test MAE (years)",
            "Mean absolute error of the plain run.",
            ".2f",
            "Plain",
            "test MAE in years",
        ),
        Column(
            "Variant test MAE (years)",
            "Mean absolute error of the variant.",
            ".2f",
            "Variant",
            "test MAE in years",
        ),
        with_interval(
            "Difference (years)",
            "MAE of the variant minus that of the plain run, with the interval of the paired bootstrap.",
            "+.2f",
            unit="years, 95 % interval",
            mark=_CHANGED,
        ),
        with_interval(
            "Difference (months)", "The same in months.", "+.1f", unit="months, 95 % interval", mark=_CHANGED
        ),
        Column("Run", "The folder of the variant."),
    ],
    "variants.csv",
    "One row a variant or ensemble, compared with its plain run on the same test cases.",
    "Difference: MAE of the variant minus that of the plain run; below zero the variant is better. Bold: the"
    " interval excludes zero. Intervals are not corrected for their number: of twenty variants that change "
    "nothing, one would be bold.",
    shown=(
        *("Variant", "Network", "Epochs", "Plain test MAE (years)", "Variant test MAE (years)"),
        *("Difference (years)", "Difference (months)", "Plain run", "Test cases"),
    ),
)

ENSEMBLE_OF = 3
ENSEMBLE = f"the mean of the best {ENSEMBLE_OF} networks"


def variants_table(
    plain: Sequence[Run],
    variants: Sequence[Run],
    joined: dict[str, pd.DataFrame],
    grown: Sequence[tuple[Run, pd.DataFrame]] = (),
) -> pd.DataFrame:
    """Each variant against its plain run, and for each epoch count an ensemble against the best network.

    The ensemble's prediction is the mean of those of the three plain networks with the lowest validation MAE;
    it stands against the one with the lowest. Nothing is chosen by the test cases.

    Args:
        plain: The plain runs.
        variants: The runs of a variant; the plain run of each is there.
        joined: Run folder name -> what ``evaluation.join_truth`` returns, the same cases in all.
        grown: Runs on the augmented set, each with what ``evaluation.join_truth`` returns for the cases that
            were not trained on, the same as those of its plain run, which is there.

    Returns:
        ``VARIANTS_TABLE``; a difference is the variant's MAE less the plain one's, below zero where the
        variant is better, with a 95 % interval from the paired bootstrap over the test cases.
    """
    of_row = {(run.record["network"], run.record["epochs"]): run for run in plain}
    rows = []
    in_order = sorted(variants, key=lambda run: list(VARIANTS).index(variant_of(run.record)))
    named = [(VARIANTS[variant_of(run.record)], run, joined[run.folder.name]) for run in in_order]
    named += [(grown_words(run), run, own) for run, own in grown]
    for words, run, of_run in named:
        own = of_row[run.record["network"], run.record["epochs"]]
        names = {
            "Variant": words,
            "Network": find(run.record["network"]).title,
            "Epochs": run.record["epochs"],
            "Plain run": printable(own.folder.name),
            "Run": printable(run.folder.name),
        }
        errors = (errors_on_test(one) for one in (joined[own.folder.name], of_run))
        rows.append({**names, **_against(*errors)})
    for epochs in sorted({run.record["epochs"] for run in plain}):
        best = best_by_validation([run for run in plain if run.record["epochs"] == epochs], joined)[
            :ENSEMBLE_OF
        ]
        if len(best) == ENSEMBLE_OF:
            names = {
                "Variant": ENSEMBLE,
                "Network": ", ".join(find(run.record["network"]).title for run in best),
                "Epochs": epochs,
                "Plain run": printable(best[0].folder.name),
                "Run": "",
            }
            errors = [errors_on_test(joined[run.folder.name]) for run in best]
            # The truth is the same, so the mean of the errors is the error of the mean.
            rows.append({**names, **_against(errors[0], pd.concat(errors, axis=1).mean(axis=1))})
    return VARIANTS_TABLE.frame(rows)


def grown_words(run: Run) -> str:
    """What a run on the augmented set differs in from its plain run."""
    besides = [VARIANTS[variant_of(run.record)]] if variant_of(run.record) else []
    return " and ".join([f"the augmented set to {run.record['images']['train']:,} training images", *besides])


def best_by_validation(runs: Sequence[Run], joined: dict[str, pd.DataFrame]) -> list[Run]:
    """The runs by their validation MAE, the best first; those without validation cases are left out."""
    errors = {}
    for run in runs:
        table = joined[run.folder.name]
        errors[run.folder.name] = table.loc[table["Split"] == "validation", "Error"].abs().mean()
    judged = [run for run in runs if np.isfinite(errors[run.folder.name])]
    return sorted(judged, key=lambda run: errors[run.folder.name])


def best_networks(runs: Sequence[Run], joined: dict[str, pd.DataFrame], count: int) -> list[Run]:
    """The runs of the networks with the lowest validation MAE, the best first, of each its best run."""
    of_network: dict[str, Run] = {}
    for run in best_by_validation(runs, joined):
        of_network.setdefault(run.record["network"], run)
    return list(of_network.values())[:count]


def errors_on_test(joined: pd.DataFrame) -> pd.Series:
    """Prediction minus truth of the test cases in years, by Case ID in rising order."""
    return joined[joined["Split"] == "test"].set_index("Case ID")["Error"].astype(float).sort_index()


def _against(plain: pd.Series, variant: pd.Series) -> dict[str, float]:
    if plain.empty:
        return {"Test cases": 0}
    change = mean_differences([variant.abs().to_numpy() - plain.abs().to_numpy()]).iloc[0]
    ends = {
        "Difference": change["difference"],
        "Difference low": change["low"],
        "Difference high": change["high"],
    }
    return {
        "Test cases": len(plain),
        "Plain test MAE (years)": plain.abs().mean(),
        "Variant test MAE (years)": variant.abs().mean(),
        **years_and_months(ends),
    }
