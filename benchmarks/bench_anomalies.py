"""Anomalies on real radiographs: each kind against findings made by eye, and the speed.

Needs a folder with `rsna/`, `dha/` and `findings.csv` (dataset, id, finding, confident). For every finding it
prints the ROC area of the kind that should detect it, over all images and over two random halves, and the
share of the confident findings in the first tenth and fifth of the queue. Findings that are not confident are
ignored for their kind. Below are rings drawn into real images, each ranked as if it had come in with the
others, and the anomalies of a drawn atlas.
"""

import argparse
import os
import time
from pathlib import Path

import numpy as np
import pandas as pd
from drawn_rings import draw_ring
from sklearn.metrics import roc_auc_score

from boneage.anomalies import KINDS, find_anomalies, image_anomalies, review_queue
from boneage.anomalies.hand import find_hand
from boneage.core.tables import write_table
from boneage.images.preprocess import IMAGE_FOLDER, preprocess
from boneage.images.reading import read_file
from boneage.phantom.atlas import write_phantom_atlas
from boneage.sources.dha import read_atlas
from boneage.sources.rsna import read_rsna

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
"""The kind of anomaly that should detect each finding."""

MUST_BE_REJECTED = ("bracelet", "cast", "splint", "metal_other", "not_left_pa", "abnormal_skeleton")
LEAST_IN_FIRST_FIFTH = 2 / 3
LEAST_IMAGES_PER_SECOND = 20.0
_HALVES_SEED = 7
_RINGS, _RINGS_SEED = 200, 11
KIND_OF_DRAWN = {
    "ring": "ring",
    "bracelet": "bracelet",
    "unreadable": "unreadable skeleton",
    "growth": "growth out of step",
}
# Leaves half of the first tenth of the queue for false alarms.
_PHANTOMS_PER_GROUP, _PHANTOM_SEED, _PHANTOM_SHARE = 10, 21, 0.05
TOGETHER = "bracelet, cast, splint, metal, right hand, abnormal skeleton together"
RECORD_NAME = "anomalies.csv"


def real_cases(data: Path) -> pd.DataFrame:
    """Both sets as one case table, with ids ``rsna-123`` and ``dha-4567``."""
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


def standing(anomalies: pd.DataFrame, findings: pd.DataFrame, queue: list[str]) -> pd.DataFrame:
    """One row per finding: ROC area (all, and two random halves) and shares in the first tenth and fifth."""
    place = {case_id: at / len(queue) for at, case_id in enumerate(queue)}
    half = np.random.default_rng(_HALVES_SEED).random(len(queue)) < 0.5
    rows = []
    for finding, kind in KIND_OF.items():
        these = findings[findings["finding"] == finding]
        sure, unsure = (set(these.loc[these["confident"] == one, "case_id"]) for one in (True, False))
        best = anomalies[anomalies["kind"] == kind].groupby("case_id")["score"].max().to_dict()
        ids = sorted(place)
        positive = np.array([case_id in sure for case_id in ids])
        counted = np.array([case_id in sure or case_id not in unsure for case_id in ids])
        scores = np.array([best.get(case_id, 0.0) for case_id in ids])
        areas = [
            roc_auc_score(positive[part], scores[part]) if positive[part].any() else np.nan
            for part in (counted, counted & half, counted & ~half)
        ]
        places = np.array([place[case_id] for case_id in sure if case_id in place])
        shares = [(places < share).mean() for share in (0.1, 0.2)]
        rows.append((finding, kind, len(places), *areas, *shares))
    return pd.DataFrame(
        rows, columns=["finding", "kind", "images", "area", "area_a", "area_b", "first_10", "first_20"]
    )


def share_in_first_fifth(findings: pd.DataFrame, queue: list[str]) -> float:
    """The share of confident findings that require rejection in the first fifth of the queue."""
    sure = findings[findings["confident"] & findings["finding"].isin(MUST_BE_REJECTED)]
    first = set(queue[: len(queue) // 5])
    known = sure[sure["case_id"].isin(set(queue))]
    return float(known["case_id"].isin(first).mean())


def drawn_rings(images: Path, anomalies: pd.DataFrame, queue: list[str], count: int) -> dict[str, object]:
    """The ranks in the queue of images with a drawn ring, as a row of :func:`standing`."""
    rng = np.random.default_rng(_RINGS_SEED)
    urgency = anomalies["kind"].map(KINDS).astype(float) * anomalies["score"]
    worst = urgency.groupby(anomalies["case_id"]).max()
    rings = anomalies[anomalies["kind"] == "ring"].groupby("case_id")["score"].max()
    before = [float(rings.get(case_id, 0.0)) for case_id in queue]
    places: list[float] = []
    scores: list[float] = []
    for case_id in rng.permutation(queue):
        if len(scores) == count:
            break
        image = read_file(images / f"{case_id}.png")
        made = draw_ring(image, find_hand(image), rng)
        if made is None:
            continue
        found = image_anomalies(made)
        own = max((KINDS[one.kind] * one.score for one in found), default=0.0)
        places.append(float((worst.drop(case_id, errors="ignore") > own).sum()) / len(queue))
        scores.append(max((one.score for one in found if one.kind == "ring"), default=0.0))
    positive = np.array([True] * len(scores) + [False] * len(before))
    area = roc_auc_score(positive, np.array(scores + before))
    return _row("ring drawn into a real image", "ring", len(scores), area, np.array(places))


def drawn_atlas(folder: Path) -> list[dict[str, object]]:
    """The ranks of the anomalies of a drawn atlas in its own queue, as rows of :func:`standing`."""
    atlas = write_phantom_atlas(folder / "atlas", _PHANTOMS_PER_GROUP, _PHANTOM_SEED, _PHANTOM_SHARE)
    cases, _ = read_atlas(atlas, atlas / "readings.csv", "phantom")
    preprocess(cases, folder, SIZE)
    anomalies, _ = find_anomalies(cases, folder / IMAGE_FOLDER)
    queue = review_queue(anomalies, list(cases["case_id"]))
    place = {case_id: at / len(queue) for at, case_id in enumerate(queue)}
    truth = pd.read_csv(atlas / "phantom.csv", dtype=str).fillna("").set_index("image number")["anomaly"]
    rows = []
    for anomaly, kind in KIND_OF_DRAWN.items():
        best = anomalies[anomalies["kind"] == kind].groupby("case_id")["score"].max()
        scores = np.array([float(best.get(case_id, 0.0)) for case_id in truth.index])
        positive = (truth == anomaly).to_numpy()
        places = np.array([place[case_id] for case_id in truth.index[positive]])
        rows.append(
            _row(f"{anomaly} on drawn hands", kind, len(places), roc_auc_score(positive, scores), places)
        )
    return rows


def _row(finding: str, kind: str, images: int, area: float, places: np.ndarray) -> dict[str, object]:
    firsts = {f"first_{share}": float((places < share / 100).mean()) for share in (10, 20)}
    return {"finding": finding, "kind": kind, "images": images, "area": area, **firsts}


def look(data: Path, work: Path) -> tuple[pd.DataFrame, list[str], float]:
    """Preprocesses the real images (existing ones are kept) and detects their anomalies.

    Returns:
        The anomalies, the queue, and images a second.
    """
    cases = real_cases(data)
    report = preprocess(cases, work, SIZE)
    cases = cases[cases["case_id"].isin(report.loc[report["status"] == "ok", "case_id"])]
    start = time.perf_counter()
    anomalies, skipped = find_anomalies(cases, work / IMAGE_FOLDER)
    seconds = time.perf_counter() - start
    if len(skipped):
        raise SystemExit(f"{len(skipped)} images were skipped; preprocess again")
    return anomalies, review_queue(anomalies, list(cases["case_id"])), len(cases) / seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=os.environ.get("BONEAGE_REAL_DATA"))
    parser.add_argument("--work", type=Path, required=True, help="folder for the preprocessed images")
    parser.add_argument("--table", type=Path, help="CSV to write the anomalies to")
    parser.add_argument("--record", type=Path, help="results folder to write the table to")
    arguments = parser.parse_args()
    if not arguments.data:
        parser.error("name the real radiographs with --data or BONEAGE_REAL_DATA")
    findings = read_findings(Path(arguments.data))
    anomalies, queue, rate = look(Path(arguments.data), arguments.work)
    if arguments.table:
        anomalies.to_csv(arguments.table, index=False)
    table = standing(anomalies, findings, queue)
    share = share_in_first_fifth(findings, queue)
    drawn = [
        drawn_rings(arguments.work / IMAGE_FOLDER, anomalies, queue, _RINGS),
        *drawn_atlas(arguments.work / "drawn"),
    ]
    together = {"finding": TOGETHER, "kind": "any", "images": 0, "first_20": share}
    together["images"] = int((findings["confident"] & findings["finding"].isin(MUST_BE_REJECTED)).sum())
    table = pd.concat([table, pd.DataFrame([together, *drawn])], ignore_index=True).round(3)
    print(table.to_string(index=False))
    print(f"must be rejected, in the first fifth: {share:.3f}, aim {LEAST_IN_FIRST_FIFTH:.3f}")
    if arguments.record:
        write_table(arguments.record / RECORD_NAME, table)
    print(f"images a second on {os.cpu_count()} cores: {rate:.1f}, aim {LEAST_IMAGES_PER_SECOND:g}")


if __name__ == "__main__":
    main()
