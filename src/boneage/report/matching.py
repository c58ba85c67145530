"""Which finished runs can be compared, and with what."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import pandas as pd

from boneage.core.errors import BoneAgeError
from boneage.core.tables import skipped_table
from boneage.dataset.labels import UNKNOWN, Labels
from boneage.evaluation import (
    Run,
    check_comparable,
    first_of_seeds,
    join_truth,
    metrics_by_split,
    settings_of,
    tabled_runs,
)

# A recorded and a recomputed MAE differ only by the rounding of ages and predictions.
_SAME_MAE_YEARS = 1e-3


@dataclass(frozen=True)
class ComparedRuns:
    """Finished runs with the same held-out cases, by what they are compared for.

    Attributes:
        labels: Their labels.
        tabled: The runs of the results tables: on the set of the labels, plain; of several training seeds
            the lowest.
        beside: Runs of a variant or on the other set, each compared with the tabled run of its network and
            epochs.
        reseeded: Runs that differ from one of those only in their training seed.
        joined: Run name -> its predictions with ground truth (``evaluation.join_truth``); for a run on the
            other set those of held-out cases.
        left_out: Runs that cannot be compared, and why (``item``, ``reason``).
    """

    labels: Labels
    tabled: list[Run]
    beside: list[Run]
    reseeded: list[Run]
    joined: dict[str, pd.DataFrame]
    left_out: pd.DataFrame

    @property
    def all(self) -> list[Run]:
        """Every compared run."""
        return [*self.tabled, *self.beside, *self.reseeded]

    def of_every_seed(self, run: Run) -> list[Run]:
        """A tabled run or one beside, and those that differ from it only in their training seed."""
        same = run.key._replace(train_seed=0)
        return [run, *(one for one in self.reseeded if one.key._replace(train_seed=0) == same)]

    def plain_for(self, run: Run) -> Run:
        """The plain run of a run's network, epochs and training seed; the tabled one where there is none."""
        tabled = next(one for one in self.tabled if one.key[:2] == run.key[:2])
        same_seed = tabled.key._replace(train_seed=run.key.train_seed)
        return next((one for one in self.reseeded if one.key == same_seed), tabled)


def match_runs(runs: Sequence[Run], left_out: pd.DataFrame, labels: Labels) -> ComparedRuns:
    """Sorts finished runs by what they can be compared for.

    A run whose predictions do not belong to the labels is left out with its reason. If the runs of one table
    differ in source, label, split, images or size, the largest group is kept, or of equal ones that with the
    newest run. A run of a variant, of the other set or of another seed is kept if it shares source, label,
    held-out cases, size, width, initial weights and the settings of its training with the tabled run of its
    network and epochs.

    Args:
        runs: Finished runs (``evaluation.read_runs``).
        left_out: What was left out already (``item``, ``reason``).
        labels: The labels to compare them by.
    """
    joined: dict[str, pd.DataFrame] = {}
    reasons: list[tuple[str, str]] = []
    for run in runs:
        try:
            joined[run.name] = joined_with_truth(run, labels)
        except BoneAgeError as error:
            reasons.append((run.name, str(error)))
    candidates = [run for run in runs if run.name in joined and _is_plain(run, labels)]
    standing = _largest_groups(candidates, reasons)
    tabled = tabled_runs(standing, labels.set)
    first = {run.key[:2]: run for run in tabled}
    others = []
    for run in (run for run in runs if run.name in joined and run not in tabled):
        if run in candidates and run not in standing:
            continue
        fault = _fault(run, first.get(run.key[:2]))
        if fault:
            reasons.append((run.name, fault))
        else:
            others.append(run)
    beside = first_of_seeds(run for run in others if not _is_plain(run, labels))
    reseeded = [run for run in others if run not in beside]
    compared = {run.name for run in (*tabled, *others)}
    return ComparedRuns(
        labels,
        tabled,
        beside,
        reseeded,
        {name: table for name, table in joined.items() if name in compared},
        pd.concat([left_out, skipped_table(reasons)], ignore_index=True),
    )


def belongs(run: Run, labels: Labels) -> bool:
    """Whether a run's predictions are of these labels."""
    try:
        joined_with_truth(run, labels)
    except BoneAgeError:
        return False
    return True


def joined_with_truth(run: Run, labels: Labels) -> pd.DataFrame:
    """A run's predictions with ground truth; for a run on the other set, of the held-out cases only.

    Raises:
        BoneAgeError: The run has another label or source, or its error with these labels differs from the
            recorded one.
    """
    for key, ours in (("label_kind", labels.kind), ("source", labels.source)):
        theirs = run.record[key]
        if theirs != ours and UNKNOWN not in (theirs, ours):
            name = {"label_kind": "label", "source": "source"}[key]
            raise BoneAgeError(
                f"its {name} is {theirs}, but that of the label CSV is {ours}; train it again or reset it"
            )
    if run.key.set != labels.set:
        run = _held_out(run)
    joined = join_truth(labels.table, run.predictions)
    anew, recorded = metrics_by_split(labels.table, run.predictions), run.record["metrics"]
    if set(anew) != set(recorded) or any(
        abs(anew[split]["mae"] - recorded[split]["mae"]) > _SAME_MAE_YEARS
        or anew[split]["count"] != recorded[split].get("count")
        for split in anew
    ):
        raise BoneAgeError(
            "its predictions do not give its recorded error with these labels; the labels or the run's files "
            "have changed: train it again"
        )
    return joined


def _is_plain(run: Run, labels: Labels) -> bool:
    return run.key.set == labels.set and not run.key.variant


def _largest_groups(runs: Sequence[Run], reasons: list[tuple[str, str]]) -> list[Run]:
    """The runs of each epoch count that can share a table; adds to ``reasons`` why the others cannot."""
    standing = []
    for epochs in sorted({run.key.epochs for run in runs}):
        groups: list[list[Run]] = []
        for run in (run for run in runs if run.key.epochs == epochs):
            home = next((group for group in groups if not _difference(group[0], run)), None)
            if home is None:
                groups.append([run])
            else:
                home.append(run)
        groups.sort(key=lambda group: (len(group), max(run.record["finished"] for run in group)))
        *others, kept = groups
        standing += kept
        reasons += [
            (run.name, f"{_difference(kept[0], run)} (the larger or newer group of runs is kept)")
            for group in others
            for run in group
        ]
    return [run for run in runs if run in standing]


def _fault(run: Run, tabled: Run | None) -> str:
    """Why a run cannot be compared with the tabled one of its network and epochs; empty if it can."""
    if tabled is None:
        return (
            f"no run of {run.key.network} with {run.key.epochs} epochs is in a table to compare it with; "
            "train that, too"
        )
    theirs, ours = _training_of(tabled), _training_of(run)
    for name, value in ours.items():
        if value != theirs[name]:
            return f"other {name} ({value}) than {tabled.name} ({theirs[name]}); train one of them again"
    if run.key.set == tabled.key.set:
        return _difference(tabled, run)
    # The other set has other training images, and so another fingerprint.
    run, tabled = (
        replace(one, record={**one.record, "fingerprint": ""}) for one in (_held_out(run), _held_out(tabled))
    )
    return _difference(tabled, run)


def _training_of(run: Run) -> dict[str, object]:
    """What two trainings must share for a difference between them to be that of the variant, set or seed."""
    record, settings = run.record, settings_of(run.record)
    return {
        "initial weights": record["weights"],
        "degradation": settings["degradation"],
        "learning rate": settings.get("learning_rate"),
        "learning-rate factor": record.get("learning_rate_factor"),
        "weight decay": settings.get("weight_decay"),
        "batch size": record.get("batch_size"),
        "precision": settings["precision"],
    }


def _difference(one: Run, other: Run) -> str:
    try:
        check_comparable([one.record, other.record])
    except BoneAgeError as error:
        return str(error)
    if set(one.predictions["Case ID"]) != set(other.predictions["Case ID"]):
        return (
            f"{one.name} and {other.name}: their predictions are not of the same cases, so they cannot "
            "share a table; train one of them again"
        )
    return ""


def _held_out(run: Run) -> Run:
    """The run without its training predictions."""
    of_split = {split: values for split, values in run.record["metrics"].items() if split != "train"}
    predictions = run.predictions[run.predictions["Split"] != "train"]
    return replace(run, record={**run.record, "metrics": of_split}, predictions=predictions)
