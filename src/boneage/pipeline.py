"""The stages in their order, each a function of the work folder: what the notebooks and the verbs call.

Every stage reads the tables of the stages before it from the work folder, writes its own, and can be run
again at any time: what is done is not done again.
"""

import importlib
import itertools
import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pandas as pd
from tqdm.auto import tqdm

from boneage import anomalies as detectors
from boneage import evaluation, report
from boneage.anomalies import LIKELY
from boneage.core import runtime
from boneage.core.errors import BoneAgeError
from boneage.core.files import write_bytes, write_text
from boneage.core.left_out import in_words, leave_out, refuse_nothing, tell_left_out
from boneage.core.tables import (
    SKIPPED_TABLE,
    is_safe_id,
    read_cases,
    read_plan,
    read_table,
    skipped_table,
    write_table,
)
from boneage.dataset.augment import augment
from boneage.dataset.labels import (
    REJECTED,
    Labels,
    UsableCases,
    build_labels,
    read_labels,
    usable_cases,
    write_labels,
)
from boneage.dataset.pack import Pack, build_pack, find_images, fingerprint, open_pack, read_image, rows_of
from boneage.dataset.plan import balanced_plan
from boneage.dataset.same_picture import same_pictures, ties_in_words
from boneage.dataset.split import draw_split, plan_without_copies
from boneage.dataset.suggestions import (
    mirrored_letters,
    suggest_augmentations,
    suggest_corrections,
    suggest_for,
)
from boneage.images import preprocess, sheets
from boneage.images.sheets import copies_sheet
from boneage.phantom import atlas as phantom
from boneage.report.one_case import OneCase, find_case, words_of_case
from boneage.review.applying import apply_log, summary
from boneage.review.board import ReviewBoard, Suggest
from boneage.review.log import ReviewLog
from boneage.sources import dha, dha_index, local, manifest, rsna
from boneage.sources.web import Web
from boneage.workspace import RUNS_NAME, Workspace, files_digest, table_digest

RECORDED_TABLES = ("details", "differences", "seeds", "variants", "groups", "coverage", "outside")
"""The tables of a comparison that need the labels, which are not passed on, and so are recorded."""

# What is chosen for an image in review, and what stands where nobody chose.
_CHOSEN = {"corrections": "[]", "augmentations": ""}

# Whose decisions the log shows where a detector's anomaly was taken for one.
_DETECTORS = "detectors"


def get_data(work: Workspace) -> Path:
    """The folder with the source's radiographs: drawn, local, unpacked, or fetched by the manifest.

    Raises:
        BoneAgeError: There is no such folder, the archive is unsafe, or the download failed.
    """
    if work.settings.source == "phantom" and not work.settings.data:
        return phantom.write_phantom_atlas(
            work.data / "phantom",
            work.settings.phantoms_per_group,
            work.settings.split_seed,
            work.settings.phantom_anomalies,
        )
    return manifest.data_for(work.settings.source, work.settings.data, work.large)


def fetch_by_index(work: Workspace) -> Path:
    """Pages through the Digital Hand Atlas's web index where there is no archive of it; resumes.

    Returns:
        The fetched folder, to be set as ``data``.

    Raises:
        BoneAgeError: Another source, or the index does not answer as expected.
    """
    if work.settings.source != "dha":
        raise BoneAgeError(
            f"source {work.settings.source}: only the Digital Hand Atlas (dha) has a web index"
        )
    # Hours of polite requests outlive the runtime; the rest of ``data`` is soon fetched again.
    folder = work.root / "data" / "dha"
    skipped = dha_index.fetch_atlas(manifest.source_of("dha_index"), folder)
    leave_out(work.skipped("fetch"), skipped, sum(1 for _ in folder.rglob("*.jpg")))
    return folder


def make_cases(work: Workspace) -> pd.DataFrame:
    """Reads the source into the case table, and writes it with what was left out.

    What each table of bone ages was taken for, months or years, and why, is printed and stands in
    ``cases.json`` beside the case table.

    Raises:
        BoneAgeError: The source holds no radiograph, or a table of bone ages may be in months as well as
            years.
    """
    _keep_corrected(work)
    with work.making("cases") as making:
        folder = get_data(work)
        unpacked = {} if work.settings.source == "phantom" else local.unpack_below(folder, work.large)
        if work.settings.source == "rsna":
            cases, skipped = rsna.read_rsna(folder, work.settings.unit, unpacked)
        else:
            readings = _fetched_readings(work, folder, unpacked)
            cases, skipped = dha.read_atlas(
                folder, readings, work.settings.source, work.settings.unit, unpacked
            )
        noted = [*cases["case_id"], *cases.attrs["noted"]]
        leave_out(work.skipped("cases"), skipped, len(cases), noted=noted)
        # A table that was made earlier, perhaps corrected by hand, is not lost to an empty one.
        refuse_nothing(work.skipped("cases"), skipped, len(cases), "cases")
        units = cases.attrs["units"]
        for one in units:
            print(f"{one['table']}: bone ages in {one['unit']} ({one['why']})")
        # Beside the table, so that whoever reads it later knows too.
        write_text(work.cases.with_suffix(".json"), json.dumps({"units": units}, indent=1) + "\n")
        write_table(work.cases, cases)
        making.count = len(cases)
    return cases


def _keep_corrected(work: Workspace) -> None:
    """Keeps a case table that was corrected by hand, under another name, before it is written anew."""
    if work.cases.is_file() and work.is_edited("cases"):
        names = (f"cases-corrected-{number}" for number in itertools.count(1))
        aside = next(one for one in map(work.cases.with_stem, names) if not one.exists())
        write_bytes(aside, work.cases.read_bytes())
        print(f"{work.cases} was corrected by hand; that table is kept as {aside.name}")


def _fetched_readings(work: Workspace, folder: Path, unpacked: Mapping[Path, Path | str]) -> Path | None:
    """The atlas's published readings where its images come without any; None where they have their own."""
    own = dha.find_readings(folder, unpacked)
    if own or work.settings.source != "dha" or work.settings.label != "reading":
        return None
    try:
        return manifest.fetch("la_dha.csv", work.data, record=work.large / "fetched.csv", web=Web(attempts=2))
    except BoneAgeError as error:
        print(f"no readings, so the label is the atlas folder's year of age: {error}")
        return None


def load_cases(work: Workspace) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The case table that :func:`make_cases` wrote, perhaps corrected by hand since.

    Returns:
        The cases, and the rows that cannot be used with their reasons (``item``, ``reason``).

    Raises:
        BoneAgeError: There is none yet, it is damaged, or none of its rows can be used.
    """
    path = work.cases
    if not path.is_file():
        raise BoneAgeError(f"{path}: not there yet; run notebook 01 or `python -m boneage cases` first")
    cases, faults = read_cases(path)
    if cases.empty:
        why = f" (the first: {faults['reason'].iloc[0]})" if len(faults) else ""
        raise BoneAgeError(
            f"{path}: no usable case{why}; mend it, or make it anew with `python -m boneage cases`"
        )
    return cases, faults


def make_images(work: Workspace) -> pd.DataFrame:
    """Makes every case's square image and the contact sheet; returns the report, one row a case.

    Raises:
        BoneAgeError: No case table yet, one that was damaged since its images were made, no image could be
            made, or the work folder is full or read-only.
    """
    cases, faults = load_cases(work)
    damaged = faults[~faults["item"].isin(cases["case_id"])]
    folder = work.large / preprocess.IMAGE_FOLDER
    at_stake = [one for one in damaged["item"] if is_safe_id(one) and (folder / f"{one}.png").is_file()]
    if at_stake:
        raise BoneAgeError(
            f"{work.cases}: {len(damaged)} rows cannot be used (the first, {damaged['item'].iloc[0]}: "
            f"{damaged['reason'].iloc[0]}), and {len(at_stake)} images made of them would be lost; mend it, "
            "or make it anew with `python -m boneage cases`"
        )
    with work.making("preprocess") as making:
        came_in = preprocess.preprocess(cases, work.large, work.settings.image_size, work.settings.pad)
        skipped = came_in[came_in["status"] == "skipped"]
        reasons = skipped_table(zip(skipped["case_id"], skipped["reason"], strict=True))
        reasons = pd.concat([faults, reasons], ignore_index=True)
        making.count = len(came_in) - len(skipped)
        leave_out(work.skipped("preprocess"), reasons, making.count)
        refuse_nothing(work.skipped("preprocess"), reasons, making.count, "images")
    sheets.write_contact_sheet(work.contact_sheet, cases, came_in, work.large)
    return came_in


def make_anomalies(work: Workspace) -> pd.DataFrame:
    """Looks at every image for what may be wrong with it; images looked at before are not looked at again.

    Returns:
        ``anomalies.ANOMALY_TABLE``, the highest score first.

    Raises:
        BoneAgeError: No images yet, or the disk is full.
    """
    cases = reviewable_cases(work)
    if not work.is_current("anomalies"):
        with work.making("anomalies") as making:
            table, skipped = detectors.find_anomalies(cases, work.images)
            looked_at = len(cases) - len(skipped)
            leave_out(work.skipped("anomalies"), skipped, looked_at)
            refuse_nothing(work.skipped("anomalies"), skipped, looked_at, "images that could be looked at")
            write_table(work.anomalies, table)
            making.count = len(table)
    # Read back even when just found: one way or the other, the same table.
    return _read_anomalies(work.anomalies)


def _read_anomalies(path: Path) -> pd.DataFrame:
    table = read_table(path, detectors.ANOMALY_TABLE)
    numbers = ["score", "x", "y", "width", "height", "measured"]
    table[numbers] = table[numbers].apply(pd.to_numeric, errors="coerce")
    return table


def reviewable_cases(work: Workspace) -> pd.DataFrame:
    """The cases that have an image of their own: what a person reviews.

    Raises:
        BoneAgeError: No case table or no images yet, or none that can be reviewed.
    """
    cases, _ = load_cases(work)
    cases = cases[~cases["case_id"].isin(list(_without_image(work, cases)))].reset_index(drop=True)
    if cases.empty:
        raise BoneAgeError(f"{work.images}: no image to review; see {work.skipped('preprocess').name}")
    return cases


def open_review(work: Workspace) -> ReviewLog:
    """The work folder's review log, in the name of the settings' reviewer.

    Raises:
        BoneAgeError: See :class:`boneage.review.log.ReviewLog`.
    """
    return ReviewLog(work.review, work.settings.reviewer)


def image_reader(work: Workspace) -> Callable[[str], np.ndarray]:
    """Reads a case's square image by its id, uint8 (size, size); raises BoneAgeError where it is gone."""
    folder = work.images
    return lambda case_id: read_image(folder / f"{case_id}.png", work.settings.image_size)


def open_board(work: Workspace) -> ReviewBoard:
    """The review board over the images, the highest score first, open at the first undecided one.

    Raises:
        BoneAgeError: No images yet, or the log cannot be opened.
    """
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
    """Decides what nobody has decided yet by a log that was recorded earlier, where there is one.

    Args:
        work: Its settings' ``recorded_review`` names the log; drawn hands bring one of their own.
        recorded: The log to take instead.

    Returns:
        What was done, in words.

    Raises:
        BoneAgeError: The recorded log is missing or no review log, or the disk is full.
    """
    recorded = recorded or _recorded_review(work)
    if recorded is None:
        return "No log was recorded earlier: what nobody has decided stays in."
    if not os.path.isfile(recorded):
        raise BoneAgeError(f"{recorded}: no such review log; check the path")
    log = ReviewLog(recorded, read_only=True)
    count = open_review(work).fill_from(log)
    said = f"{count} decisions from {recorded.name}, recorded earlier, stand where nobody had decided yet."
    return "\n".join([said, *log.notices])


def wait_for_review(work: Workspace, reviewed: bool) -> str:
    """Lets the stages after the review go on once it is done, or once a person says that it is.

    Args:
        work: The work folder.
        reviewed: Whether a person has said that nothing more will be decided; what is undecided stays in.

    Returns:
        How many cases are decided, in words.

    Raises:
        BoneAgeError: Cases are undecided and nobody has said to go on; no images yet.
    """
    cases = reviewable_cases(work)["case_id"].tolist()
    undecided = summary(open_review(work), cases).undecided
    if undecided and not reviewed:
        raise BoneAgeError(
            f"{undecided:,} of {len(cases):,} cases are undecided: decide on the board, then tick REVIEWED "
            "in the settings cell and choose Run all again (what is undecided stays in)"
        )
    return f"{len(cases) - undecided:,} of {len(cases):,} cases are decided; the others stay in."


def reject_likely(work: Workspace) -> str:
    """Rejects images with a likely anomaly, where no person is at hand and nobody has decided yet.

    A person who looks decides better: about one in three of the images rejected so is sound, and half of the
    spoilt ones stay. The decisions go into the log in the detectors' own name, so they can be told from a
    person's, and each can be undone.

    Returns:
        What was done, in words.

    Raises:
        BoneAgeError: No images yet, or the log cannot be written.
    """
    anomalies = make_anomalies(work)
    likely = anomalies[anomalies["kind"].isin(list(detectors.REJECTABLE)) & (anomalies["score"] >= LIKELY)]
    log = ReviewLog(work.review, _DETECTORS)
    touched = {row.case_id for row in log.rows}
    # The most urgent stand first.
    first = likely.drop_duplicates("case_id")
    rejected = first[~first["case_id"].isin(touched)]
    for one in rejected.itertuples():
        note = f"{one.kind}, score {one.score:.2f}: {one.why}"
        log.append(one.case_id, "reject", detectors.REJECTABLE[one.kind], note=note)
    return f"{len(rejected)} images that nobody has decided on are rejected in the name of {_DETECTORS}."


def _recorded_review(work: Workspace) -> Path | None:
    if work.settings.recorded_review:
        return Path(work.settings.recorded_review)
    drawn = work.data / "phantom" / phantom.REVIEW_NAME
    return drawn if work.settings.source == "phantom" and not work.settings.data and drawn.is_file() else None


@dataclass(frozen=True)
class Reviewed:
    """What a review made of the cases.

    Attributes:
        accepted: The accepted cases, with their ``corrections`` and ``augmentations`` (JSON).
        rejected: ``case_id, reason, note, reviewer``.
        notices: In words: who disagrees, what is undecided, what was mended.
    """

    accepted: pd.DataFrame
    rejected: pd.DataFrame
    notices: list[str]


def apply_review(work: Workspace) -> Reviewed:
    """Takes the rejected cases out, by the log; writes who stays and who does not.

    Raises:
        BoneAgeError: No images yet, every case was rejected, or the log cannot be read.
    """
    with work.making("review") as making:
        reviewed = _reviewed(work)
        write_table(work.accepted, reviewed.accepted)
        write_table(work.rejected, reviewed.rejected)
        making.count = len(reviewed.accepted)
    return reviewed


def _reviewed(work: Workspace) -> Reviewed:
    log = open_review(work)
    reviewed = Reviewed(*apply_log(reviewable_cases(work), log))
    if reviewed.accepted.empty:
        raise BoneAgeError(f"{log.path}: every case is rejected; undo some decisions in the board")
    return reviewed


def make_plan(work: Workspace) -> tuple[pd.DataFrame, list[str]]:
    """Draws the split over the accepted cases, then plans the augmented set.

    Returns:
        The plan (``tables.PLAN_TABLE``) and what a person should know of it, in words.

    Raises:
        BoneAgeError: See :func:`apply_review` and :func:`boneage.dataset.plan.balanced_plan`.
    """
    with work.making("plan") as making:
        usable = _usable_cases(work)
        split, ties = _draw_split(work, usable)
        cases = usable.strata.assign(split=split).rename_axis("case_id").reset_index()
        cases = cases.merge(usable.cases[["case_id", *_CHOSEN]], on="case_id")
        corrections = cases.set_index("case_id")["corrections"]
        training = corrections[cases.set_index("case_id")["split"] == "train"].to_dict()
        allowed, unread = suggest_for(training, work.images, work.settings.laterality_matters)
        total = work.settings.total or len(cases)
        choices = work.settings.laterality_matters, work.settings.split_seed
        plan, notices = balanced_plan(cases, total, allowed, *choices)
        mirrored = mirrored_letters(corrections.to_dict(), work.images)
        if mirrored:
            notices.append(
                f"{len(mirrored)} cases are mirrored to put them right, and so may be letters on them (the "
                f"first: {mirrored[0]}); blank those on the board"
            )
        skipped = pd.concat([usable.skipped, unread], ignore_index=True)
        leave_out(work.skipped("plan"), skipped, len(cases), noted=cases["case_id"])
        write_table(work.plan, plan)
        making.count = len(plan)
    return plan, ties + notices


def _usable_cases(work: Workspace) -> UsableCases:
    """The accepted cases that have an image and a label, and why the others have not."""
    cases, faults = load_cases(work)
    left_out = _without_image(work, cases)
    reviewed = _reviewed(work)
    left_out |= {row.case_id: f"{REJECTED}: {row.reason}" for row in reviewed.rejected.itertuples()}
    chosen = reviewed.accepted.set_index("case_id")[list(_CHOSEN)]
    cases = cases.join(chosen, on="case_id").fillna(_CHOSEN)
    usable = usable_cases(cases, work.settings.label, left_out)
    return replace(usable, skipped=pd.concat([faults, usable.skipped], ignore_index=True))


def _draw_split(work: Workspace, usable: UsableCases) -> tuple[pd.Series, list[str]]:
    """The split, in which one picture is never in two parts, and what a person should know of that."""
    groups = same_pictures(usable.strata.index.tolist(), work.large)
    shares = work.settings.validation_share, work.settings.test_share
    return draw_split(usable.strata, *shares, work.settings.split_seed, groups), ties_in_words(groups)


def load_plan(work: Workspace) -> pd.DataFrame:
    """The plan that :func:`make_plan` wrote.

    Raises:
        BoneAgeError: There is none yet, or it is damaged.
    """
    path = work.plan
    if not path.is_file():
        raise BoneAgeError(f"{path}: not there yet; run notebook 02 or `python -m boneage plan` first")
    return read_plan(path)


def make_augmented(work: Workspace) -> pd.DataFrame:
    """Makes every image of the plan; images made before are not made again.

    Returns:
        A row an image (``augment.RECORD_TABLE``).

    Raises:
        BoneAgeError: No plan yet, it was changed or made from other decisions or settings, or the disk is
            full.
    """
    # A plan of older decisions would show what a person blanked since.
    plan = _plan_in_force(work)
    with work.making("augment") as making:
        record = augment(plan, work.images, work.augmented)
        path = work.skipped("augment")
        skipped = read_table(path, SKIPPED_TABLE)
        making.count = len(record) - len(skipped)
        tell_left_out(path, skipped, making.count)
        refuse_nothing(path, skipped, making.count, "images of the plan")
    return record


def make_labels(work: Workspace) -> Labels:
    """Labels every image of the plan; where nothing was planned, every usable case once.

    Raises:
        BoneAgeError: No images yet, no case has both an image and a label, or the plan was made from other
            decisions or settings, or its images are not made yet, or the disk is full.
    """
    with work.making("labels") as making:
        usable = _usable_cases(work)
        if work.plan.is_file():
            plan, without_image = _made_of_plan(work, _plan_in_force(work))
        else:
            plan, without_image = _without_copies(work, usable)
        labels = build_labels(usable, plan)
        labels = replace(labels, skipped=pd.concat([labels.skipped, without_image], ignore_index=True))
        leave_out(work.skipped("labels"), labels.skipped, len(labels.table))
        write_labels(work.labels, labels)
        making.count = len(labels.table)
    return labels


def _without_copies(work: Workspace, usable: UsableCases) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The plan where none was made, and the rows that are without an image with the reason.

    The square images are used as they are, but where a person corrected one: then all are made anew, so that
    no network ever sees one as it came.
    """
    corrections = usable.cases.set_index("case_id")["corrections"]
    split, ties = _draw_split(work, usable)
    for notice in ties:
        print(notice)
    plan = plan_without_copies(split, corrections)
    if (corrections == "[]").all():
        return plan, skipped_table([])
    augment(plan, work.images, work.augmented)
    return _made_of_plan(work, plan)


def _plan_in_force(work: Workspace) -> pd.DataFrame:
    """The plan, if it stands as it was made, from these decisions and settings."""
    plan = load_plan(work)
    reasons = work.changes("plan")
    if work.is_edited("plan"):
        reasons.append("it was edited")
    if reasons:
        raise BoneAgeError(
            f"{work.plan}: out of date ({'; '.join(reasons)}); run the plan of notebook 02 or `python -m "
            "boneage plan` again, then augment"
        )
    return plan


def _made_of_plan(work: Workspace, plan: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The rows of the plan whose image was made, and the others with the reason."""
    if not work.augmented_record.is_file():
        raise BoneAgeError(
            f"{work.augmented}: the images of the plan are not made yet; run notebook 02 to its end or "
            "`python -m boneage augment` first"
        )
    recipe = ["image_id", *_CHOSEN]
    made = read_table(work.augmented_record, (*recipe, "status"))
    good = set(made.loc[made["status"] == "ok", recipe].itertuples(index=False, name=None))
    is_made = [row in good for row in plan[recipe].itertuples(index=False, name=None)]
    if not any(is_made):
        raise BoneAgeError(
            f"{work.augmented}: holds no image of the plan; see skipped-augment.csv there, then run "
            "`python -m boneage augment` again"
        )
    missing = plan.loc[[not one for one in is_made], "image_id"]
    reason = "label without an image: run `python -m boneage augment` again"
    return plan[is_made].reset_index(drop=True), skipped_table((image_id, reason) for image_id in missing)


def images_folder(work: Workspace, labels: Labels) -> Path:
    """Where the labelled images lie: the augmented set where there is a plan, else the square images.

    Labels that tell of operators belong to augmented images even when the plan is gone: the square images
    would show what a box blanked.
    """
    of_plan = work.plan.is_file() or (labels.table["Operators"] != "[]").any()
    return work.augmented if of_plan else work.images


def load_labels(work: Workspace) -> Labels:
    """The labels that :func:`make_labels` wrote.

    Raises:
        BoneAgeError: There are none yet, they are damaged, or cases or decisions have changed since.
    """
    path = work.labels
    if not path.is_file():
        raise BoneAgeError(f"{path}: not there yet; run notebook 03 or `python -m boneage labels` first")
    # A case that was rejected since, or a part that was blanked, must not reach a network.
    reasons = work.changes("labels")
    if reasons:
        raise BoneAgeError(
            f"{path}: out of date ({'; '.join(reasons)}); run notebooks 02 and 03, or `python -m boneage "
            "plan`, `augment` and `labels`, again"
        )
    return read_labels(path)


def _without_image(work: Workspace, cases: pd.DataFrame) -> dict[str, str]:
    if not work.preprocess.is_file():
        raise BoneAgeError(
            f"{work.preprocess}: not there yet; run notebook 01 or `python -m boneage preprocess` first"
        )
    came_in = read_table(work.preprocess, ("case_id", "status", "reason", "doubled_of"))
    came_in = came_in.drop_duplicates("case_id").set_index("case_id")
    reasons = {}
    for case_id in cases["case_id"]:
        if case_id not in came_in.index:
            reasons[case_id] = "label without an image: run preprocess again"
        elif came_in.at[case_id, "status"] != "ok":
            reasons[case_id] = f"label without an image: {came_in.at[case_id, 'reason']}"
        elif came_in.at[case_id, "doubled_of"]:
            reasons[case_id] = f"the same file as case {came_in.at[case_id, 'doubled_of']}"
    return reasons


def make_pack(work: Workspace, labels: Labels | None = None, images: Path | None = None) -> Pack:
    """Packs the labelled images at the training size; an up-to-date pack is kept.

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
    _check_made(labels, folder, work)
    ids = labels.table["Case ID"].tolist()
    files, missing = find_images(ids, folder)
    more = {"labels": table_digest(labels.table), "images": files_digest(files)}
    if not work.is_current("pack", **more):
        with work.making("pack", **more) as making:
            build_pack(ids, folder, work.settings.train_size, work.pack())
            pack = open_pack(work.pack())
            making.count = len(pack.images)
            making.more["set"] = labels.set
            making.more["fingerprint"] = fingerprint(pack, rows_of(pack, labels.table)[0])
    pack = open_pack(work.pack())
    skipped = pd.concat([labels.skipped, missing, pack.skipped], ignore_index=True)
    leave_out(work.skipped("pack"), skipped, len(pack.images))
    refuse_nothing(work.skipped("pack"), skipped, len(pack.images), "packed images")
    return pack


def _check_made(labels: Labels, folder: Path, work: Workspace) -> None:
    """Images as they came must not reach a network where a person put them right or blanked a part."""
    changed = labels.table.loc[labels.table["Operators"] != "[]", "Case ID"]
    if len(changed) and Path(folder).resolve() == work.images.resolve():
        raise BoneAgeError(
            f"{folder}: holds the images as they came, and {len(changed)} labels tell of corrections or "
            f"copies (the first: {changed.iloc[0]}); name {work.augmented}, or no folder"
        )


def train_network(
    work: Workspace,
    network: str,
    epochs: int,
    labels: Labels | None = None,
    pack: Pack | None = None,
    variant: str = "",
) -> evaluation.Run:
    """Trains a network, or takes its run up where it stopped, and reads the finished run back.

    Raises:
        BoneAgeError: See :func:`boneage.training.train`.
    """
    training = _training(work)
    labels = labels or load_labels(work)
    pack = pack or make_pack(work, labels)
    record = training.train(network, epochs, labels, pack, work.settings, work.runs, variant)
    return evaluation.read_run(work.runs / str(evaluation.key_of(record)))


def _training(work: Workspace) -> ModuleType:
    """The module that needs Keras, imported late: the other stages do not wait for it."""
    backend = runtime.choose_backend(work.settings.backend)
    try:
        training = importlib.import_module("boneage.training")
    except Exception as error:
        raise BoneAgeError(
            f"backend {backend}: installed, but it cannot be imported ({runtime.reason_of(error)}); "
            "install it anew or choose the other backend"
        ) from None
    training.join_hosts(work.settings.train_seed)
    return training


def compare(
    work: Workspace,
    outside: Path | None = None,
    examined: int | None = None,
    recorded: Path | None = None,
) -> report.Comparison:
    """Compares the finished runs and writes the report.

    Args:
        work: The work folder.
        outside: The work folder of another source, for a test on its images; needs its labels and pack.
        examined: How many networks to :func:`examine`, if any; what was found earlier is shown all the same.
        recorded: Where runs were recorded earlier (:func:`record`), to be compared with these.

    Raises:
        BoneAgeError: No labels, the outside folder holds none or is of the same source, or the disk is full.
    """
    labels = load_labels(work)
    if len(labels.skipped):
        of = len(labels.skipped) + len(labels.table)
        print(f"left out of {work.labels.name}: {in_words(labels.skipped, of)}")
    folders = [work.runs] if recorded is None else [work.runs, recorded / RUNS_NAME]
    runs = report.match_runs(*evaluation.read_runs(*folders), labels)
    outside_test = None
    if outside is not None:
        outside_test, untested = _test_outside(work, runs, Workspace.at(outside))
        runs = replace(runs, left_out=pd.concat([runs.left_out, untested], ignore_index=True))
    comparison = report.compare_runs(runs, work.settings.epochs, outside_test)
    if examined is not None:
        return examine(work, comparison, examined)
    comparison = _with_examinations(comparison, work)
    _write_report(comparison, work)
    return comparison


def record(comparison: report.Comparison, folder: Path) -> None:
    """Puts the runs, without their weights, and the tables that README shows into a folder to be kept.

    Args:
        comparison: From :func:`compare`.
        folder: The folder.

    Raises:
        BoneAgeError: The folder is read-only, or the disk is full.
    """
    for run in comparison.runs.all:
        evaluation.record_run(run, folder / RUNS_NAME)
    for name in RECORDED_TABLES:
        table = getattr(comparison.tables, name)
        # Where nothing was tested on another source this time, what was found earlier stands.
        if len(table):
            write_table(folder / f"{name}.csv", table)
    path = folder / "robustness.csv"
    robustness = report.robustness_of_runs(comparison.runs.tabled, comparison.examinations, path)
    if len(robustness) or path.is_file():
        write_table(path, robustness)


def examine(
    work: Workspace, comparison: report.Comparison, count: int = report.EXAMINED
) -> report.Comparison:
    """Examines the best networks on the images of the test cases, and writes the report anew.

    How far changed images move the predictions, where the network looks, and on drawn hands, if it was
    trained on such, how much of that lies on growth centres. What was found is kept in ``comparison/``, so
    that it is found once, and an examination that was stopped goes on.

    Args:
        work: The work folder.
        comparison: From :func:`compare`.
        count: How many networks: those with the lowest validation MAE, each with its best number of epochs;
            the next best in place of one that cannot be examined.

    Returns:
        The comparison with its ``examinations``; networks that could not be examined stand in ``left_out``.

    Raises:
        BoneAgeError: The count is below one, or the disk is full.
    """
    if count < 1:
        raise BoneAgeError(f"examine {count}: the number of networks must be at least 1")
    _training(work)
    # It needs Keras, as the training does.
    from boneage.report.examine import examine_run

    folder, reasons = report.tables_folder(work.report), []
    runs = report.best_networks(comparison.runs.tabled, comparison.runs.joined, len(comparison.runs.tabled))
    if comparison.runs.tabled and not runs:
        reasons.append(("examination", "no run has validation cases, by which the best is chosen"))
    examined, count = 0, min(count, len(runs))
    # No bar over a single network: it has one of its own.
    with tqdm(desc="examination", total=count, unit="network", disable=count == 1) as bar:
        for run in runs:
            if examined == count:
                break
            name, files = run.name, report.ExaminedFiles(run, folder)
            try:
                pack = work.pack(run.record["size"])
                examine_run(files, pack, comparison.runs.labels, comparison.runs.joined[name])
            except BoneAgeError as error:
                reasons.append((f"{name}, examination", str(error)))
                continue
            examined += 1
            bar.update()
    comparison = _with_examinations(comparison, work, reasons)
    _write_report(comparison, work)
    return comparison


def _write_report(comparison: report.Comparison, work: Workspace) -> None:
    with work.making("compare") as making:
        report.write_report(comparison, work.report)
        making.count = len(comparison.runs.all)


def _with_examinations(
    comparison: report.Comparison, work: Workspace, reasons: Sequence[tuple[str, str]] = ()
) -> report.Comparison:
    kept = report.kept_examinations(comparison.runs.tabled, report.tables_folder(work.report))
    left_out = pd.concat([comparison.tables.left_out, skipped_table(reasons)], ignore_index=True)
    tables = replace(comparison.tables, left_out=left_out)
    return replace(comparison, examinations=tuple(kept), tables=tables)


def one_case(work: Workspace, comparison: report.Comparison, wanted: str = "") -> OneCase:
    """What is known of one case, from its image to every network's prediction.

    Args:
        work: The work folder.
        comparison: From :func:`compare`.
        wanted: The id; empty for the test case that the networks are farthest off with.

    Raises:
        BoneAgeError: There is no such case or no image of it, or nothing is compared yet and none is named.
    """
    cases = load_cases(work)[0].set_index("case_id", drop=False)
    case_id = find_case(wanted or _hardest(comparison), list(cases.index))
    labels = comparison.runs.labels.table
    of_case = labels[labels["Source ID"] == case_id]
    images = list(of_case[["Case ID", "Operators"]].itertuples(index=False, name=None))
    folder = images_folder(work, comparison.runs.labels) if images else work.images
    found = pd.DataFrame(columns=list(detectors.ANOMALY_TABLE))
    if work.anomalies.is_file():
        found = _read_anomalies(work.anomalies)
    decisions = [of_one[case_id] for of_one in open_review(work).standing().values() if case_id in of_one]
    words = words_of_case(
        cases.loc[case_id],
        of_case["Split"].iloc[0] if len(of_case) else "",
        found[(found["case_id"] == case_id) & (found["score"] >= LIKELY)],
        decisions,
    )
    return OneCase(
        words, copies_sheet(images or [(case_id, "[]")], folder), report.case_view(comparison, case_id)
    )


def _hardest(comparison: report.Comparison) -> str:
    if not comparison.runs.joined:
        raise BoneAgeError("no network has predicted a case yet; name a case, or train a network first")
    every = pd.concat(comparison.runs.joined.values())
    judged = every[every["Split"] == "test"] if (every["Split"] == "test").any() else every
    return str(judged["Error"].abs().groupby(judged["Source ID"]).mean().idxmax())


def _test_outside(
    work: Workspace, runs: report.ComparedRuns, other: Workspace
) -> tuple[report.Outside, pd.DataFrame]:
    """Predictions for another source's images, kept ones first; also what could not be predicted, and why.

    They are of the tabled runs, and of those beside them that are no variant.
    """
    others = read_labels(other.labels)
    if others.source == runs.labels.source:
        raise BoneAgeError(
            f"{other.labels}: also of the source {others.source}, so it is no test from outside; name the "
            "work folder of another source"
        )
    joined, reasons = {}, []
    for run in (run for run in (*runs.tabled, *runs.beside) if not run.key.variant):
        try:
            pack = open_pack(other.pack(run.record["size"]))
            images = fingerprint(pack, rows_of(pack, others.table)[0])
            predictions = evaluation.kept_outside(run, images)
            if predictions is None:
                predictions = _training(work).predict_pack(run.folder, pack, others)
                evaluation.keep_outside(run, predictions, images)
            joined[run.name] = evaluation.join_truth(others.table, predictions)
        except BoneAgeError as error:
            reasons.append((f"{run.name} on {others.source}", str(error)))
    return report.Outside(others.source, others.kind, joined), skipped_table(reasons)
