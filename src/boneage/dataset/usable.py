"""The usable cases of a work folder, by its tables and its review log."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from boneage.core.errors import BoneAgeError
from boneage.core.left_out import in_words
from boneage.core.tables import OLDEST_YEARS, RACES, SEXES, is_safe_id, read_cases, read_table, skipped_table
from boneage.dataset.same_picture import same_pictures, ties_in_words
from boneage.dataset.split import draw_split
from boneage.review.applying import Reviewed, apply_log
from boneage.review.log import ReviewLog
from boneage.workspace import Workspace

CHOSEN = {"corrections": "[]", "augmentations": ""}
"""What a reviewer chooses for an image, and the values if nobody chose."""

REJECTED = "rejected in review"
"""How the reason begins if a person, not a fault, left a case out."""


def load_cases(work: Workspace) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The case table, perhaps corrected by hand, and ``SKIPPED_TABLE`` with its unusable rows.

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
            f"{path}: no usable case{why}; correct it, or make it again with `python -m boneage cases`"
        )
    return cases, faults


def cases_to_make(work: Workspace) -> tuple[pd.DataFrame, pd.DataFrame]:
    """As :func:`load_cases`, but refuses a table with damaged rows of cases that have an image already.

    Raises:
        BoneAgeError: Such an image would be lost, or as :func:`load_cases`.
    """
    cases, faults = load_cases(work)
    damaged = faults[~faults["item"].isin(cases["case_id"])]
    at_stake = [one for one in damaged["item"] if is_safe_id(one) and (work.images / f"{one}.png").is_file()]
    if at_stake:
        raise BoneAgeError(
            f"{work.cases}: {len(damaged)} rows cannot be used (the first, {damaged['item'].iloc[0]}: "
            f"{damaged['reason'].iloc[0]}), and {len(at_stake)} images made of them would be lost; "
            "correct it, or make it again with `python -m boneage cases`"
        )
    return cases, faults


def reviewable_cases(work: Workspace) -> pd.DataFrame:
    """The cases to review: those with an image of their own.

    Raises:
        BoneAgeError: No case table or no images yet, or none to review.
    """
    cases, _ = load_cases(work)
    cases = cases[~cases["case_id"].isin(list(image_faults(work, cases)))].reset_index(drop=True)
    if cases.empty:
        raise BoneAgeError(f"{work.images}: no image to review; see {work.skipped('preprocess').name}")
    return cases


def image_faults(work: Workspace, cases: pd.DataFrame) -> dict[str, str]:
    """Why cases have no image of their own, by id.

    Raises:
        BoneAgeError: No images yet.
    """
    if not work.preprocess.is_file():
        raise BoneAgeError(
            f"{work.preprocess}: not there yet; run notebook 01 or `python -m boneage preprocess` first"
        )
    came_in = read_table(work.preprocess, ("case_id", "status", "reason", "doubled_of"))
    came_in = came_in.drop_duplicates("case_id").set_index("case_id")
    standing = _standing(work, cases, came_in)
    reasons = {}
    for case_id in cases["case_id"]:
        if case_id not in came_in.index:
            reasons[case_id] = "label without an image: run preprocess again"
        elif came_in.at[case_id, "status"] != "ok":
            reasons[case_id] = f"label without an image: {came_in.at[case_id, 'reason']}"
        elif standing[case_id] != case_id:
            reasons[case_id] = f"the same file as case {standing[case_id]}"
    return reasons


def _standing(work: Workspace, cases: pd.DataFrame, came_in: pd.DataFrame) -> dict[str, str]:
    """The case that stands for each one's file: the first with a label and a sex, else the first."""
    years, _ = label_years(cases, work.settings.label)
    complete = cases["sex"].isin(SEXES).to_numpy() & years.notna().to_numpy()
    ids = cases["case_id"].iloc[np.argsort(~complete, kind="stable")]
    ids = ids[ids.isin(came_in.index[came_in["status"] == "ok"])]
    first = came_in["doubled_of"].where(came_in["doubled_of"] != "", came_in.index.to_series())
    return dict(zip(ids, ids.groupby(first[ids].to_numpy()).transform("first"), strict=True))


def open_review(work: Workspace) -> ReviewLog:
    """The work folder's review log, written in the name of the settings' reviewer.

    Raises:
        BoneAgeError: See :class:`boneage.review.log.ReviewLog`.
    """
    return ReviewLog(work.review, work.settings.reviewer)


def label_years(cases: pd.DataFrame, label: str) -> tuple[pd.Series, str]:
    """The label of each case in years by case id (NaN if unknown), and its kind in words.

    Args:
        label: ``"reading"``: the mean of the radiologists' readings, or without any the atlas folder's year
            of age; ``"age_group"``: always the folder's year. On the Digital Hand Atlas the two differ by 0.8
            year on average, so results always name the kind.
    """
    ages = cases.set_index("case_id")[["bone_age", "age_group"]].astype(float)
    if label == "age_group":
        return ages["age_group"], "the atlas folder's year of age"
    years = ages["bone_age"].fillna(ages["age_group"])
    if (cases["source"] == "phantom").all():
        return years, "simulated readings of drawn hands"
    read, folder = int(ages["bone_age"].notna().sum()), int((years.notna() & ages["bone_age"].isna()).sum())
    if not folder:
        return years, "the radiologists' reading"
    if not read:
        return years, "the atlas folder's year of age"
    return years, f"the radiologists' reading ({read} cases) or the folder's year of age ({folder})"


@dataclass(frozen=True)
class UsableCases:
    """The cases that can be labelled.

    Attributes:
        cases: Their rows of the case table.
        years: The label in years by case id.
        kind: Which age the label is, in words.
        skipped: ``SKIPPED_TABLE`` of the others.
        notices: What the review log says besides, in words.
    """

    cases: pd.DataFrame
    years: pd.Series
    kind: str
    skipped: pd.DataFrame
    notices: Sequence[str] = ()

    @property
    def strata(self) -> pd.DataFrame:
        """Year of age, sex and race by case id: what the split and the plan are balanced over."""
        cases = self.cases.set_index("case_id")
        return pd.DataFrame(
            {"year": np.floor(self.years[cases.index]), "sex": cases["sex"], "race": cases["race"]}
        )


def usable_cases(cases: pd.DataFrame, label: str, left_out: Mapping[str, str] | None = None) -> UsableCases:
    """The cases of a case table that have a label, a sex and a known race; further columns are kept.

    Args:
        label: See :func:`label_years`.
        left_out: Reasons, by case id, for cases without a usable image or rejected.

    Raises:
        BoneAgeError: No case has both an image and a label.
    """
    years, kind = label_years(cases, label)
    reasons = dict(left_out or {})
    for case_id, sex, race in zip(cases["case_id"], cases["sex"], cases["race"], strict=True):
        if case_id in reasons:
            continue
        if np.isnan(years[case_id]):
            reasons[case_id] = "image without a label: neither a reading nor a year of age is known"
        elif not 0 <= years[case_id] <= OLDEST_YEARS:
            reasons[case_id] = f"age {years[case_id]:g} years is outside 0 to {OLDEST_YEARS:g}"
        elif sex not in SEXES:
            reasons[case_id] = "sex is unknown, and the label CSV needs TRUE or FALSE"
        elif race not in RACES:
            reasons[case_id] = f"race {race!r} must be one of {', '.join(RACES)}"
    skipped = skipped_table(reasons.items())
    usable = cases[~cases["case_id"].isin(skipped["item"])].reset_index(drop=True)
    if usable.empty:
        why = f" (left out {in_words(skipped, len(cases))})" if len(skipped) else ""
        raise BoneAgeError(
            f"labels: no case has both an image and a label{why}; correct cases.csv or choose another --label"
        )
    return UsableCases(usable, years[usable["case_id"]], kind, skipped)


def reviewed_cases(work: Workspace) -> Reviewed:
    log = open_review(work)
    reviewed = apply_log(reviewable_cases(work), log)
    if reviewed.accepted.empty:
        raise BoneAgeError(f"{log.path}: every case is rejected; undo some decisions in the board")
    return reviewed


def usable_of(work: Workspace) -> UsableCases:
    """The accepted cases that have an image and a label, and why the others are left out."""
    cases, faults = load_cases(work)
    left_out = image_faults(work, cases)
    reviewed = reviewed_cases(work)
    left_out |= {str(row.case_id): f"{REJECTED}: {row.reason}" for row in reviewed.rejected.itertuples()}
    chosen = reviewed.accepted.set_index("case_id")[list(CHOSEN)]
    cases = cases.join(chosen, on="case_id").fillna(CHOSEN)
    usable = usable_cases(cases, work.settings.label, left_out)
    skipped = pd.concat([faults, usable.skipped], ignore_index=True)
    return replace(usable, skipped=skipped, notices=reviewed.notices)


def split_of(work: Workspace, usable: UsableCases) -> tuple[pd.Series, list[str]]:
    """The split, which never parts cases with the same picture, and a notice if there are such cases."""
    groups = same_pictures(usable.strata.index.tolist(), work.large)
    shares = work.settings.validation_share, work.settings.test_share
    return draw_split(usable.strata, *shares, work.settings.split_seed, groups), ties_in_words(groups)
