"""Examines a trained network on its test cases' photos, and on drawn hands if it was trained on such."""

import functools
from pathlib import Path

import keras
import numpy as np
import pandas as pd

from boneage import plots
from boneage.dataset import fingerprint, open_store, rows_of
from boneage.errors import BoneAgeError
from boneage.explain import DrawnHand, cases_to_show, drawn_hands, growth_centre_table, heat_map, overlay
from boneage.labels import Labels
from boneage.report.examination import Examination, ExaminedFiles
from boneage.report.words import title_of
from boneage.robustness import robustness_table
from boneage.training import estimate, load_model


def examine_run(files: ExaminedFiles, store: Path, labels: Labels, joined: pd.DataFrame) -> Examination:
    """How a network bears changed photos and where it looks; what was found before is not sought again.

    Args:
        files: Of a plain run.
        store: The file of packed photos that it was trained on; opened only where something is missing.
        labels: The labels that it was trained on.
        joined: Its estimates beside the truth (``evaluation.join_truth``).

    Raises:
        BoneAgeError: It has no test case, its model is not there, the photos are not its own, or the disk is
            full.
    """
    run = files.run
    missing = [path for path in files.parts if not files.is_current(path)]
    if not missing:
        return files.read()
    test = joined[joined["Split"] == "test"]
    if test.empty:
        raise BoneAgeError("no test case to examine it on; give the test a share when the labels are made")
    if not (run.folder / "model.keras").is_file():
        raise BoneAgeError(
            "its model.keras is not there to be examined; train it here, or copy that file back"
        )
    opened = open_store(store)
    if fingerprint(opened, rows_of(opened, labels.table)[0]) != run.record["fingerprint"]:
        raise BoneAgeError(
            f"{store.name} holds other photos than it was trained on; train it again to examine it"
        )
    model = load_model(run.folder)
    table, rows, _ = rows_of(opened, test)
    photos, male = opened.photos[rows], table["Male"].to_numpy(bool)
    if files.robustness in missing:
        truth = table["Bone Age"].to_numpy(float)
        found = robustness_table(lambda changed: estimate(model, changed, male), photos, truth)
        files.keep(files.robustness, found)
    if files.heat in missing:
        files.keep(files.heat, _heat_sheet(model, table, photos, title_of(run)).png())
    if files.centres in missing:
        files.keep(files.centres, growth_centre_table(model, _drawn_hands(opened.size)))
    return files.read()


@functools.lru_cache(maxsize=1)
def _drawn_hands(size: int) -> list[DrawnHand]:
    return drawn_hands(size)


def _heat_sheet(model: keras.Model, test: pd.DataFrame, photos: np.ndarray, title: str) -> plots.Chart:
    """The cases of ``explain.cases_to_show``, above as the network sees them, below where it looks."""
    shown = cases_to_show(test)
    row_of = {case_id: row for row, case_id in enumerate(test["Case ID"])}
    of_shown = photos[[row_of[case_id] for case_id in shown["Case ID"]]]
    maps = heat_map(model, of_shown, shown["Male"].to_numpy(bool))
    figure = plots.Chart(height=4.2)
    panels = figure.subplots(2, len(shown))
    for column, case in enumerate(shown.to_dict("records")):
        upper, lower = panels[:, column]
        upper.imshow(of_shown[column], cmap="gray", vmin=0, vmax=255)
        lower.imshow(overlay(of_shown[column], maps[column]))
        upper.set_title(
            f"{case['Shown']}: {case['Error']:+z.1f} years\ntrue {case['Bone Age']:.1f}, "
            f"said {case['Estimate']:.1f}".replace("-", "−"),
            fontsize=9,
        )
        # An id may hold a dollar sign, which is no formula.
        lower.set_xlabel(case["Case ID"][:24], fontsize=8, parse_math=False)
    for axes in panels.flat:
        axes.set(xticks=[], yticks=[])
    words = f"Where the network looks: {title}\nof {len(test):,} test cases the median, best and worst error"
    figure.suptitle(words, fontsize=10.5, x=0.02, ha="left", parse_math=False)
    return figure
