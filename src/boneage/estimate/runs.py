"""An ensemble from finished runs and the work folder that they lie in."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from tqdm.auto import tqdm

from boneage.core.errors import BoneAgeError
from boneage.core.settings import VARIANTS, Settings
from boneage.dataset.labels import read_labels
from boneage.dataset.pack import Pack, open_pack, rows_of
from boneage.estimate.ensemble import Ensemble, Member, Reference
from boneage.estimate.interval import held_out_means
from boneage.evaluation import Run, read_run
from boneage.evaluation.robustness import PERTURBATIONS, robustness_table
from boneage.training.predictions import load_model
from boneage.workspace import Workspace

_LOT = 64

EVERYDAY = tuple(
    one
    for one in PERTURBATIONS
    if (one.name, one.amount)
    in {
        *(("rotation", 5), ("rotation", 15), ("brightness", -40), ("brightness", 40), ("contrast", 0.5)),
        *(("contrast", 1.5), ("blur", 0.005), ("noise", 5), ("noise", 10), ("JPEG", 50), ("resolution", 2)),
    }
)
"""Changes of images as cameras, scanners and exports make them."""


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
    members = tuple(_member(run) for run in runs)
    try:
        reference, notices = _reference(members, runs), []
    except BoneAgeError as error:
        reference, notices = None, [f"no interval and no comparison with training cases: {error}"]
    title = members[0].title if len(members) == 1 else f"the mean of {len(members)} networks"
    return Ensemble(title, members, reference, first["source"], tuple(notices))


def _member(run: Run) -> Member:
    record = run.record
    words = [
        record["title"],
        f"{record['epochs']} epochs",
        VARIANTS[record["variant"]] * bool(record["variant"]),
        f"without fold {record['fold'].replace('-', ' ')}" if "fold" in record else "",
    ]
    title = ", ".join([*filter(None, words), f"seed {record['train_seed']}"])
    width = record["settings"]["width"]
    return Member(title, record["network"], width, record["variant"], load_model(run.folder))


def held_out_robustness(ensemble: Ensemble, folders: Sequence[Path]) -> pd.DataFrame:
    """How errors change with the images: each case read by the networks that were not trained on it.

    Args:
        ensemble: What :func:`ensemble_of_runs` made of the runs; its cases are known.
        folders: Those runs.

    Returns:
        ``robustness.ROBUSTNESS``, for ``EVERYDAY`` changes.

    Raises:
        BoneAgeError: The networks take images of several sizes, or no case was held out.
    """
    reference = ensemble.reference
    sizes = {member.size for member in ensemble.members}
    if reference is None or len(sizes) > 1:
        raise BoneAgeError("robustness: needs networks that take images of one size, and their cases")
    cases, packs = _cases(ensemble.members, [read_run(folder) for folder in folders])
    (pack,) = packs.values()
    held_out = ~reference.trained
    tested = held_out.any(axis=0)
    male = cases["Male"].to_numpy(bool)[tested]

    def prediction(images: np.ndarray) -> np.ndarray:
        said = np.full((len(held_out), len(images)), np.nan)
        for member, mask, years in zip(ensemble.members, held_out[:, tested], said, strict=True):
            if mask.any():
                years[mask] = member.read(images[mask], male[mask])[0]
        return held_out_means(said)

    images = pack.images[rows_of(pack, cases)[1][tested]]
    return robustness_table(prediction, images, reference.years[tested], perturbations=EVERYDAY)


def _cases(members: Sequence[Member], runs: Sequence[Run]) -> tuple[pd.DataFrame, dict[int, Pack]]:
    """The labels of the cases, and the packs that have all of them, by size."""
    work = _work_of(runs[0])
    labels = read_labels(work.labels).table
    # Copies of a case say nothing that the case does not.
    cases = labels[labels["Case ID"] == labels["Source ID"]].reset_index(drop=True)
    packs = {size: open_pack(work.pack(size)) for size in sorted({member.size for member in members})}
    for pack in packs.values():
        cases = rows_of(pack, cases)[0]
    return cases, packs


def _reference(members: Sequence[Member], runs: Sequence[Run]) -> Reference:
    cases, packs = _cases(members, runs)
    held_out = []
    for run in runs:
        said = run.predictions.set_index("Case ID").reindex(cases["Case ID"])
        if said["Prediction"].isna().any():
            raise BoneAgeError(f"{run.folder}: says nothing of some cases of its labels; train it again")
        held_out.append(said["Prediction"].where(said["Split"] != "train").to_numpy(float))
    features = [
        features_of(member, packs[member.size], rows_of(packs[member.size], cases)[1])
        for member in tqdm(members, "training cases", unit="network")
    ]
    years, male = cases["Bone Age"].to_numpy(float), cases["Male"].to_numpy(bool)
    return Reference(years, male, np.array(held_out), tuple(features))


def _work_of(run: Run) -> Workspace:
    root = run.folder.resolve().parent.parent
    work = Workspace.at(root)
    if work.settings_file.is_file():
        # The pack may lie in a cache folder.
        work = Workspace(Settings.load(work.settings_file).replace(work=str(root)))
    return work


def features_of(member: Member, pack: Pack, rows: np.ndarray) -> np.ndarray:
    """What a network sees in images of a pack: float16, (rows, features)."""
    lots = [pack.images[rows[start : start + _LOT]] for start in range(0, len(rows), _LOT)]
    seen = [member.read(lot, np.zeros(len(lot), bool))[1] for lot in lots]
    features: np.ndarray = np.concatenate(seen).astype(np.float16)
    return features
