"""Applies a review log to a case table, and counts how far the review has got."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import pandas as pd

from boneage.images.operators import format_corrections, parse_corrections
from boneage.review.decisions import REASONS, Decision
from boneage.review.log import ReviewLog


@dataclass(frozen=True)
class Summary:
    """Progress of a review: counts of cases, and the cases on which reviewers disagree."""

    cases: int
    accepted: int
    rejected: dict[str, int]
    undecided: int
    disagreements: tuple[str, ...]


def summary(log: ReviewLog, cases: Sequence[str]) -> Summary:
    """Counts the decisions on the given case ids; where reviewers disagree, the last decision counts."""
    final, standing = log.final(cases), log.standing(cases)
    ours = [final[case_id] for case_id in cases if case_id in final]
    rejected = [row.reason for row in ours if row.decision == "reject"]
    verdicts = {
        case_id: {state[case_id].decision for state in standing.values() if case_id in state}
        for case_id in cases
    }
    return Summary(
        cases=len(cases),
        accepted=len(ours) - len(rejected),
        rejected={reason: rejected.count(reason) for reason in REASONS if reason in rejected},
        undecided=len(cases) - len(ours),
        disagreements=tuple(case_id for case_id, found in verdicts.items() if len(found) > 1),
    )


class Reviewed(NamedTuple):
    """A case table after its review.

    Attributes:
        accepted: The accepted cases, with the columns ``corrections`` (JSON, an empty list for none) and
            ``augmentations`` (JSON, empty if nobody chose any).
        rejected: ``case_id, reason, note, reviewer``.
        notices: In words: who disagrees, what is undecided, what was repaired.
    """

    accepted: pd.DataFrame
    rejected: pd.DataFrame
    notices: list[str]


def apply_log(cases: pd.DataFrame, log: ReviewLog) -> Reviewed:
    """Removes the rejected cases from a case table; unreviewed cases stay in, with a notice.

    Boxes to blank hide what nobody should see, so the boxes of all reviewers apply, not only the last one's.
    """
    ids = cases["case_id"].tolist()
    final, standing = log.final(ids), log.standing(ids)
    counts = summary(log, ids)
    notices = [
        *log.notices,
        *notices_of_gone(final, ids),
        *(f"case {one}: reviewers disagree; the last decision counts" for one in counts.disagreements),
    ]
    if counts.undecided:
        notices.append(f"{counts.undecided} cases are not reviewed yet and stay in")
    rejected = [final[one] for one in ids if one in final and final[one].decision == "reject"]
    table = pd.DataFrame(
        [(row.case_id, row.reason, row.note, row.reviewer) for row in rejected],
        columns=["case_id", "reason", "note", "reviewer"],
    )
    accepted = cases[~cases["case_id"].isin(table["case_id"])].reset_index(drop=True)
    ours = [final.get(case_id) for case_id in accepted["case_id"]]
    chosen = [(_with_boxes(row, standing), row.augmentations) if row else ("[]", "") for row in ours]
    columns = ["corrections", "augmentations"]
    accepted[columns] = pd.DataFrame(chosen, columns=columns, dtype=str)
    return Reviewed(accepted, table, notices)


def notices_of_gone(reviewed: Collection[str], cases: Collection[str]) -> list[str]:
    """How many reviewed cases are not in the case table, as one notice; none if all are."""
    gone = len(set(reviewed).difference(cases))
    return [f"reviewed, but not in the case table: {gone}; their rows stay in the log"] if gone else []


def standing_choices(log: ReviewLog) -> list[tuple[str, ...]]:
    """The outcome of a log, whatever the order of its rows.

    Returns:
        Sorted: the ids of rejected cases; the id, corrections and augmentations of kept cases that have any.
    """
    standing = log.standing()
    said: list[tuple[str, ...]] = []
    for case_id, row in log.final().items():
        chosen = _with_boxes(row, standing), row.augmentations
        if row.decision == "reject":
            said.append((case_id,))
        elif chosen != ("[]", ""):
            said.append((case_id, *chosen))
    return sorted(said)


def _with_boxes(final: Decision, standing: Mapping[str, Mapping[str, Decision]]) -> str:
    chosen = parse_corrections(final.corrections)
    for state in standing.values():
        if final.case_id in state:
            others = parse_corrections(state[final.case_id].corrections)
            chosen += [one for one in others if one["name"] == "blank" and one not in chosen]
    return format_corrections(chosen)
