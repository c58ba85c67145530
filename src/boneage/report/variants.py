"""Variants of a network, and ensembles of the best three, compared with a plain run."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from boneage.core.columns import Column, Table, leaves_out_zero, with_interval
from boneage.core.settings import VARIANTS
from boneage.evaluation import Run, mean_differences
from boneage.networks import find
from boneage.report.matching import ComparedRuns
from boneage.report.words import EPOCHS, NETWORK, RUN, years_and_months

_CHANGED = leaves_out_zero("Difference low (years)", "Difference high (years)")

VARIANTS_TABLE = Table(
    "Variants against their plain runs",
    [
        Column("Variant", "What differs from the plain run."),
        NETWORK,
        EPOCHS,
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
        RUN,
    ],
    "variants.csv",
    "One row per variant or ensemble, compared with its plain run on the same test cases.",
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


def variants_table(runs: ComparedRuns) -> pd.DataFrame:
    """Each run of a variant or the other set against its plain run, and ensembles against the best network.

    An ensemble predicts the mean of the three tabled networks of one epoch count with the lowest validation
    MAE; it is compared with the best of them. Nothing is chosen by test cases.

    Returns:
        ``VARIANTS_TABLE``; a difference is the variant's MAE minus the plain one's, below zero if the
        variant is better, with a 95 % interval from the paired bootstrap over the test cases.
    """
    rows = []
    # Runs on the labels' set first, then by variant.
    in_order = sorted(
        runs.beside,
        key=lambda run: (run.key.set != runs.labels.set, list(VARIANTS).index(run.key.variant)),
    )
    for run in in_order:
        plain = runs.plain_for(run)
        names = {
            "Variant": difference_in_words(run, runs.labels.set),
            "Network": find(run.key.network).title,
            "Epochs": run.key.epochs,
            "Plain run": plain.name,
            "Run": run.name,
        }
        errors = (errors_on_test(runs.joined[one.name]) for one in (plain, run))
        rows.append({**names, **_against(*errors)})
    for epochs in sorted({run.key.epochs for run in runs.tabled}):
        of_count = [run for run in runs.tabled if run.key.epochs == epochs]
        best = best_by_validation(of_count, runs.joined)[:ENSEMBLE_OF]
        if len(best) == ENSEMBLE_OF:
            names = {
                "Variant": ENSEMBLE,
                "Network": ", ".join(find(run.key.network).title for run in best),
                "Epochs": epochs,
                "Plain run": best[0].name,
                "Run": "",
            }
            errors = [errors_on_test(runs.joined[run.name]) for run in best]
            # The ground truth is the same, so the mean of the errors is the error of the mean.
            rows.append({**names, **_against(errors[0], pd.concat(errors, axis=1).mean(axis=1))})
    return VARIANTS_TABLE.frame(rows)


def difference_in_words(run: Run, of_set: str) -> str:
    """How a run differs from the tabled one of its network, which is on ``of_set``; empty if it does not."""
    words = []
    if run.key.set != of_set:
        words.append(words_of_set(run))
    if run.key.variant:
        words.append(VARIANTS[run.key.variant])
    return " and ".join(words)


def network_in_words(run: Run, of_set: str) -> str:
    """The network of a run, and how the run differs from the tabled one on ``of_set``."""
    return ", ".join(filter(None, (find(run.key.network).title, difference_in_words(run, of_set))))


def words_of_set(run: Run) -> str:
    """The set that a run was trained on, with the number of its training images."""
    images = run.record["images"]["train"]
    if run.key.set == "repeated":
        shown = run.record.get("images_per_epoch", images)
        return f"the plain set repeated to {shown:,} training images an epoch"
    return f"the {run.key.set} set of {images:,} training images"


def best_by_validation(runs: Sequence[Run], joined: dict[str, pd.DataFrame]) -> list[Run]:
    """The runs by validation MAE, the best first; those without validation cases are left out."""
    errors = {}
    for run in runs:
        table = joined[run.name]
        errors[run.name] = table.loc[table["Split"] == "validation", "Error"].abs().mean()
    judged = [run for run in runs if np.isfinite(errors[run.name])]
    return sorted(judged, key=lambda run: errors[run.name])


def best_networks(runs: Sequence[Run], joined: dict[str, pd.DataFrame], count: int) -> list[Run]:
    """The best run of each of the networks with the lowest validation MAE, the best first."""
    of_network: dict[str, Run] = {}
    for run in best_by_validation(runs, joined):
        of_network.setdefault(run.key.network, run)
    return list(of_network.values())[:count]


def errors_on_test(joined: pd.DataFrame) -> pd.Series:
    """Prediction minus ground truth of the test cases in years, sorted by Case ID."""
    return joined[joined["Split"] == "test"].set_index("Case ID")["Error"].astype(float).sort_index()


def _against(plain: pd.Series, variant: pd.Series) -> dict[str, float]:
    if plain.empty:
        return {"Test cases": 0}
    change = mean_differences([variant.abs().to_numpy() - plain.abs().to_numpy()]).iloc[0]
    return {
        "Test cases": len(plain),
        "Plain test MAE (years)": plain.abs().mean(),
        "Variant test MAE (years)": variant.abs().mean(),
        **difference_columns(change),
    }


def difference_columns(found: pd.Series) -> dict[str, float]:
    """A difference and its interval (``evaluation.mean_differences``) under the names of their columns."""
    names = {"difference": "Difference", "low": "Difference low", "high": "Difference high"}
    return years_and_months({name: found[key] for key, name in names.items()})
