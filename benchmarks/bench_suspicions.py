"""Suspicions on real radiographs: how each kind stands against findings made by eye, and how quick they are.

Needs a folder with `rsna/`, `dha/` and `findings.csv` (dataset, id, finding, confident). For every finding
it prints the ROC area of the kind that is meant to find it, over all photos and over two random halves, and
the share of the confident findings in the first tenth and fifth of the queue. A finding noted as not
confident counts neither for nor against its kind.
"""

import argparse
import os
import time
from pathlib import Path

import numpy as np
import pandas as pd

from boneage.anomalies import find_suspicions, review_queue
from boneage.atlas import read_atlas
from boneage.preprocess import PHOTO_FOLDER, preprocess
from boneage.rsna import read_rsna

SIZE = 928
KIND_OF = {
    "text_overlay": "burnt-in text",
    "bracelet": "bracelet",
    "cast": "bracelet",
    "splint": "bracelet",
    "metal_other": "metal",
    "not_left_pa": "right hand",
    "abnormal_skeleton": "unusual hand",
    "rotated": "rotated",
    "cropped": "cropped",
    "border_frame": "frame",
    "tilted_scan": "tilted scan",
    "very_dark": "dark",
    "very_low_contrast": "low contrast",
}
"""Which kind of suspicion is meant to find a finding."""

MUST_BE_REJECTED = ("bracelet", "cast", "splint", "metal_other", "not_left_pa", "abnormal_skeleton")
LEAST_IN_FIRST_FIFTH = 2 / 3
LEAST_PHOTOS_PER_SECOND = 20.0
_HALVES_SEED = 7


def real_cases(data: Path) -> pd.DataFrame:
    """Both sets as one case table, its ids ``rsna-123`` and ``dha-4567``."""
    tables = {"rsna": read_rsna(data / "rsna")[0], "dha": read_atlas(data / "dha")[0]}
    return pd.concat(
        [table.assign(case_id=f"{name}-" + table["case_id"]) for name, table in tables.items()],
        ignore_index=True,
    )


def read_findings(data: Path) -> pd.DataFrame:
    """Findings by eye: ``case_id, finding, confident`` (bool)."""
    table = pd.read_csv(data / "findings.csv", dtype=str)
    return pd.DataFrame(
        {
            "case_id": table["dataset"] + "-" + table["id"],
            "finding": table["finding"],
            "confident": table["confident"] == "yes",
        }
    )


def roc_area(positive: np.ndarray, scores: np.ndarray) -> float:
    """The chance that a positive has a higher score than a negative; ties count half."""
    ranks = pd.Series(scores).rank().to_numpy()
    count = int(positive.sum())
    return float((ranks[positive].sum() - count * (count + 1) / 2) / (count * (~positive).sum()))


def standing(suspicions: pd.DataFrame, findings: pd.DataFrame, queue: list[str]) -> pd.DataFrame:
    """One row a finding: ROC area (all, and two random halves) and shares in the first tenth and fifth."""
    place = {case_id: at / len(queue) for at, case_id in enumerate(queue)}
    half = np.random.default_rng(_HALVES_SEED).random(len(queue)) < 0.5
    rows = []
    for finding, kind in KIND_OF.items():
        these = findings[findings["finding"] == finding]
        sure, unsure = (set(these.loc[these["confident"] == one, "case_id"]) for one in (True, False))
        best = suspicions[suspicions["kind"] == kind].groupby("case_id")["score"].max().to_dict()
        ids = sorted(place)
        positive = np.array([case_id in sure for case_id in ids])
        counted = np.array([case_id in sure or case_id not in unsure for case_id in ids])
        scores = np.array([best.get(case_id, 0.0) for case_id in ids])
        areas = [
            roc_area(positive[part], scores[part]) if positive[part].any() else np.nan
            for part in (counted, counted & half, counted & ~half)
        ]
        places = np.array([place[case_id] for case_id in sure if case_id in place])
        shares = [(places < share).mean() for share in (0.1, 0.2)]
        rows.append((finding, kind, len(places), *areas, *shares))
    return pd.DataFrame(
        rows, columns=["finding", "kind", "photos", "area", "area_a", "area_b", "first_10", "first_20"]
    )


def share_in_first_fifth(findings: pd.DataFrame, queue: list[str]) -> float:
    """Of the confident findings that must be rejected, the share in the first fifth of the queue."""
    sure = findings[findings["confident"] & findings["finding"].isin(MUST_BE_REJECTED)]
    first = set(queue[: len(queue) // 5])
    known = sure[sure["case_id"].isin(set(queue))]
    return float(known["case_id"].isin(first).mean())


def look(data: Path, work: Path) -> tuple[pd.DataFrame, list[str], float]:
    """Preprocesses the real photos (what is there already is kept) and looks at them.

    Returns:
        The suspicions, the queue, and photos a second.
    """
    cases = real_cases(data)
    report = preprocess(cases, work, SIZE)
    cases = cases[cases["case_id"].isin(report.loc[report["status"] == "ok", "case_id"])]
    start = time.perf_counter()
    suspicions, skipped = find_suspicions(cases, work / PHOTO_FOLDER)
    seconds = time.perf_counter() - start
    if len(skipped):
        raise SystemExit(f"{len(skipped)} photos were skipped; preprocess again")
    return suspicions, review_queue(suspicions, list(cases["case_id"])), len(cases) / seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=os.environ.get("BONEAGE_REAL_DATA"))
    parser.add_argument("--work", type=Path, required=True, help="folder for the preprocessed photos")
    parser.add_argument("--table", type=Path, help="where the suspicions go, as CSV")
    arguments = parser.parse_args()
    if not arguments.data:
        parser.error("name the real radiographs with --data or BONEAGE_REAL_DATA")
    findings = read_findings(Path(arguments.data))
    suspicions, queue, rate = look(Path(arguments.data), arguments.work)
    if arguments.table:
        suspicions.to_csv(arguments.table, index=False)
    print(standing(suspicions, findings, queue).round(3).to_string(index=False))
    share = share_in_first_fifth(findings, queue)
    print(f"must be rejected, in the first fifth: {share:.3f}, aim {LEAST_IN_FIRST_FIFTH:.3f}")
    print(f"photos a second on {os.cpu_count()} cores: {rate:.1f}, aim {LEAST_PHOTOS_PER_SECOND:g}")


if __name__ == "__main__":
    main()
