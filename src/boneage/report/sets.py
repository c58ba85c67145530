"""What augmentation gives, and what longer training gives: the sets side by side."""

import numpy as np
import pandas as pd

from boneage.core.columns import Column, Table, leaves_out_zero, with_interval
from boneage.core.settings import VARIANTS
from boneage.dataset.labels import SETS
from boneage.evaluation import Run, training_differences
from boneage.networks import find
from boneage.report.matching import ComparedRuns
from boneage.report.seeds import mae_over_seeds, seeds_in_words, spread
from boneage.report.variants import difference_columns, errors_on_test
from boneage.report.words import EPOCHS, NETWORK, number

_WORDS = {
    "plain": "plain",
    "repeated": "plain, repeated for as many steps",
    "augmented": "augmented",
}

SETS_TABLE = Table(
    "Augmentation and longer training",
    [
        NETWORK,
        EPOCHS,
        Column("Training set", "Plain; the same, repeated for as many steps; or augmented."),
        Column("Training images", "Number of different training images.", ",.0f", "Training images"),
        Column("Steps", "Steps of the whole training.", ",.0f"),
        Column("Seeds", "The training seeds; missing where none was trained."),
        spread("Validation MAE", "years", ".2f"),
        spread("Test MAE", "years", ".2f"),
        with_interval(
            "Difference (years)",
            "Test MAE minus that of the row above, with the interval over cases and trainings (bootstrap).",
            "+.2f",
            heading="Difference from the row above",
            unit="test MAE in years, 95 % interval",
            mark=leaves_out_zero("Difference low (years)", "Difference high (years)"),
        ),
        Column("Test cases", "Number of test cases.", ",.0f", "Cases"),
    ],
    "sets.csv",
    "Three rows per network that was trained on more than the plain set.",
    "The second row of a network shows what longer training gives; the third against the second, what "
    "augmentation gives. Difference: in test MAE; bold where its interval excludes zero. Where one of the "
    "two was trained once, it says nothing about another training.",
)


def sets_table(runs: ComparedRuns) -> pd.DataFrame:
    """The error of each network on the plain set, on the same repeated, and on the augmented set.

    Returns:
        ``SETS_TABLE``: mean, lowest and highest over the seeds; a training that is missing has a row.
    """
    of_kind: dict[tuple[str, int, str], dict[str, list[Run]]] = {}
    for run in sorted(runs.all, key=lambda run: run.key.place()):
        kind = (run.key.network, run.key.epochs, run.key.variant)
        of_kind.setdefault(kind, {}).setdefault(run.key.set, []).append(run)
    rows = []
    for (network, epochs, variant), of_set in of_kind.items():
        if list(of_set) == ["plain"]:
            continue
        words = VARIANTS[variant] if variant else ""
        first = {"Network": ", ".join(filter(None, (find(network).title, words))), "Epochs": epochs}
        above: list[Run] = []
        for name in SETS:
            trained = of_set.get(name, [])
            row = {**first, "Training set": _WORDS[name], **_trained(trained, runs)}
            rows.append(row | _difference(trained, above, runs))
            above = trained
    return SETS_TABLE.frame(rows)


def _trained(trained: list[Run], runs: ComparedRuns) -> dict[str, object]:
    if not trained:
        return {"Seeds": "missing"}
    joined = [runs.joined[run.name] for run in trained]
    return {
        "Training images": trained[0].record["images"]["train"],
        "Steps": steps_of(trained[0]),
        "Seeds": seeds_in_words(trained),
        **mae_over_seeds("Validation MAE", joined, "validation"),
        **mae_over_seeds("Test MAE", joined, "test"),
        "Test cases": int((joined[0]["Split"] == "test").sum()),
    }


def _difference(trained: list[Run], above: list[Run], runs: ComparedRuns) -> dict[str, float]:
    if not (trained and above):
        return {}
    errors = [
        np.array([errors_on_test(runs.joined[run.name]).abs() for run in of_row])
        for of_row in (trained, above)
    ]
    if errors[0].shape[1] < 2:
        return {}
    return difference_columns(training_differences(errors, [(0, 1)]).iloc[0])


def steps_of(run: Run) -> float:
    """The steps of a run's whole training; NaN if its record does not say."""
    images = number(run.record.get("images_per_epoch", run.record["images"]["train"]))
    return run.key.epochs * np.ceil(images / number(run.record.get("batch_size")))
