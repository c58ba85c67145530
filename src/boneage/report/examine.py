"""Examines a trained network on its test images, and on drawn hands if it was trained on such."""

import functools
from pathlib import Path

import keras
import numpy as np
import pandas as pd

from boneage.core.errors import BoneAgeError
from boneage.core.pictures import Picture
from boneage.dataset.labels import Labels
from boneage.dataset.pack import fingerprint, open_pack, rows_of
from boneage.evaluation import cases_by_error
from boneage.evaluation.cases import words_of_prediction
from boneage.evaluation.explain import DrawnHand, drawn_hands, growth_centre_table, heat_map, overlay
from boneage.evaluation.robustness import robustness_table
from boneage.images.sheets import sheet_of
from boneage.report.examination import Examination, ExaminedFiles
from boneage.training import load_model, prediction


def examine_run(files: ExaminedFiles, pack: Path, labels: Labels, joined: pd.DataFrame) -> Examination:
    """Robustness and heat maps of a network; parts examined before are not made again.

    Args:
        files: Of a plain run.
        pack: The pack that it was trained on; opened only if a part is missing.
        labels: The labels that it was trained on.
        joined: Its predictions with ground truth (``evaluation.join_truth``).

    Raises:
        BoneAgeError: It has no test case, its model is missing, the pack has other images, or the disk is
            full.
    """
    run = files.run
    missing = [path for path in files.parts if not files.is_current(path)]
    if not missing:
        return files.read()
    test = joined[joined["Split"] == "test"]
    if test.empty:
        raise BoneAgeError(
            "no test case to examine it on; give the test set a share and make the labels again"
        )
    if not (run.folder / "model.keras").is_file():
        raise BoneAgeError("its model.keras is missing; train it here, or copy that file back")
    opened = open_pack(pack)
    if fingerprint(opened, rows_of(opened, labels.table)[0]) != run.record["fingerprint"]:
        raise BoneAgeError(
            f"{pack.name} has other images than it was trained on; train it again to examine it"
        )
    model = load_model(run.folder)
    table, rows, _ = rows_of(opened, test)
    images, male = opened.images[rows], table["Male"].to_numpy(bool)
    if files.robustness in missing:
        truth = table["Bone Age"].to_numpy(float)
        found = robustness_table(lambda changed: prediction(model, changed, male), images, truth)
        files.keep(files.robustness, found)
    if files.heat in missing:
        files.keep(files.heat, _heat_sheet(model, table, images).png())
    if files.centres in missing:
        files.keep(files.centres, growth_centre_table(model, _drawn_hands(opened.size)))
    return files.read()


@functools.lru_cache(maxsize=1)
def _drawn_hands(size: int) -> list[DrawnHand]:
    return drawn_hands(size)


def _heat_sheet(model: keras.Model, test: pd.DataFrame, images: np.ndarray) -> Picture:
    """Best, median, random and worst case: above as the network sees them, below with heat maps."""
    by_kind = cases_by_error(test)
    shown = pd.concat(by_kind.values())
    row_of = {case_id: row for row, case_id in enumerate(test["Case ID"])}
    of_shown = images[[row_of[case_id] for case_id in shown["Case ID"]]]
    maps = heat_map(model, of_shown, shown["Male"].to_numpy(bool))
    above = [
        (f"{kind}: {row['Case ID']}\n{words_of_prediction(row)}", image)
        for kind, row, image in zip(by_kind, shown.to_dict("records"), of_shown, strict=True)
    ]
    below = [("where it looks", overlay(image, heat)) for image, heat in zip(of_shown, maps, strict=True)]
    return sheet_of(above + below, "Where the network looks", columns=4)
