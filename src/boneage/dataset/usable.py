"""The cases of a work folder that can be used, as its tables and its review log tell."""

from dataclasses import dataclass, replace

import pandas as pd

from boneage.core.errors import BoneAgeError
from boneage.core.tables import read_cases, read_table
from boneage.dataset.labels import REJECTED, UsableCases, usable_cases
from boneage.dataset.same_picture import same_pictures, ties_in_words
from boneage.dataset.split import draw_split
from boneage.review.applying import apply_log
from boneage.review.log import ReviewLog
from boneage.workspace import Workspace

CHOSEN = {"corrections": "[]", "augmentations": ""}
"""What is chosen for an image in review, and what stands where nobody chose."""


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


def open_review(work: Workspace) -> ReviewLog:
    """The work folder's review log, in the name of the settings' reviewer.

    Raises:
        BoneAgeError: See :class:`boneage.review.log.ReviewLog`.
    """
    return ReviewLog(work.review, work.settings.reviewer)


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


def reviewed_cases(work: Workspace) -> Reviewed:
    log = open_review(work)
    reviewed = Reviewed(*apply_log(reviewable_cases(work), log))
    if reviewed.accepted.empty:
        raise BoneAgeError(f"{log.path}: every case is rejected; undo some decisions in the board")
    return reviewed


def usable_of(work: Workspace) -> UsableCases:
    """The accepted cases that have an image and a label, and why the others have not."""
    cases, faults = load_cases(work)
    left_out = _without_image(work, cases)
    reviewed = reviewed_cases(work)
    left_out |= {str(row.case_id): f"{REJECTED}: {row.reason}" for row in reviewed.rejected.itertuples()}
    chosen = reviewed.accepted.set_index("case_id")[list(CHOSEN)]
    cases = cases.join(chosen, on="case_id").fillna(CHOSEN)
    usable = usable_cases(cases, work.settings.label, left_out)
    return replace(usable, skipped=pd.concat([faults, usable.skipped], ignore_index=True))


def split_of(work: Workspace, usable: UsableCases) -> tuple[pd.Series, list[str]]:
    """The split, in which one picture is never in two parts, and what a person should know of that."""
    groups = same_pictures(usable.strata.index.tolist(), work.large)
    shares = work.settings.validation_share, work.settings.test_share
    return draw_split(usable.strata, *shares, work.settings.split_seed, groups), ties_in_words(groups)
