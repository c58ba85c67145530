"""What stands in for a person: a log that was recorded earlier, or the detectors; and the wait for one."""

import os
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from boneage.anomalies import LIKELY, REJECTABLE
from boneage.core.errors import BoneAgeError
from boneage.review.applying import summary
from boneage.review.decisions import with_ids_of
from boneage.review.log import ReviewLog

DETECTORS = "detectors"
"""Whose decisions a log shows where a detector's anomaly was taken for one."""


def fill_review(log: ReviewLog, recorded: Path | None) -> str:
    """Decides what nobody has decided yet by a log that was recorded earlier, where there is one.

    Returns:
        What was done, in words.

    Raises:
        BoneAgeError: The recorded log is missing or no review log, or the disk is full.
    """
    if recorded is None:
        return "No recorded log: undecided cases stay in."
    if not os.path.isfile(recorded):
        raise BoneAgeError(f"{recorded}: no such review log; check the path")
    earlier = ReviewLog(recorded, read_only=True)
    count = log.fill_from(earlier)
    said = f"{count} decisions from {recorded.name} are taken over, for cases that were undecided."
    return "\n".join([said, *earlier.notices])


def wait_for_review(log: ReviewLog, cases: Sequence[str], reviewed: bool) -> str:
    """Lets the stages after the review go on once it is done, or once a person says that it is.

    Args:
        log: The log.
        cases: The ids of the cases to be reviewed.
        reviewed: Whether a person has said that nothing more will be decided; what is undecided stays in.

    Returns:
        How many cases are decided, in words.

    Raises:
        BoneAgeError: Cases are undecided and nobody has said to go on.
    """
    undecided = summary(log, cases).undecided
    if undecided and not reviewed:
        raise BoneAgeError(
            f"{undecided:,} of {len(cases):,} cases are undecided: decide on the board, then tick REVIEWED "
            "in the settings cell and choose Run all again (what is undecided stays in)"
        )
    return f"{len(cases) - undecided:,} of {len(cases):,} cases are decided; the others stay in."


def reject_likely(log: ReviewLog, anomalies: pd.DataFrame) -> str:
    """Rejects images with a likely anomaly, where no person is at hand and nobody has decided yet.

    A person who looks decides better: about one in three of the images rejected so is sound, and half of the
    spoilt ones stay. A log in the detectors' own name tells their decisions from a person's; each can be
    undone.

    Args:
        log: The log, in the name of :data:`DETECTORS`.
        anomalies: ``anomalies.ANOMALY_TABLE``, the most urgent first.

    Returns:
        What was done, in words.

    Raises:
        BoneAgeError: The log cannot be written.
    """
    touched = {row.case_id for row in with_ids_of(anomalies["case_id"], log.rows)}
    likely = anomalies[anomalies["kind"].isin(list(REJECTABLE)) & (anomalies["score"] >= LIKELY)]
    first = likely.drop_duplicates("case_id")
    rejected = first[~first["case_id"].isin(touched)]
    for one in rejected.itertuples():
        note = f"{one.kind}, score {one.score:.2f}: {one.why}"
        log.append(one.case_id, "reject", REJECTABLE[one.kind], note=note)
    return f"{len(rejected)} images that were undecided are rejected in the name of {DETECTORS}."
