"""What notebook 14 needs: a button for uploads, an example, and each hand beside its heat map."""

import tempfile
from collections.abc import Sequence
from pathlib import Path

import cv2
import ipywidgets
import numpy as np

from boneage.core.errors import BoneAgeError
from boneage.core.files import write_bytes
from boneage.core.pictures import Picture
from boneage.core.tables import CASE_TABLE, read_table
from boneage.dataset.labels import read_labels
from boneage.estimate.ensemble import Ensemble
from boneage.estimate.estimating import age_in_words
from boneage.estimate.files import Estimated
from boneage.estimate.page import heats_of
from boneage.evaluation import read_runs
from boneage.evaluation.explain import overlay
from boneage.images.reading import IMAGE_SUFFIXES
from boneage.images.sheets import sheet_of
from boneage.workspace import Workspace

_THUMB = 420


class Upload:
    """A button that uploads radiographs; they lie in a temporary folder, as long as the notebook runs."""

    def __init__(self) -> None:
        accepted = ",".join((*IMAGE_SUFFIXES, ".zip"))
        self.button = ipywidgets.FileUpload(accept=accepted, multiple=True, description="Radiographs")
        self._kept = tempfile.TemporaryDirectory()

    def folder(self) -> Path | None:
        """The folder of what was uploaded; the file itself if it is one; None if nothing was."""
        value = self.button.value
        # A dictionary by name in ipywidgets 7, a tuple of dictionaries in 8.
        files = value if isinstance(value, dict) else {one["name"]: one for one in value}
        paths = [
            write_bytes(Path(self._kept.name) / (Path(name).name or "upload"), bytes(one["content"]))
            for name, one in files.items()
        ]
        return paths[0] if len(paths) == 1 else Path(self._kept.name) if paths else None

    def _ipython_display_(self) -> None:
        from IPython.display import display

        display(self.button)


def best_runs(work: Workspace, count: int = 3) -> list[Path]:
    """The finished runs with the lowest validation error, at most ``count``; none if none has one."""
    runs, _ = read_runs(work.runs)
    judged = [run for run in runs if "validation" in run.record["metrics"]]
    judged.sort(key=lambda run: run.record["metrics"]["validation"]["mae"])
    return [run.folder for run in judged[:count]]


def example(work: Workspace) -> Path:
    """The radiograph of a test case, for want of one of one's own.

    Raises:
        BoneAgeError: There is none.
    """
    if not work.labels.is_file():
        raise BoneAgeError(
            "no radiograph yet: upload one with the button above, or name its file in RADIOGRAPH, and run "
            "this cell again"
        )
    labels, cases = read_labels(work.labels).table, read_table(work.cases, CASE_TABLE)
    held_out = set(labels.loc[labels["Split"] == "test", "Source ID"])
    for image in cases.loc[cases["case_id"].isin(held_out), "image"]:
        if (path := Path(work.root, image)).is_file():
            return path
    raise BoneAgeError(f"{work.cases}: no radiograph of a test case is there; upload one or name its file")


def hands_sheet(estimated: Sequence[Estimated], ensemble: Ensemble) -> Picture:
    """Each hand, put right, and beside it where the networks look on it.

    Args:
        estimated: At least one.
        ensemble: The networks.
    """
    shown: list[tuple[str, np.ndarray]] = []
    for one, heat in zip(estimated, heats_of(estimated, ensemble), strict=True):
        if one.hand is None:
            continue
        image = cv2.resize(one.hand.shown, (_THUMB, _THUMB), interpolation=cv2.INTER_AREA)
        said = "no estimate" if heat is None else age_in_words(one.estimate.bone_age)
        shown.append((f"{one.title}\n{said}", np.repeat(image[..., np.newaxis], 3, axis=2)))
        if heat is not None:
            shown.append(("where the networks look", overlay(image, heat)))
    return sheet_of(shown, "Radiographs, each beside its heat map", columns=2, thumb=_THUMB)
