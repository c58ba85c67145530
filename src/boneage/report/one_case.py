"""One case from first to last: image, anomalies, decisions, copies, and every prediction."""

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from boneage.anomalies import ANOMALY_TABLE, LIKELY, read_anomalies
from boneage.core.columns import View
from boneage.core.errors import BoneAgeError
from boneage.core.pictures import Picture
from boneage.dataset.in_force import images_folder
from boneage.dataset.usable import load_cases, open_review
from boneage.images.sheets import copies_sheet
from boneage.report.comparison import Comparison
from boneage.report.results import case_view
from boneage.review.decisions import Decision
from boneage.workspace import Workspace


@dataclass(frozen=True)
class OneCase:
    """What is known about a case.

    Attributes:
        words: Markdown: the child, anomalies, decisions.
        images: The image itself, then its augmented copies.
        predictions: Every network's prediction, the nearest first; empty for a case without a label.
    """

    words: str
    images: Picture
    predictions: View


def find_case(wanted: str, case_ids: Sequence[str]) -> str:
    """The case with that id, ignoring upper and lower case.

    Raises:
        BoneAgeError: There is no such case; similar ids are named.
    """
    by_letters = {case_id.casefold(): case_id for case_id in case_ids}
    wanted = wanted.strip().casefold()
    if wanted in by_letters:
        return by_letters[wanted]
    alike = [by_letters[one] for one in difflib.get_close_matches(wanted, by_letters, cutoff=0.5)]
    advice = f"did you mean {' or '.join(alike)}?" if alike else f"ids look like {case_ids[0]}"
    raise BoneAgeError(f"case {wanted!r}: not found; {advice}")


def words_of_case(
    case: Mapping[str, object], split: str, anomalies: pd.DataFrame, decisions: Iterable[Decision]
) -> str:
    """A case in words, as Markdown.

    Args:
        case: A row of the case table.
        split: Of its label; empty without one.
        anomalies: ``kind``, ``score`` and ``why`` of its anomalies.
        decisions: The decisions in force.
    """
    who = {"F": "girl", "M": "boy"}.get(case["sex"], "sex unknown")
    ages = [
        words.format(case[column])
        for column, words in (
            ("bone_age", "bone age {:.2f} years as read"),
            ("age_group", "age {} by its folder"),
        )
        if not pd.isna(case[column])
    ]
    found = [f"{row.kind} {row.score:.2f} ({row.why})" for row in anomalies.itertuples()]
    decided = [
        " ".join(filter(None, (one.decision, one.reason, one.reviewer and f"by {one.reviewer}")))
        for one in decisions
    ]
    facts = [who, case["race"], *(ages or ["no age"]), split or "not in the set"]
    lines = [
        f"**{case['case_id']}**: {', '.join(facts)}.",
        f"Anomalies: {'; '.join(found) or 'none likely'}.",
        f"Decision: {'; '.join(decided) or 'none, so it stays in'}.",
    ]
    return "\n\n".join(lines)


def one_case(work: Workspace, comparison: Comparison, wanted: str = "") -> OneCase:
    """Everything known about one case, from its image to every network's prediction.

    Args:
        work: The work folder.
        comparison: From :func:`compare`.
        wanted: The id; empty for the test case with the largest errors.

    Raises:
        BoneAgeError: There is no such case or image, or no prediction and no case is named.
    """
    cases = load_cases(work)[0].set_index("case_id", drop=False)
    case_id = find_case(wanted or _hardest(comparison), list(cases.index))
    labels = comparison.runs.labels.table
    of_case = labels[labels["Source ID"] == case_id]
    images = list(of_case[["Case ID", "Operators"]].itertuples(index=False, name=None))
    folder = images_folder(work, comparison.runs.labels) if images else work.images
    found = pd.DataFrame(columns=list(ANOMALY_TABLE))
    if work.anomalies.is_file():
        found = read_anomalies(work.anomalies)
    standing = open_review(work).standing(cases.index)
    decisions = [of_one[case_id] for of_one in standing.values() if case_id in of_one]
    words = words_of_case(
        cases.loc[case_id],
        of_case["Split"].iloc[0] if len(of_case) else "",
        found[(found["case_id"] == case_id) & (found["score"] >= LIKELY)],
        decisions,
    )
    return OneCase(words, copies_sheet(images or [(case_id, "[]")], folder), case_view(comparison, case_id))


def _hardest(comparison: Comparison) -> str:
    if not comparison.runs.joined:
        raise BoneAgeError("no network has predicted a case yet; name a case, or train a network first")
    every = pd.concat(comparison.runs.joined.values())
    judged = every[every["Split"] == "test"] if (every["Split"] == "test").any() else every
    return str(judged["Error"].abs().groupby(judged["Source ID"]).mean().idxmax())
