"""How well an ensemble does on radiographs that none of its networks, or not all of them, were trained on."""

from pathlib import Path

import numpy as np
import pandas as pd

from boneage.core.errors import BoneAgeError
from boneage.dataset.labels import read_labels
from boneage.estimate.card import OUTSIDE
from boneage.estimate.ensemble import Ensemble
from boneage.estimate.interval import ensemble_intervals, held_out_means
from boneage.estimate.runs import packed_cases, work_of
from boneage.evaluation.bootstrap import mae_interval
from boneage.evaluation.robustness import PERTURBATIONS, robustness_table
from boneage.report.words import source_words
from boneage.workspace import Workspace

_EVERYDAY = {
    *(("rotation", 5), ("rotation", 15), ("brightness", -40), ("brightness", 40), ("contrast", 0.5)),
    *(("contrast", 1.5), ("blur", 0.005), ("noise", 5), ("noise", 10), ("JPEG", 50), ("resolution", 2)),
}

EVERYDAY = tuple(one for one in PERTURBATIONS if (one.name, one.amount) in _EVERYDAY)
"""Changes of images as scanners, cameras and exports make them."""


def held_out_robustness(ensemble: Ensemble, run: Path) -> pd.DataFrame | None:
    """How errors change with the images: each case read by the networks that were not trained on it.

    Args:
        ensemble: What ``runs.ensemble_of_runs`` made.
        run: One of those runs; its work folder has the cases.

    Returns:
        ``robustness.ROBUSTNESS``, for ``EVERYDAY`` changes, made at the size that the networks see; None if
        that is not the same for all, or if their cases are not known.
    """
    reference = ensemble.reference
    if reference is None or len({member.size for member in ensemble.members}) > 1:
        return None
    cases, of_sizes = packed_cases(ensemble.members, work_of(run))
    (images,) = of_sizes.values()
    held_out = ~reference.trained
    tested = held_out.any(axis=0)
    male = cases["Male"].to_numpy(bool)[tested]

    def prediction(images: np.ndarray) -> np.ndarray:
        said = np.full((len(held_out), len(images)), np.nan)
        for member, mask, years in zip(ensemble.members, held_out[:, tested], said, strict=True):
            if mask.any():
                years[mask] = member.read(images[mask], male[mask])[0]
        return held_out_means(said)

    return robustness_table(prediction, images[tested], reference.years[tested], perturbations=EVERYDAY)


def outside_errors(ensemble: Ensemble, folder: Path) -> pd.DataFrame:
    """The errors on every labelled case of another source: ``card.OUTSIDE``.

    Args:
        ensemble: The networks.
        folder: The other source's work folder, with labels and packs at the networks' sizes.

    Raises:
        BoneAgeError: It has no labels or no pack, or is of the source that the networks were trained on.
    """
    work = Workspace.at(folder)
    cases, images = packed_cases(ensemble.members, work)
    source = read_labels(work.labels).source
    if source == ensemble.source:
        raise BoneAgeError(f"{folder}: is of {source}, too; name a work folder of another source")
    years, male = cases["Bone Age"].to_numpy(float), cases["Male"].to_numpy(bool)
    votes = np.stack([member.read(images[member.size], male)[0] for member in ensemble.members])
    off = votes.mean(axis=0) - years
    inside = np.nan
    if ensemble.reference is not None:
        low, high = ensemble_intervals(ensemble.reference.years, ensemble.reference.held_out, votes)
        inside = float(np.mean((low <= years) & (years <= high)))
    row = (source_words(source), len(off), np.abs(off).mean(), *mae_interval(off), off.mean(), inside)
    return OUTSIDE.frame([row])
