"""An ensemble from finished runs and the work folder that they lie in."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from tqdm.auto import tqdm

from boneage.core.errors import BoneAgeError
from boneage.core.settings import Settings
from boneage.dataset.labels import UNKNOWN, read_labels
from boneage.dataset.pack import fingerprint, open_pack, rows_of
from boneage.estimate.ensemble import Ensemble, Member, Reference
from boneage.estimate.interval import held_out_means
from boneage.evaluation import Run, read_run
from boneage.evaluation.intervals import calibrate
from boneage.report.words import words_of_record
from boneage.training.predictions import load_model
from boneage.workspace import Workspace

_LOT = 64


def ensemble_of_runs(folders: Sequence[Path]) -> Ensemble:
    """The networks of finished runs; what they learnt from is read from their work folder, if it is there.

    The runs of a cross-validation, several seeds, several networks: whatever saw images of the same cases. A
    case counts as held out of a run if its split in the run's predictions is not ``train``.

    Args:
        folders: Run folders, ``<work folder>/runs/<run>``.

    Raises:
        BoneAgeError: A run is unfinished or damaged, or they are of different sources or labels.
    """
    runs = [read_run(folder) for folder in folders]
    first = runs[0].record
    for run in runs[1:]:
        if (run.record["source"], run.record["label_kind"]) != (first["source"], first["label_kind"]):
            raise BoneAgeError(
                f"{run.folder}: trained on other data than {runs[0].folder.name}; estimate with one of them"
            )
    members = tuple(member_of(run) for run in runs)
    try:
        reference, notices = _reference(members, runs), []
    except BoneAgeError as error:
        reference, notices = None, [f"no interval and no comparison with training cases: {error}"]
    title = members[0].title if len(members) == 1 else f"the mean of {len(members)} networks"
    return Ensemble(title, members, reference, first["source"], tuple(notices))


def member_of(run: Run) -> Member:
    """The network of a finished run.

    Raises:
        BoneAgeError: It has no readable model.
    """
    record = run.record
    width = record["settings"]["width"]
    return Member(
        words_of_record(record), record["network"], width, record["variant"], load_model(run.folder)
    )


def packed_cases(members: Sequence[Member], work: Workspace) -> tuple[pd.DataFrame, dict[int, np.ndarray]]:
    """The labels of a work folder's cases, and their images at each size that networks take.

    Raises:
        BoneAgeError: There are no labels, or no pack of a size.
    """
    labels = read_labels(work.labels).table
    # Copies of a case say nothing that the case does not.
    cases = labels[labels["Case ID"] == labels["Source ID"]].reset_index(drop=True)
    packs = {size: open_pack(work.pack(size)) for size in sorted({member.size for member in members})}
    for pack in packs.values():
        cases = rows_of(pack, cases)[0]
    return cases, {size: pack.images[rows_of(pack, cases)[1]] for size, pack in packs.items()}


def _reference(members: Sequence[Member], runs: Sequence[Run]) -> Reference:
    work = work_of(runs[0].folder)
    cases, images = packed_cases(members, work)
    kind = read_labels(work.labels).kind
    years, male = cases["Bone Age"].to_numpy(float), cases["Male"].to_numpy(bool)
    of_runs = []
    for run in runs:
        said = run.predictions.set_index("Case ID").reindex(cases["Case ID"])
        if said["Prediction"].isna().any():
            raise BoneAgeError(f"{run.folder}: says nothing of some cases of its labels; train it again")
        if kind not in (UNKNOWN, run.record["label_kind"]) or _other_ages(run, said, years):
            raise BoneAgeError(
                f"{work.labels}: no longer the bone ages that {run.folder.name} was trained on; make the "
                "labels as they were, or train it again"
            )
        of_runs.append(said["Prediction"].where(said["Split"] != "train").to_numpy(float))
        if np.isnan(of_runs[-1]).all():
            raise BoneAgeError(f"{run.folder}: was trained on every case; leave some for validation")
    held_out = np.array(of_runs)
    tested = ~np.isnan(held_out).all(axis=0)
    # Raises where they are too few for an interval.
    calibrate(years[tested], held_out_means(held_out)[tested])
    features = [
        features_of(member, images[member.size]) for member in tqdm(members, "training cases", unit="network")
    ]
    return Reference(years, male, held_out, tuple(features))


def _other_ages(run: Run, said: pd.DataFrame, years: np.ndarray) -> bool:
    """Whether the errors of held-out cases are not those of the run's record, of as many cases."""
    errors = (said["Prediction"] - years).abs().groupby(said["Split"]).agg(["size", "mean"])
    recorded = run.record["metrics"]
    return any(
        size == recorded[split]["count"] and abs(mean - recorded[split]["mae"]) > 1e-3
        for split, size, mean in errors.itertuples()
        if split != "train" and split in recorded
    )


def validation_images(run: Run, count: int) -> np.ndarray:
    """Images of a run's validation cases, at most so many: uint8, (images, size, size).

    None of them where its labels and packed images are not there, or no longer those it was trained on.
    """
    try:
        work = work_of(run.folder)
        pack = open_pack(work.pack(run.record["size"]))
        table, rows, _ = rows_of(pack, read_labels(work.labels).table)
    except BoneAgeError:
        return np.empty(0, np.uint8)
    if fingerprint(pack, table) != run.record["fingerprint"]:
        return np.empty(0, np.uint8)
    return np.array(pack.images[rows[table["Split"] == "validation"][:count]])


def work_of(run: Path) -> Workspace:
    """The work folder that a run's folder lies in."""
    root = run.resolve().parent.parent
    work = Workspace.at(root)
    if work.settings_file.is_file():
        # The pack may lie in a cache folder.
        work = Workspace(Settings.load(work.settings_file).replace(work=str(root)))
    return work


def features_of(member: Member, images: np.ndarray) -> np.ndarray:
    """What a network sees in images, uint8 (images, size, size): float16, (images, features)."""
    lots = [images[start : start + _LOT] for start in range(0, len(images), _LOT)]
    seen = [member.read(lot, np.zeros(len(lot), bool))[1] for lot in lots]
    features: np.ndarray = np.concatenate(seen).astype(np.float16)
    return features
