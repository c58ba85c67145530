"""From photos on disk to training batches: every photo is decoded once, into one packed store file.

A store is a plain ``.npy`` file, a uint8 array of shape (photos, size, size), which ``numpy.load`` opens
with or without this package. The photos' ids stand behind the array in the same file, so a store can not
come apart from its ids on its way to another machine.
"""

import contextlib
import hashlib
import json
import os
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import cv2
import numpy as np
import pandas as pd

from boneage.core.errors import BoneAgeError
from boneage.core.files import atomic_write
from boneage.core.parallel import on_all_cores
from boneage.core.settings import TRAIN_SIZES
from boneage.core.tables import skipped_table
from boneage.images.square import square
from boneage.sources.spellings import id_finder

PHOTO_SUFFIXES = (".png", ".jpg", ".jpeg")
_FOOTER_MARK = b"\nBONEAGE PHOTO IDS\n"


@dataclass(frozen=True)
class Store:
    """A packed set of photos.

    Attributes:
        photos: uint8, (photos, size, size), memory-mapped read-only; 0 is black.
        ids: The photo id (the label CSV's ``Case ID``) of each row, or None where the file carries none.
        path: The file.
    """

    photos: np.ndarray
    ids: tuple[str, ...] | None
    path: Path

    @property
    def size(self) -> int:
        """Side of the photos in pixels."""
        return int(self.photos.shape[1])


def find_photo(folder: Path, photo_id: str) -> Path | None:
    """The file of a photo in a folder of preprocessed photos, or None."""
    candidates = (folder / f"{photo_id}{suffix}" for suffix in PHOTO_SUFFIXES)
    return next((path for path in candidates if path.is_file()), None)


def read_photo(path: Path, size: int) -> np.ndarray:
    """Reads a preprocessed photo at another size.

    Returns:
        uint8, (size, size).

    Raises:
        BoneAgeError: The file is unreadable.
    """
    try:
        data = np.fromfile(path, np.uint8)
    except OSError as error:
        raise BoneAgeError(f"{path}: cannot be read ({error.strerror}); run preprocess again") from None
    photo = cv2.imdecode(data, cv2.IMREAD_GRAYSCALE) if data.size else None
    if photo is None:
        raise BoneAgeError(f"{path}: not a readable photo; delete it and run preprocess again")
    return photo if photo.shape == (size, size) else square(photo, size, "background")


def photo_ids(ids: Sequence[str], known: Iterable[str]) -> dict[str, str]:
    """The photo that each label's id means, by id; what has none is left out.

    A spreadsheet takes the zeros away that an id begins with, so ``12`` is the photo ``0012`` where no other
    label means it.

    Args:
        ids: The labels' ids.
        known: The ids that photos have.
    """
    known = set(known)
    found = {one: one for one in known & set(ids)}
    find = id_finder(known - set(found))
    meant = {one: photo for one in ids if one not in found and (photo := find(one))}
    times = Counter(meant.values())
    return found | {one: photo for one, photo in meant.items() if times[photo] == 1}


def build_store(ids: list[str], folder: Path, size: int, path: Path) -> pd.DataFrame:
    """Packs photos into one store file, in the order of ``ids``; a store that is up to date is kept.

    Args:
        ids: Photo ids.
        folder: Where ``<id>.png`` (or .jpg) are.
        size: Side of the packed photos in pixels.
        path: The ``.npy`` file to write.

    Returns:
        The photos left out and why (``item``, ``reason``).

    Raises:
        BoneAgeError: Not one photo was found, or the disk is full.
    """
    folder = Path(folder)
    meant = photo_ids(ids, {path.stem for path in folder.glob("*") if path.suffix in PHOTO_SUFFIXES})
    ids = [meant.get(photo_id, photo_id) for photo_id in ids]
    found = {photo_id: find_photo(folder, photo_id) for photo_id in ids}
    skipped = [
        (photo_id, f"no photo {photo_id}.png in {folder.name}/; run preprocess")
        for photo_id, photo in found.items()
        if photo is None
    ]
    paths = {photo_id: photo for photo_id, photo in found.items() if photo is not None}
    present = [photo_id for photo_id in ids if photo_id in paths]
    stamp = _stamp(present, paths, size)
    if path.is_file():
        kept = _read_footer(path)
        if kept is not None and kept["stamp"] == stamp:
            return skipped_table([*skipped, *kept["skipped"]])
    unreadable: dict[str, str] = {}
    written: list[str] = []

    def read(photo_id: str) -> np.ndarray | BoneAgeError:
        try:
            return read_photo(paths[photo_id], size)
        except BoneAgeError as error:
            return error

    photos = on_all_cores(read, present, "store", in_order=True)
    with atomic_write(path) as file, contextlib.closing(photos):
        header_bytes = _write_header(file, len(present), size)
        for photo_id, photo in zip(present, photos, strict=True):
            if isinstance(photo, BoneAgeError):
                unreadable[photo_id] = str(photo)
                continue
            file.write(photo.tobytes())
            written.append(photo_id)
        if not written:
            raise BoneAgeError(f"{folder}: holds none of the {len(ids)} photos; run preprocess first")
        footer = {"ids": written, "stamp": stamp, "skipped": list(unreadable.items())}
        file.write(_FOOTER_MARK + json.dumps(footer).encode())
        file.seek(0)
        if _write_header(file, len(written), size) != header_bytes:
            raise AssertionError("the header's length depends on the number of photos")
        file.seek(0, os.SEEK_END)
    return skipped_table([*skipped, *unreadable.items()])


def open_store(path: Path | str) -> Store:
    """Opens a store without reading its photos into memory.

    Raises:
        BoneAgeError: No such file, cut short, or not an array of square 8-bit photos of a side that a network
            may have.
    """
    path = Path(path)
    try:
        photos = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        reason = getattr(error, "strerror", None) or "not a whole .npy file"
        raise BoneAgeError(f"{path}: {reason}; make it anew with `python -m boneage store`") from None
    if not isinstance(photos, np.memmap) or photos.dtype != np.uint8 or photos.ndim != 3:
        raise BoneAgeError(f"{path}: must be a uint8 array of shape (photos, size, size)")
    if photos.shape[1] != photos.shape[2] or not len(photos):
        raise BoneAgeError(f"{path}: shape {photos.shape} is not (photos, size, size)")
    least, most = TRAIN_SIZES
    if not least <= photos.shape[1] <= most:
        raise BoneAgeError(
            f"{path}: photos of {photos.shape[1]} px; a side must be between {least} and {most}"
        )
    footer = _read_footer(path)
    if footer is None and path.stat().st_size > photos.offset + photos.nbytes:
        # Taken for a plain array, its rows could stand beside the wrong labels.
        raise BoneAgeError(f"{path}: its photo ids are damaged; make it anew with `python -m boneage store`")
    return Store(photos, tuple(footer["ids"]) if footer else None, path)


def rows_of(store: Store, labels: pd.DataFrame) -> tuple[pd.DataFrame, np.ndarray, list[str]]:
    """Matches labels with the store's photos.

    Args:
        store: An open store; one without ids must have exactly one row a label, in the labels' order.
        labels: A label table.

    Returns:
        The labels that have a photo, the store row of each, and what was left out in words.

    Raises:
        BoneAgeError: No label has a photo, or a store without ids has another number of rows.
    """
    if store.ids is None:
        if len(store.photos) != len(labels):
            raise BoneAgeError(
                f"{store.path}: carries no ids, and its {len(store.photos)} photos are not the "
                f"{len(labels)} labels; make it anew with `python -m boneage store`"
            )
        notice = f"{store.path.name} carries no ids: its rows are taken to be in the label CSV's order"
        return labels, np.arange(len(labels)), [notice]
    row_of_id = {photo_id: row for row, photo_id in enumerate(store.ids)}
    rows = labels["Case ID"].map(photo_ids(labels["Case ID"].tolist(), store.ids)).map(row_of_id)
    found = rows.notna().to_numpy()
    if not found.any():
        raise BoneAgeError(
            f"{store.path}: holds a photo of none of the labels; they belong to different sets"
        )
    notices = []
    if not found.all():
        notices.append(f"{(~found).sum()} labels have no photo in {store.path.name} and are left out")
    unlabelled = len(store.ids) - int(found.sum())
    if unlabelled:
        notices.append(f"{unlabelled} photos in {store.path.name} have no label and are left out")
    return labels[found].reset_index(drop=True), rows[found].to_numpy(int), notices


def fingerprint(store: Store, labels: pd.DataFrame) -> str:
    """A hash of everything that training reads: the labels and the pixels, row by row.

    Returns:
        64 hexadecimal digits.
    """
    digest = hashlib.sha256(labels.to_csv(index=False).encode())
    digest.update(json.dumps([store.ids, store.photos.shape]).encode())
    for start in range(0, len(store.photos), 256):
        digest.update(np.ascontiguousarray(store.photos[start : start + 256]).data)
    return digest.hexdigest()


def batches_of(rows: np.ndarray, batch_size: int, seed: int, epoch: int) -> list[np.ndarray]:
    """The batches of one epoch: every row once, in an order that depends on seed and epoch alone.

    So a run that is taken up at any epoch sees the photos that it would have seen.
    """
    order = np.random.default_rng([seed, epoch]).permutation(len(rows))
    return [rows[order[start : start + batch_size]] for start in range(0, len(rows), batch_size)]


def _stamp(ids: list[str], paths: dict[str, Path], size: int) -> str:
    digest = hashlib.sha256(f"{size}\n".encode())
    for photo_id in ids:
        facts = paths[photo_id].stat()
        digest.update(f"{photo_id} {facts.st_size} {facts.st_mtime_ns}\n".encode())
    return digest.hexdigest()


def _write_header(file: IO[bytes], count: int, size: int) -> int:
    header = {"descr": "|u1", "fortran_order": False, "shape": (count, size, size)}
    np.lib.format.write_array_header_1_0(file, header)
    return file.tell()


def _read_footer(path: Path) -> dict[str, Any] | None:
    try:
        with open(path, "rb") as file:
            if np.lib.format.read_magic(file) != (1, 0):
                return None
            shape, _, dtype = np.lib.format.read_array_header_1_0(file)
            file.seek(int(np.prod(shape)) * dtype.itemsize, os.SEEK_CUR)
            mark, text = file.read(len(_FOOTER_MARK)), file.read()
        footer: dict[str, Any] = json.loads(text if mark == _FOOTER_MARK else "{}")
        whole = len(footer["ids"]) == shape[0] == len(set(footer["ids"])) and {"stamp", "skipped"} <= set(
            footer
        )
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return None
    return footer if whole else None
