"""Which runs belong to the labels, and which to one another."""

import itertools
from collections.abc import Sequence
from dataclasses import replace

import pandas as pd

from boneage.core.errors import BoneAgeError
from boneage.dataset.labels import UNKNOWN, Labels
from boneage.evaluation.metrics import (
    Run,
    check_comparable,
    join_truth,
    metrics_by_split,
    variant_of,
    width_of,
)

# A record's MAE and the one made anew differ by the rounding of ages and predictions, no more.
_SAME_MAE_YEARS = 1e-3


def joined_with_truth(run: Run, labels: Labels) -> pd.DataFrame:
    """What ``evaluation.join_truth`` returns for a run.

    Raises:
        BoneAgeError: The run is of another label or source, or its error under these labels is not the
            recorded one.
    """
    for key, ours in (("label_kind", labels.kind), ("source", labels.source)):
        theirs = run.record[key]
        if theirs != ours and UNKNOWN not in (theirs, ours):
            name = {"label_kind": "label", "source": "source"}[key]
            raise BoneAgeError(
                f"its {name} is {theirs}, but that of the label CSV is {ours}; train it again, or set it back"
            )
    joined = join_truth(labels.table, run.predictions)
    anew, recorded = metrics_by_split(labels.table, run.predictions), run.record["metrics"]
    if set(anew) != set(recorded) or any(
        abs(anew[split]["mae"] - recorded[split]["mae"]) > _SAME_MAE_YEARS
        or anew[split]["count"] != recorded[split].get("count")
        for split in anew
    ):
        raise BoneAgeError(
            "its recorded error is not that of its predictions under these labels; the labels changed since, "
            "or the run's files did: train it again"
        )
    return joined


def largest_groups(runs: list[Run]) -> tuple[list[Run], list[tuple[str, str]]]:
    """Of each number of epochs the runs that may stand in one table, and why the others are left out."""
    standing, reasons = [], []
    for epochs in sorted({run.record["epochs"] for run in runs}):
        groups: list[list[Run]] = []
        for run in (run for run in runs if run.record["epochs"] == epochs):
            home = next((group for group in groups if not _difference(group[0], run)), None)
            if home is None:
                groups.append([run])
            else:
                home.append(run)
        groups.sort(key=lambda group: (len(group), max(run.record["finished"] for run in group)))
        *others, kept = groups
        standing += kept
        reasons += [
            (run.folder.name, f"{_difference(kept[0], run)} (the larger or newer group of runs stands)")
            for run in itertools.chain(*others)
        ]
    names = {run.folder.name for run in standing}
    return [run for run in runs if run.folder.name in names], reasons


def _difference(one: Run, other: Run) -> str:
    try:
        check_comparable([one.record, other.record])
    except BoneAgeError as error:
        return str(error)
    if set(one.predictions["Case ID"]) != set(other.predictions["Case ID"]):
        return (
            f"{one.folder.name} and {other.folder.name}: their predictions are not of the same cases, so "
            "they cannot stand in one table; train one of them again"
        )
    return ""


def variants_beside_plain(
    variants: list[Run], standing: list[Run]
) -> tuple[list[Run], list[tuple[str, str]]]:
    """The variants whose plain run stands in a table, and why the others are left out."""
    plain = {(run.record["network"], run.record["epochs"]): run for run in standing}
    beside, reasons = [], []
    for run in variants:
        row = run.record["network"], run.record["epochs"]
        own = plain.get(row)
        fault = (
            _difference(own, run)
            if own
            else f"there is no plain run of {row[0]} with {row[1]} epochs to stand against; train that, too"
        )
        if fault:
            reasons.append((run.folder.name, fault))
        else:
            beside.append(run)
    return beside, reasons


def grown_beside_plain(
    grown: Sequence[Run], standing: list[Run], labels: Labels
) -> tuple[list[tuple[Run, pd.DataFrame]], list[tuple[str, str]]]:
    """The runs on the augmented set with the truth of their held-out cases; why others are left out."""
    plain = {(run.record["network"], run.record["epochs"]): run for run in standing}
    beside, reasons = [], []
    for run in grown:
        own = plain.get((run.record["network"], run.record["epochs"]))
        fault = _grown_fault(run, own)
        if not fault:
            try:
                beside.append((run, joined_with_truth(_held_out(run), labels)))
                continue
            except BoneAgeError as error:
                fault = str(error)
        reasons.append((f"{run.folder.name} on the augmented set", fault))
    return beside, reasons


def _grown_fault(run: Run, plain: Run | None) -> str:
    if plain is None:
        return "there is no plain run of it to stand against; train that, too"
    ours, theirs = (
        (record["size"], record["weights"], width_of(record)) for record in (run.record, plain.record)
    )
    if ours != theirs:
        return "of another image size, other first weights or width than its plain run; train it again"
    ours, theirs = (set(_held_out(one).predictions["Case ID"]) for one in (run, plain))
    if ours != theirs:
        return "not tested on the cases of its plain run; grow the same split, with the same seed and review"
    if run.record["images"]["train"] <= plain.record["images"]["train"]:
        return "not trained on more images than its plain run"
    return ""


def reseeded_beside_plain(
    reseeded: Sequence[Run], standing: list[Run], labels: Labels
) -> tuple[list[tuple[Run, pd.DataFrame]], list[tuple[str, str]]]:
    """The runs of other seeds, joined with the truth, each seed once; why others are left out."""
    plain = {(run.record["network"], run.record["epochs"]): run for run in standing}
    beside: dict[tuple[str, int, int], tuple[Run, pd.DataFrame]] = {}
    reasons = []
    # Of two trainings with one seed the newest stands.
    for run in sorted(reseeded, key=lambda run: run.record["finished"], reverse=True):
        own = run.record["network"], run.record["epochs"]
        seed = run.record["seed"]
        fault = _reseeded_fault(run, plain.get(own))
        if not fault and (*own, seed) in beside:
            if beside[*own, seed][0].record != run.record:
                reasons.append((f"{run.folder.name} with seed {seed}", "a later one stands in its place"))
            continue
        if not fault:
            try:
                beside[*own, seed] = run, joined_with_truth(run, labels)
            except BoneAgeError as error:
                fault = str(error)
        if fault:
            reasons.append((f"{run.folder.name} with seed {seed}", fault))
    return [beside[key] for key in sorted(beside)], reasons


def _reseeded_fault(run: Run, plain: Run | None) -> str:
    if variant_of(run.record):
        return "a variant; only plain runs are shown with several seeds"
    if plain is None:
        return "there is no plain run of it to stand against; train that, too"
    if type(run.record["seed"]) is not int:
        return "its seed is not a number; train it again"
    if run.record["seed"] == plain.record["seed"]:
        return "trained with the seed of its plain run; train it with another"
    if run.record["weights"] != plain.record["weights"]:
        return "begun with other weights than its plain run; train one of them again"
    return _difference(plain, run)


def _held_out(run: Run) -> Run:
    """The run without what it says of the cases that it was trained on."""
    of_split = {split: values for split, values in run.record["metrics"].items() if split != "train"}
    predictions = run.predictions[run.predictions["Split"] != "train"]
    return replace(run, record={**run.record, "metrics": of_split}, predictions=predictions)
