"""Which images show the same picture: encoded again, of another size, brighter, darker, or mirrored.

Candidates are told by their perceptual hashes (the near-duplicate detector's), and each pair is verified by
the correlation of thumbnails of ranks above their surroundings, which no change of exposure alters much.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.stats import rankdata

from boneage.anomalies.duplicates import HASH_BITS, alike, picture_hash
from boneage.core.errors import BoneAgeError
from boneage.core.files import atomic_write
from boneage.core.parallel import on_all_cores
from boneage.images.preprocess import read_report
from boneage.images.reading import read_file

CACHE_NAME = "pictures.npy"

_SIDE = 64
_HASHED_SIDE = 320
_SURROUNDINGS = 4.0
# Of 1025 real children no two differ in fewer than 24 bits or correlate above 0.77, of 456 drawn ones in
# fewer than 44 or above 0.69. A copy at JPEG quality 60, half or a third of the size, or half as bright
# differs in at most 14 bits; one of another gamma in up to 50, but correlates above 0.8.
_SURELY_BITS, _SURELY_LIKENESS = 16, 0.3
_PERHAPS_BITS, _PERHAPS_LIKENESS = 60, 0.8
# Pairs whose patterns are compared at a time.
_LOT = 1024
# The image's key and what was seen of it: nothing else of as many bytes is held in memory.
_KEPT = np.dtype([("key", "S128"), ("looks", np.float16, 2 * HASH_BITS + _SIDE**2)])


def same_pictures(case_ids: Sequence[str], large: Path) -> pd.Series:
    """The first case, by id, of each case's group of the same picture; indexed by case id.

    What was computed is kept beside the images, and used while an image's source, size and padding are the
    same. A case without a readable image is its own group.

    Args:
        large: The folder with ``images/`` and ``preprocess.csv``.

    Returns:
        The groups; ``attrs["unread"]`` names the cases whose image cannot be read.

    Raises:
        BoneAgeError: No report of preprocessing, the library ImageHash is not installed, or the disk is full.
    """
    report = read_report(large)
    report = report[report["status"] == "ok"].drop_duplicates("case_id").set_index("case_id")
    sides = report[["width", "height"]].fillna(0)
    keys = {
        # What is no ASCII, no run has written.
        case_id: "{sha256}-{image_size}-{pad}".format(**report.loc[case_id]).encode("ascii", "replace")
        for case_id in case_ids
        if case_id in report.index
    }
    row_of = {key: row for row, key in enumerate(dict.fromkeys(keys.values()))}
    seen = np.zeros(len(row_of), _KEPT)
    seen["key"] = list(row_of)
    is_seen = _fill(seen, row_of, _read_kept(large / CACHE_NAME))
    missing = {key: case_id for case_id, key in keys.items() if not is_seen[row_of[key]]}

    def look(case_id: str) -> tuple[str, np.ndarray | None]:
        try:
            image = read_file(large / "images" / f"{case_id}.png")
        except BoneAgeError:
            return case_id, None
        width, height = map(int, sides.loc[case_id])
        return case_id, looks(image, width, height) if min(width, height) > 0 else None

    for case_id, found in on_all_cores(look, list(missing.values()), "Same pictures"):
        if found is not None:
            row = row_of[keys[case_id]]
            seen["looks"][row], is_seen[row] = found, True
    if not is_seen.all():
        seen = seen[is_seen]
    groups = pd.Series(list(case_ids), index=list(case_ids), dtype=object)
    groups.attrs["unread"] = [case_id for key, case_id in missing.items() if not is_seen[row_of[key]]]
    if not len(seen):
        return groups
    if missing:
        with atomic_write(large / CACHE_NAME) as file:
            np.save(file, seen)
    group_of = dict(zip(seen["key"].tolist(), group(seen["looks"]).tolist(), strict=True))
    of_case = pd.Series(
        {case_id: group_of[keys[case_id]] for case_id in case_ids if keys.get(case_id) in group_of}
    )
    groups[of_case.index] = of_case.index.to_series().groupby(of_case).transform("min")
    return groups


def _fill(seen: np.ndarray, row_of: Mapping[bytes, int], kept: np.ndarray) -> np.ndarray:
    """Fills the rows that were kept; returns which they are."""
    filled = np.zeros(len(seen), bool)
    for one, key in enumerate(kept["key"].tolist()):
        if key in row_of:
            seen[row_of[key]], filled[row_of[key]] = kept[one], True
    return filled


def ties_in_words(groups: pd.Series, part: str = "split") -> list[str]:
    """Notices of the groups of several images, and of the images that could not be compared.

    Args:
        groups: From :func:`same_pictures`.
        part: What the cases are dealt to.
    """
    notices = []
    sizes = groups.value_counts()
    sizes = sizes[sizes > 1]
    if len(sizes):
        of = "1 group shows" if len(sizes) == 1 else f"{len(sizes)} groups show"
        notices.append(f"{sizes.sum()} images in {of} the same picture; each group stays in one {part}")
    if unread := groups.attrs["unread"]:
        notices.append(
            f"images that cannot be read: {len(unread)} (the first: {unread[0]}); one may show the same "
            f"picture as an image of another {part}, so run preprocess, then this again"
        )
    return notices


def looks(image: np.ndarray, width: int, height: int) -> np.ndarray:
    """What a comparison needs of an image.

    Args:
        image: uint8, (n, n), such as preprocessing makes.
        width: Of its source file, which tells where its bars are.
        height: Likewise.

    Returns:
        float16, (2 * 256 + 64 * 64,): the hash, that of the mirrored picture, and the pattern.
    """
    side = image.shape[0]
    tall, wide = (max(1, round(length * side / max(width, height))) for length in (height, width))
    top, left = (side - tall) // 2, (side - wide) // 2
    picture = image[top : top + tall, left : left + wide]
    small = cv2.resize(picture, (_HASHED_SIDE, _HASHED_SIDE), interpolation=cv2.INTER_AREA)
    tiny = cv2.resize(picture.astype(np.float32), (_SIDE, _SIDE), interpolation=cv2.INTER_AREA)
    ranks = rankdata(tiny.ravel()).reshape(tiny.shape).astype(np.float32)
    pattern = ranks - cv2.GaussianBlur(ranks, (0, 0), _SURROUNDINGS)
    pattern -= pattern.mean()
    pattern /= max(float(np.linalg.norm(pattern)), 1e-6)
    parts = (picture_hash(small), picture_hash(np.ascontiguousarray(small[:, ::-1])), pattern.ravel())
    return np.concatenate([part.astype(np.float16) for part in parts])


def group(seen: np.ndarray) -> np.ndarray:
    """Numbers images, (n,), by the picture they show, from rows of :func:`looks`, float16 (n, 4608).

    Images that are the same as a third one are the same.
    """
    hashes, mirrored = seen[:, :HASH_BITS] > 0, seen[:, HASH_BITS : 2 * HASH_BITS] > 0
    patterns = seen[:, 2 * HASH_BITS :].reshape(-1, _SIDE, _SIDE)
    found = [(np.empty(0, int), np.empty(0, int))]
    for of, shown in ((hashes, patterns), (mirrored, patterns[:, :, ::-1])):
        for rows, earlier, bits in alike(of, hashes, _PERHAPS_BITS):
            likeness = _likeness(shown, patterns, rows, earlier)
            surely = (bits <= _SURELY_BITS) & (likeness >= _SURELY_LIKENESS)
            same = surely | (likeness >= _PERHAPS_LIKENESS)
            found.append((rows[same], earlier[same]))
    rows, earlier = (np.concatenate(part) for part in zip(*found, strict=True))
    ties = coo_array((np.ones(len(rows)), (rows, earlier)), shape=(len(seen),) * 2)
    return np.asarray(connected_components(ties, directed=False)[1])


def _likeness(ones: np.ndarray, others: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Correlation of patterns, some pairs at a time."""
    lots = [slice(start, start + _LOT) for start in range(0, len(rows), _LOT)]
    said = [
        np.einsum("nij,nij->n", ones[rows[lot]].astype(np.float32), others[columns[lot]].astype(np.float32))
        for lot in lots
    ]
    return np.concatenate([np.empty(0, np.float32), *said])


def _read_kept(path: Path) -> np.ndarray:
    """What an earlier run kept; nothing if it cannot be read."""
    try:
        kept = np.load(path, mmap_mode="r", allow_pickle=False)
    except Exception:  # A file that was cut short or swapped can trip its reader in any way.
        return np.empty(0, _KEPT)
    return kept if kept.dtype == _KEPT and kept.ndim == 1 else np.empty(0, _KEPT)
