"""Suspicions: what is odd about a photo or a case, most urgent first, for a person to decide.

Detectors look at one photo (:mod:`quality`, :mod:`text`, :mod:`foreign`), at all photos (:mod:`duplicates`,
:mod:`typical`) or at the case table alone (:mod:`growth`). None of them decides anything.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from boneage.anomalies.duplicates import duplicate_suspicion, near_duplicates, photo_hash
from boneage.anomalies.foreign import foreign_suspicions
from boneage.anomalies.growth import growth_suspicions
from boneage.anomalies.hand import Hand, find_hand
from boneage.anomalies.quality import quality_suspicions
from boneage.anomalies.suspicion import KINDS, LIKELY, SPOILING, Suspicion
from boneage.anomalies.text import text_suspicions
from boneage.anomalies.typical import hand_pattern, unusual_hands
from boneage.core.errors import BoneAgeError
from boneage.core.parallel import on_all_cores
from boneage.core.tables import skipped_table
from boneage.images.reading import read_file

SUSPICION_COLUMNS = ("case_id", "kind", "score", "x", "y", "width", "height", "measured", "why")
"""The suspicion table; ``x`` to ``height`` are shares of the photo, empty where it concerns all of it, and
``measured`` is the turn in degrees anticlockwise that puts it right, empty where it is not one of pose."""

__all__ = [
    "KINDS",
    "LIKELY",
    "SPOILING",
    "SUSPICION_COLUMNS",
    "Suspicion",
    "find_suspicions",
    "photo_suspicions",
    "review_queue",
]


def photo_suspicions(photo: np.ndarray) -> list[Suspicion]:
    """What is odd about one photo.

    Args:
        photo: uint8, (n, n), such as preprocessing makes; any content.

    Returns:
        The most urgent first; empty where nothing is odd.
    """
    return sorted(_on_photo(photo, find_hand(photo)), key=_urgency, reverse=True)


def _on_photo(photo: np.ndarray, hand: Hand) -> list[Suspicion]:
    return [*text_suspicions(photo, hand), *foreign_suspicions(photo, hand), *quality_suspicions(hand)]


def _urgency(suspicion: Suspicion) -> float:
    return KINDS[suspicion.kind] * suspicion.score


@dataclass(frozen=True, eq=False)
class _Look:
    """What one photo gave: its row, its suspicions, and what the comparison with other photos needs."""

    row: int
    suspicions: list[Suspicion]
    pattern: np.ndarray
    hash: np.ndarray


def find_suspicions(
    cases: pd.DataFrame, photos: Path | str, progress: bool = True
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Looks at every case: its photo by itself, its photo among the others, and its ages.

    Args:
        cases: The case table.
        photos: The folder of the preprocessed photos, ``<case_id>.png``.
        progress: Whether a bar shows how far it is.

    Returns:
        The suspicions, columns :data:`SUSPICION_COLUMNS`, the most urgent first; and what was skipped because
        its photo is gone or cannot be read, with the reason.

    Raises:
        BoneAgeError: The library ImageHash is not installed.
    """
    folder, case_ids = Path(photos), list(cases["case_id"])
    looks, skipped = [], {}

    def work(row: int) -> _Look | tuple[int, str]:
        try:
            photo = _read(folder / f"{case_ids[row]}.png")
        except BoneAgeError as error:
            return row, str(error)
        hand = find_hand(photo)
        return _Look(row, _on_photo(photo, hand), hand_pattern(hand), photo_hash(hand))

    for result in on_all_cores(work, range(len(case_ids)), "suspicions", progress):
        if isinstance(result, _Look):
            looks.append(result)
        else:
            skipped[result[0]] = result[1]
    looks.sort(key=lambda look: look.row)
    found = [(case_ids[look.row], suspicion) for look in looks for suspicion in look.suspicions]
    found += [(case_ids[row], suspicion) for row, suspicion in _among_others(looks, case_ids)]
    found += growth_suspicions(cases).items()
    reasons = [(case_ids[row], skipped[row]) for row in sorted(skipped)]
    return _table(found, case_ids), skipped_table(reasons)


def _read(path: Path) -> np.ndarray:
    photo = read_file(path)
    if photo.shape[0] != photo.shape[1]:
        raise BoneAgeError(f"{path.name}: not square; run preprocess again")
    return photo


def _among_others(looks: Sequence[_Look], case_ids: Sequence[str]) -> Iterable[tuple[int, Suspicion]]:
    """Suspicions that only the comparison of photos can tell, by row of the case table."""
    if not looks:
        return
    for at, suspicion in unusual_hands(np.stack([look.pattern for look in looks])).items():
        yield looks[at].row, suspicion
    for at, earlier, bits in near_duplicates(np.stack([look.hash for look in looks])):
        yield looks[at].row, duplicate_suspicion(case_ids[looks[earlier].row], bits)


def _table(found: Iterable[tuple[str, Suspicion]], case_ids: Sequence[str]) -> pd.DataFrame:
    place = {case_id: at for at, case_id in enumerate(case_ids)}
    ours = sorted(found, key=lambda one: (-_urgency(one[1]), place[one[0]]))
    rows = [
        (case_id, one.kind, one.score, *(one.box or (np.nan,) * 4), one.measured, one.why)
        for case_id, one in ours
    ]
    return pd.DataFrame(rows, columns=list(SUSPICION_COLUMNS)).astype({"measured": float})


def review_queue(suspicions: pd.DataFrame, case_ids: Sequence[str]) -> list[str]:
    """The order in which a person looks at the cases.

    Args:
        suspicions: What :func:`find_suspicions` returned; rows of other cases are passed over.
        case_ids: Every case, in the table's order.

    Returns:
        Every case once: by its most urgent suspicion first (urgency of the kind times score), then those
        without any, in the table's order.
    """
    urgency = suspicions["kind"].map(KINDS).astype(float) * suspicions["score"].astype(float)
    worst = urgency.groupby(suspicions["case_id"]).max().to_dict()
    return sorted(case_ids, key=lambda case_id: -worst.get(case_id, 0.0))
