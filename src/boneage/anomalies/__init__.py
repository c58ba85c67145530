"""Anomalies of images and cases, most urgent first, for a reviewer to decide on.

Detectors look at one image (:mod:`quality`, :mod:`text`, :mod:`foreign`), at all images (:mod:`duplicates`,
:mod:`typical`) or at the case table (:mod:`growth`). None of them decides anything.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from boneage.anomalies.anomaly import KINDS, LIKELY, REJECTABLE, SMALLEST_SIDE, Anomaly
from boneage.anomalies.duplicates import duplicate_anomaly, image_hash, near_duplicates
from boneage.anomalies.foreign import foreign_anomalies
from boneage.anomalies.growth import growth_anomalies
from boneage.anomalies.hand import Hand, find_hand
from boneage.anomalies.looks import Look, keep_looks, look_key, read_looks
from boneage.anomalies.quality import quality_anomalies
from boneage.anomalies.text import text_anomalies
from boneage.anomalies.typical import hand_pattern, unusual_hands
from boneage.core.columns import Column, Table
from boneage.core.errors import BoneAgeError
from boneage.core.parallel import fill_rows
from boneage.core.tables import read_table, skipped_table
from boneage.images.reading import read_file

ANOMALY_TABLE = Table(
    "Anomalies",
    [
        Column("case_id", "Name of the case."),
        Column("kind", "Kind of anomaly."),
        Column("score", "Anomaly score, 0 to 1; likely from 0.5.", ".2f"),
        Column("x", "Left edge of the box; empty if it concerns the whole image.", ".2f", unit="share"),
        Column("y", "Top edge of the box; empty if it concerns the whole image.", ".2f", unit="share"),
        Column("width", "Width of the box.", ".2f", unit="share"),
        Column("height", "Height of the box.", ".2f", unit="share"),
        Column(
            "measured",
            "Rotation that corrects it, anticlockwise; empty if none does.",
            ".1f",
            unit="degrees",
        ),
        Column("why", "The reason in words."),
    ],
    "anomalies.csv",
    "One row per anomaly, most urgent first.",
)

__all__ = [
    "ANOMALY_TABLE",
    "KINDS",
    "LIKELY",
    "REJECTABLE",
    "SMALLEST_SIDE",
    "Anomaly",
    "find_anomalies",
    "image_anomalies",
    "read_anomalies",
    "review_queue",
]


def image_anomalies(image: np.ndarray) -> list[Anomaly]:
    """Anomalies of an image, uint8 (n, n), most urgent first."""
    return sorted(_on_image(image, find_hand(image)), key=_urgency, reverse=True)


def _on_image(image: np.ndarray, hand: Hand) -> list[Anomaly]:
    return [*text_anomalies(image, hand), *foreign_anomalies(image, hand), *quality_anomalies(hand)]


def _urgency(anomaly: Anomaly) -> float:
    return KINDS[anomaly.kind] * anomaly.score


def find_anomalies(
    cases: pd.DataFrame, images: Path | str, kept: Path | None = None
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Examines every case: its image, its image among the others, and its ages.

    Args:
        cases: The case table.
        images: The folder of the preprocessed images, ``<case_id>.png``.
        kept: A file that keeps what was seen of each image, so that it is not looked at again.

    Returns:
        :data:`ANOMALY_TABLE`, most urgent first; and ``SKIPPED_TABLE`` with unreadable images.

    Raises:
        BoneAgeError: The library ImageHash is not installed, or the disk is full.
    """
    case_ids = list(cases["case_id"])
    files = [Path(images) / f"{case_id}.png" for case_id in case_ids]
    keys = [look_key(file) for file in files]
    known = read_looks(kept) if kept else {}
    # What could not be read has its reason in place of a look.
    seen: list[Look | str | None] = [known.get(key) for key in keys]

    def look(file: Path) -> Look | str:
        try:
            image = read_file(file)
        except BoneAgeError as error:
            return str(error)
        if image.shape[0] != image.shape[1]:
            return f"{file.name}: not square; run preprocess again"
        hand = find_hand(image)
        return Look(_on_image(image, hand), hand_pattern(hand), image_hash(hand))

    def save(rows: Sequence[Look | str | None]) -> None:
        if kept:
            keep_looks(kept, {key: one for key, one in zip(keys, rows, strict=True) if isinstance(one, Look)})

    unseen = {row: file for row, file in enumerate(files) if seen[row] is None}
    fill_rows(seen, look, unseen, save, "anomalies")
    looks = {case_id: one for case_id, one in zip(case_ids, seen, strict=True) if isinstance(one, Look)}
    found = [(case_id, anomaly) for case_id, one in looks.items() for anomaly in one.anomalies]
    found += _among_others(looks)
    found += growth_anomalies(cases).items()
    reasons = [(case_id, one) for case_id, one in zip(case_ids, seen, strict=True) if isinstance(one, str)]
    return _table(found, case_ids), skipped_table(reasons)


def _among_others(looks: Mapping[str, Look]) -> Iterable[tuple[str, Anomaly]]:
    """Anomalies that only the comparison of images can tell, by case id."""
    if not looks:
        return
    case_ids = list(looks)
    for at, anomaly in unusual_hands(np.stack([look.pattern for look in looks.values()])).items():
        yield case_ids[at], anomaly
    for at, earlier, bits in near_duplicates(np.stack([look.hash for look in looks.values()])):
        yield case_ids[at], duplicate_anomaly(case_ids[earlier], bits)


def _table(found: Iterable[tuple[str, Anomaly]], case_ids: Sequence[str]) -> pd.DataFrame:
    place = {case_id: at for at, case_id in enumerate(case_ids)}
    ours = sorted(found, key=lambda one: (-_urgency(one[1]), place[one[0]]))
    rows = [
        (case_id, one.kind, one.score, *(one.box or (np.nan,) * 4), one.measured, one.why)
        for case_id, one in ours
    ]
    return pd.DataFrame(rows, columns=list(ANOMALY_TABLE)).astype({"measured": float})


def review_queue(anomalies: pd.DataFrame, case_ids: Sequence[str]) -> list[str]:
    """The review order of the cases: most urgent anomaly (urgency of its kind times score) first.

    Cases without anomalies follow in the order of ``case_ids``; rows of other cases are ignored.
    """
    urgency = anomalies["kind"].map(KINDS).astype(float) * anomalies["score"].astype(float)
    worst = urgency.groupby(anomalies["case_id"]).max().to_dict()
    return sorted(case_ids, key=lambda case_id: -worst.get(case_id, 0.0))


def read_anomalies(path: Path) -> pd.DataFrame:
    """Reads a work folder's table of anomalies, with numeric columns.

    Raises:
        BoneAgeError: It cannot be read.
    """
    table = read_table(path, ANOMALY_TABLE)
    numbers = ["score", "x", "y", "width", "height", "measured"]
    table[numbers] = table[numbers].apply(pd.to_numeric, errors="coerce")
    return table
