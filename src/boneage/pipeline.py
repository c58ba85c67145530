"""The stages in their order, each a function of the work folder: what the notebooks and the verbs call.

Every stage reads the tables of the stages before it from the work folder, writes its own, and can be run
again at any time: what is done is not done again.
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from boneage import anomalies as detectors
from boneage import evaluation
from boneage.core.errors import BoneAgeError
from boneage.core.left_out import leave_out, left_something_out
from boneage.core.runtime import keras_module
from boneage.core.tables import SKIPPED_TABLE, read_table, skipped_table, write_table
from boneage.dataset.augment import augment
from boneage.dataset.folds import folds_of
from boneage.dataset.in_force import (
    check_made,
    images_folder,
    load_labels,
    load_plan,
    plan_in_force,
    plan_to_label,
)
from boneage.dataset.labels import Labels, build_labels, write_labels
from boneage.dataset.pack import (
    Pack,
    build_pack,
    find_images,
    fingerprint,
    image_ids,
    open_pack,
    read_image,
    rows_of,
)
from boneage.dataset.plan import plan_of
from boneage.dataset.same_picture import same_pictures, ties_in_words
from boneage.dataset.suggestions import suggest_augmentations, suggest_corrections
from boneage.dataset.usable import (
    Reviewed,
    cases_to_make,
    load_cases,
    open_review,
    reviewable_cases,
    reviewed_cases,
    split_of,
    usable_of,
)
from boneage.images import preprocess, sheets
from boneage.phantom import atlas as phantom
from boneage.report.card import write_card
from boneage.report.compare import RECORDED_TABLES, compare, examine, record, training_of
from boneage.report.one_case import one_case
from boneage.review import unattended
from boneage.review.log import ReviewLog
from boneage.sources import dha_index, manifest
from boneage.sources.cases import read_source, tell_units
from boneage.workspace import Workspace, files_digest, table_digest

if TYPE_CHECKING:
    from boneage.review.board import ReviewBoard

__all__ = [
    "RECORDED_TABLES",
    "apply_review",
    "compare",
    "estimate_of",
    "examine",
    "fetch_by_index",
    "fill_review",
    "get_data",
    "image_reader",
    "images_folder",
    "load_cases",
    "load_labels",
    "load_plan",
    "make_anomalies",
    "make_augmented",
    "make_cases",
    "make_folds",
    "make_images",
    "make_labels",
    "make_pack",
    "make_plan",
    "one_case",
    "open_board",
    "open_review",
    "record",
    "reject_likely",
    "reviewable_cases",
    "train_network",
    "wait_for_review",
]


def get_data(work: Workspace) -> Path:
    """The folder with the source's radiographs: drawn, local, unpacked, or fetched by the manifest.

    Raises:
        BoneAgeError: There is no such folder, the archive is unsafe, or the download failed.
    """
    chosen = work.settings
    if chosen.source == "phantom" and not chosen.data:
        how = chosen.phantoms_per_group, chosen.split_seed, chosen.phantom_anomalies
        return phantom.write_phantom_atlas(work.data / "phantom", *how)
    return manifest.data_for(chosen.source, chosen.data, work.large)


def fetch_by_index(work: Workspace) -> Path:
    """Pages through the Digital Hand Atlas's web index where there is no archive of it; resumes.

    Returns:
        The fetched folder, to be set as ``data``.

    Raises:
        BoneAgeError: Another source, or the index does not answer as expected.
    """
    if work.settings.source != "dha":
        raise BoneAgeError(f"{work.settings.source}: --index is for the Digital Hand Atlas (dha) only")
    # Hours of polite requests outlive the runtime; the rest of ``data`` is soon fetched again.
    folder = work.root / "data" / "dha"
    skipped = dha_index.fetch_atlas(manifest.source_of("dha_index"), folder)
    leave_out(work.skipped("fetch"), skipped, sum(1 for _ in folder.rglob("*.jpg")))
    return folder


def make_cases(work: Workspace) -> pd.DataFrame:
    """Reads the source into the case table, and writes it with what was left out.

    What each table of bone ages was taken for, such as months, and why, is printed and stands in
    ``cases.json`` beside the case table. One that was corrected by hand is kept under another name.

    Raises:
        BoneAgeError: The source holds no radiograph, or a table of bone ages may be in months as well as
            years.
    """
    with work.making("cases") as making:
        cases, skipped = read_source(work.settings, get_data(work), work.large)
        noted = [*cases["case_id"], *cases.attrs["noted"]]
        # A table that was made earlier, perhaps corrected by hand, is not lost to an empty one.
        leave_out(work.skipped("cases"), skipped, len(cases), "cases", noted)
        tell_units(work.cases, cases)
        write_table(work.cases, cases)
        making.count = len(cases)
    return cases


def make_images(work: Workspace) -> pd.DataFrame:
    """Makes every case's square image and the contact sheet; returns the report, one row per case.

    Raises:
        BoneAgeError: No case table yet, one that was damaged since its images were made, no image could be
            made, or the work folder is full or read-only.
    """
    cases, faults = cases_to_make(work)
    before = _files_of(work)
    with work.making("preprocess") as making:
        came_in = preprocess.preprocess(cases, work.large, work.settings.image_size, work.settings.pad)
        skipped = came_in[came_in["status"] == "skipped"]
        reasons = skipped_table(zip(skipped["case_id"], skipped["reason"], strict=True))
        remarks = _decided_on_others(work, before, _files_of(work))
        reasons = pd.concat([faults, reasons, remarks], ignore_index=True)
        making.count = len(came_in) - len(skipped)
        leave_out(work.skipped("preprocess"), reasons, making.count, "images", noted=remarks["item"])
    sheets.write_contact_sheet(work.contact_sheet, cases, came_in, work.large)
    return came_in


def _files_of(work: Workspace) -> pd.Series:
    """The digest of the file that each image was made of, by case id."""
    try:
        report = preprocess.read_report(work.large)
    except BoneAgeError:
        return pd.Series(dtype=str)
    made = report[report["status"] == "ok"]
    return made.drop_duplicates("case_id").set_index("case_id")["sha256"]


def _decided_on_others(work: Workspace, before: pd.Series, now: pd.Series) -> pd.DataFrame:
    """A remark for each case whose image was made of another file when the review decided on it."""
    both = before.index.intersection(now.index)
    others = both[before[both] != now[both]]
    if not len(others):
        return skipped_table([])
    decided = ReviewLog(work.review, read_only=True).final(now.index)
    why = "its file has changed since the review decided on it; look at it again"
    return skipped_table((case_id, why) for case_id in others if case_id in decided)


def make_anomalies(work: Workspace) -> pd.DataFrame:
    """Looks at every image for what may be wrong with it; images looked at before are not looked at again.

    Prints a warning if the images are too small for the detectors.

    Returns:
        ``anomalies.ANOMALY_TABLE``, the highest score first.

    Raises:
        BoneAgeError: No images yet, or the disk is full.
    """
    cases = reviewable_cases(work)
    if too_small := _too_small(work):
        print(f"warning: {too_small}")
    # What could not be read then may have been put right since.
    if not work.is_current("anomalies") or left_something_out(work.skipped("anomalies")):
        with work.making("anomalies") as making:
            table, skipped = detectors.find_anomalies(cases, work.images, work.large / "anomalies.npz")
            looked_at = len(cases) - len(skipped)
            leave_out(work.skipped("anomalies"), skipped, looked_at, "images that could be looked at")
            write_table(work.anomalies, table)
            making.count = len(table)
    # Read back even when just found: one way or the other, the same table.
    return detectors.read_anomalies(work.anomalies)


def _too_small(work: Workspace) -> str:
    """Why the detectors cannot be relied on, with what to do; empty if they can."""
    size = work.settings.image_size
    if size >= detectors.SMALLEST_SIDE:
        return ""
    return (
        f"at {size} pixels the detectors take many sound images for anomalous; run preprocess again with "
        f"--image-size {detectors.SMALLEST_SIDE} or more"
    )


def image_reader(work: Workspace) -> Callable[[str], np.ndarray]:
    """Reads a case's square image by its id, uint8 (size, size); raises BoneAgeError where it is gone."""
    folder = work.images
    return lambda case_id: read_image(folder / f"{case_id}.png", work.settings.image_size)


def open_board(work: Workspace) -> "ReviewBoard":
    """The review board over the images, the highest score first, open at the first undecided one.

    Raises:
        BoneAgeError: No images yet, or the log cannot be opened.
    """
    # Training runs where there are no widgets, too.
    from boneage.review.board import ReviewBoard, Suggest

    cases = reviewable_cases(work)
    anomalies = make_anomalies(work)
    of_case = dict(list(anomalies.groupby("case_id")))
    return ReviewBoard(
        cases,
        anomalies,
        open_review(work),
        image_reader(work),
        queue=detectors.review_queue(anomalies, cases["case_id"].tolist()),
        suggest=Suggest(
            lambda case_id, image: suggest_corrections(image, of_case.get(case_id, anomalies[:0])),
            lambda image: suggest_augmentations(image, work.settings.laterality_matters),
        ),
    )


def fill_review(work: Workspace, recorded: Path | None = None) -> str:
    """See :func:`boneage.review.unattended.fill_review`; drawn hands bring a log of their own."""
    return unattended.fill_review(open_review(work), recorded or _recorded_review(work))


def _recorded_review(work: Workspace) -> Path | None:
    if work.settings.recorded_review:
        return Path(work.settings.recorded_review)
    drawn = work.data / "phantom" / phantom.REVIEW_NAME
    return drawn if work.settings.source == "phantom" and not work.settings.data and drawn.is_file() else None


def wait_for_review(work: Workspace, reviewed: bool) -> str:
    """See :func:`boneage.review.unattended.wait_for_review`."""
    cases = reviewable_cases(work)["case_id"].tolist()
    return unattended.wait_for_review(open_review(work), cases, reviewed)


def reject_likely(work: Workspace) -> str:
    """See :func:`boneage.review.unattended.reject_likely`.

    Raises:
        BoneAgeError: The images are too small for the detectors, or as :func:`make_anomalies`.
    """
    if too_small := _too_small(work):
        raise BoneAgeError(f"{work.images}: {too_small}")
    return unattended.reject_likely(ReviewLog(work.review, unattended.DETECTORS), make_anomalies(work))


def apply_review(work: Workspace) -> Reviewed:
    """Takes the rejected cases out, by the log; writes who stays and who does not.

    Raises:
        BoneAgeError: No images yet, every case was rejected, or the log cannot be read.
    """
    with work.making("review") as making:
        reviewed = reviewed_cases(work)
        write_table(work.accepted, reviewed.accepted)
        write_table(work.rejected, reviewed.rejected)
        making.count = len(reviewed.accepted)
    return reviewed


def make_plan(work: Workspace) -> tuple[pd.DataFrame, list[str]]:
    """Draws the split over the accepted cases, then plans the augmented set.

    Returns:
        The plan (``tables.PLAN_TABLE``) and what a person should know of it, in words.

    Raises:
        BoneAgeError: See :func:`apply_review` and :func:`boneage.dataset.plan.balanced_plan`.
    """
    with work.making("plan") as making:
        usable = usable_of(work)
        split, ties = split_of(work, usable)
        plan, unread, notices = plan_of(usable, split, work.images, work.settings)
        skipped = pd.concat([usable.skipped, unread], ignore_index=True)
        leave_out(work.skipped("plan"), skipped, len(split), noted=split.index)
        write_table(work.plan, plan)
        making.count = len(plan)
    return plan, [*usable.notices, *ties, *notices]


def make_augmented(work: Workspace) -> pd.DataFrame:
    """Makes every image of the plan; images made before are not made again.

    Returns:
        A row per image (``augment.RECORD_TABLE``).

    Raises:
        BoneAgeError: No plan yet, it was changed or made from other decisions or settings, or the disk is
            full.
    """
    # A plan of older decisions would show what a person blanked since.
    plan = plan_in_force(work)
    with work.making("augment") as making:
        record = augment(plan, work.images, work.augmented)
        skipped = read_table(work.skipped("augment"), SKIPPED_TABLE)
        making.count = len(record) - len(skipped)
        leave_out(work.skipped("augment"), skipped, making.count, "images of the plan")
    return record


def make_labels(work: Workspace) -> Labels:
    """Labels every image of the plan; where nothing was planned, every usable case once.

    Labels that were corrected by hand are kept under another name.

    Raises:
        BoneAgeError: No images yet, no case has both an image and a label, or the plan was made from other
            decisions or settings, or its images are not made yet, or the disk is full.
    """
    with work.making("labels") as making:
        usable = usable_of(work)
        plan, without_image = plan_to_label(work, usable)
        labels = build_labels(usable, plan)
        skipped = pd.concat([labels.skipped, without_image], ignore_index=True)
        labels = replace(labels, skipped=skipped, split_seed=work.settings.split_seed)
        leave_out(work.skipped("labels"), labels.skipped, len(labels.table))
        write_labels(work.labels, labels)
        making.count = len(labels.table)
    return labels


def make_pack(work: Workspace, labels: Labels | None = None, images: Path | None = None) -> Pack:
    """Packs the labelled images at the training size; an up-to-date pack is kept, even without images.

    Args:
        work: The work folder.
        labels: Labels; the work folder's by default.
        images: Folder of images; by default the work folder's, augmented where there is a plan.

    Raises:
        BoneAgeError: No labels or no images yet, the folder named holds images as they came although the
            labels tell of corrections, or the disk is full.
    """
    labels = labels or load_labels(work)
    folder = images or images_folder(work, labels)
    check_made(labels, folder, work)
    missing = skipped_table([])
    of_labels = table_digest(labels.table)
    if images is not None or not _is_carried(work, folder, of_labels):
        ids = labels.table["Case ID"].tolist()
        files, missing = find_images(ids, folder)
        more = {"labels": of_labels, "images": files_digest(files)}
        if not work.is_current("pack", **more):
            with work.making("pack", **more) as making:
                build_pack(ids, folder, work.settings.train_size, work.pack())
                pack = open_pack(work.pack())
                making.count = len(pack.images)
                making.more["set"] = labels.set
                making.more["fingerprint"] = fingerprint(pack, rows_of(pack, labels.table)[0])
    pack = open_pack(work.pack())
    skipped = pd.concat([labels.skipped, missing, pack.skipped], ignore_index=True)
    leave_out(work.skipped("pack"), skipped, len(pack.images), "packed images")
    return pack


def _is_carried(work: Workspace, folder: Path, of_labels: str) -> bool:
    """Whether the pack is here without its images, and nothing says that it is of other labels."""
    if folder.is_dir() or not work.pack().is_dir():
        return False
    return not work.changes("pack", labels=of_labels)


def train_network(
    work: Workspace,
    network: str,
    epochs: int,
    labels: Labels | None = None,
    pack: Pack | None = None,
    variant: str = "",
) -> evaluation.Run:
    """Trains a network, or takes its run up where it stopped, writes its card, and reads it back.

    The run of a fold goes into a folder of its own, beside that of all other runs.

    Raises:
        BoneAgeError: See :func:`boneage.training.train`.
    """
    training = training_of(work)
    labels = labels or load_labels(work)
    pack = pack or make_pack(work, labels)
    runs = work.runs_of_fold(labels.fold) if labels.fold else work.runs
    record = training.train(network, epochs, labels, pack, work.settings, runs, variant)
    run = evaluation.read_run(runs / str(evaluation.key_of(record)))
    write_card(run, labels)
    return run


def make_folds(work: Workspace, count: int) -> list[Labels]:
    """The labels of each fold of a cross-validation over all accepted cases.

    Raises:
        BoneAgeError: No labels yet, or too few cases; see :func:`boneage.dataset.folds.folds_of`.
    """
    labels = load_labels(work)
    ids = labels.table["Source ID"].unique().tolist()
    # The labels may have been through a spreadsheet, which drops leading zeros.
    images = image_ids(ids, preprocess.read_report(work.large)["case_id"])
    groups = same_pictures([images.get(one, one) for one in ids], work.large)
    for notice in ties_in_words(groups, "fold"):
        print(notice)
    return folds_of(labels, count, work.settings.split_seed, groups.set_axis(ids))


def estimate_of(work: Workspace) -> ModuleType:
    """The package of estimates, imported late, as it needs Keras.

    Raises:
        BoneAgeError: Its backend cannot be imported.
    """
    return keras_module("boneage.estimate", work.settings.backend)


def pretrain_network(work: Workspace, network: str, variant: str = "") -> evaluation.Run:
    """Trains a network on drawn hands, for runs with the weights ``phantom``, and reads the run back.

    Raises:
        BoneAgeError: See :func:`boneage.training.pretrain`.
    """
    return training_of(work).pretrain(network, work.settings, variant)
