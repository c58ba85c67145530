"""From images on disk to training batches: every image is decoded once, into one pack.

A pack is a plain ``.npy`` file, a uint8 array (images, size, size), which ``numpy.load`` opens without this
package too. The images' ids follow the array in the same file, so they always travel with it.
"""

import contextlib
import hashlib
import json
import os
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
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

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg")
_FOOTER_MARK = b"\nBONEAGE IMAGE IDS\n"


@dataclass(frozen=True)
class Pack:
    """A packed set of images.

    Attributes:
        images: uint8, (images, size, size), memory-mapped read-only; 0 is black.
        ids: The image id (the label CSV's ``Case ID``) of each row; None if the file has none.
        skipped: ``SKIPPED_TABLE`` of images that could not be read when it was made.
    """

    images: np.ndarray
    ids: tuple[str, ...] | None
    path: Path
    skipped: pd.DataFrame = field(default_factory=lambda: skipped_table([]))

    @property
    def size(self) -> int:
        """Side of the images in pixels."""
        return int(self.images.shape[1])


def read_image(path: Path, size: int) -> np.ndarray:
    """Reads a preprocessed image as uint8 (size, size).

    Raises:
        BoneAgeError: The file is unreadable.
    """
    try:
        data = np.fromfile(path, np.uint8)
    except OSError as error:
        raise BoneAgeError(
            f"{path}: cannot be read ({error.strerror}); run {_maker(path.parent)} again"
        ) from None
    image = cv2.imdecode(data, cv2.IMREAD_GRAYSCALE) if data.size else None
    if image is None:
        raise BoneAgeError(f"{path}: not a readable image; delete it and run {_maker(path.parent)} again")
    return image if image.shape == (size, size) else square(image, size, "background")


def _maker(folder: Path) -> str:
    """The verb that makes the images of a folder."""
    return "augment" if folder.name == "augmented" else "preprocess"


def image_ids(ids: Sequence[str], known: Iterable[str]) -> dict[str, str]:
    """The image, by its id, that each label's id means; labels without one are left out.

    Spreadsheets drop leading zeros, so ``12`` is the image ``0012`` if no other label means it.

    Args:
        ids: Of the labels.
        known: Of the images.
    """
    known = set(known)
    found = {one: one for one in known & set(ids)}
    find = id_finder(known - set(found))
    meant = {one: image for one in ids if one not in found and (image := find(one))}
    times = Counter(meant.values())
    return found | {one: image for one, image in meant.items() if times[image] == 1}


def find_images(ids: Sequence[str], folder: Path) -> tuple[dict[str, Path], pd.DataFrame]:
    """Finds the labelled images, ``<id>.png`` or ``.jpg``, in a folder.

    Returns:
        The files by image id, in the order of the labels' ids; and ``SKIPPED_TABLE`` with ids that have none.

    Raises:
        BoneAgeError: None of them is there.
    """
    files: dict[str, Path] = {}
    # If an image is there twice, the first kind counts.
    for suffix in reversed(IMAGE_SUFFIXES):
        files |= {path.stem: path for path in folder.glob(f"*{suffix}")}
    meant = image_ids(ids, files)
    ids = [meant.get(one, one) for one in ids]
    reason = f"{folder.name}/ holds no such image; run {_maker(folder)}"
    missing = skipped_table((one, reason) for one in ids if one not in files)
    if len(missing) == len(ids):
        raise BoneAgeError(f"{folder}: holds none of the {len(ids)} images; run {_maker(folder)} first")
    return {one: files[one] for one in ids if one in files}, missing


def build_pack(ids: Sequence[str], folder: Path, size: int, path: Path) -> pd.DataFrame:
    """Packs the images of a folder into one pack file, in the order of ``ids``.

    Args:
        size: Side of the packed images in pixels.

    Returns:
        ``SKIPPED_TABLE``; the pack itself lists the images that could not be read.

    Raises:
        BoneAgeError: No image was found, or the disk is full.
    """
    files, missing = find_images(ids, folder)
    unreadable: dict[str, str] = {}
    written: list[str] = []

    def read(image_id: str) -> np.ndarray | BoneAgeError:
        try:
            return read_image(files[image_id], size)
        except BoneAgeError as error:
            return error

    images = on_all_cores(read, list(files), "pack", in_order=True)
    with atomic_write(path) as file, contextlib.closing(images):
        header_bytes = _write_header(file, len(files), size)
        for image_id, image in zip(files, images, strict=True):
            if isinstance(image, BoneAgeError):
                unreadable[image_id] = str(image)
                continue
            file.write(image.tobytes())
            written.append(image_id)
        if not written:
            raise BoneAgeError(
                f"{folder}: none of its {len(files)} images can be read; run {_maker(folder)} again"
            )
        footer = {"ids": written, "skipped": list(unreadable.items())}
        file.write(_FOOTER_MARK + json.dumps(footer).encode())
        file.seek(0)
        if _write_header(file, len(written), size) != header_bytes:
            raise AssertionError("the header's length depends on the number of images")
        file.seek(0, os.SEEK_END)
    return pd.concat([missing, skipped_table(unreadable.items())], ignore_index=True)


def open_pack(path: Path | str) -> Pack:
    """Opens a pack without reading its images into memory.

    Raises:
        BoneAgeError: No such file, cut short, or not an array of square 8-bit images at a training size.
    """
    path = Path(path)
    try:
        images = np.load(path, mmap_mode="r", allow_pickle=False)
    except Exception as error:  # A damaged header can make NumPy's reader raise anything.
        reason = getattr(error, "strerror", None) or "not a whole .npy file"
        raise BoneAgeError(f"{path}: {reason}; make it again with `python -m boneage pack`") from None
    if not isinstance(images, np.memmap) or images.dtype != np.uint8 or images.ndim != 3:
        raise BoneAgeError(f"{path}: must be a uint8 array of shape (images, size, size)")
    if images.shape[1] != images.shape[2] or not len(images):
        raise BoneAgeError(f"{path}: shape {images.shape} is not (images, size, size)")
    least, most = TRAIN_SIZES
    if not least <= images.shape[1] <= most:
        raise BoneAgeError(
            f"{path}: images of {images.shape[1]} px; a side must be between {least} and {most}"
        )
    footer = _read_footer(path)
    if footer is None and path.stat().st_size > images.offset + images.nbytes:
        # Taken for a plain array, its rows could stand beside the wrong labels.
        raise BoneAgeError(f"{path}: its image ids are damaged; make it again with `python -m boneage pack`")
    if footer is None:
        return Pack(images, None, path)
    return Pack(images, tuple(footer["ids"]), path, skipped_table(footer["skipped"]))


def rows_of(pack: Pack, labels: pd.DataFrame) -> tuple[pd.DataFrame, np.ndarray, list[str]]:
    """Matches labels with the images of a pack; one without ids must have one row per label, in their order.

    Returns:
        The labels that have an image, the pack row of each, and what was left out in words.

    Raises:
        BoneAgeError: No label has an image, or a pack without ids has another number of rows.
    """
    if pack.ids is None:
        if len(pack.images) != len(labels):
            raise BoneAgeError(
                f"{pack.path}: carries no ids, and its {len(pack.images)} images are not the "
                f"{len(labels)} labels; make it again with `python -m boneage pack`"
            )
        notice = f"{pack.path.name} carries no ids: its rows are taken to be in the label CSV's order"
        return labels, np.arange(len(labels)), [notice]
    row_of_id = {image_id: row for row, image_id in enumerate(pack.ids)}
    rows = labels["Case ID"].map(image_ids(labels["Case ID"].tolist(), pack.ids)).map(row_of_id)
    found = rows.notna().to_numpy()
    if not found.any():
        raise BoneAgeError(
            f"{pack.path}: holds an image of none of the labels; they belong to different sets"
        )
    notices = []
    if not found.all():
        notices.append(f"{(~found).sum()} labels have no image in {pack.path.name} and are left out")
    unlabelled = len(pack.ids) - int(found.sum())
    if unlabelled:
        notices.append(f"{unlabelled} images in {pack.path.name} have no label and are left out")
    return labels[found].reset_index(drop=True), rows[found].to_numpy(int), notices


def fingerprint(pack: Pack, labels: pd.DataFrame) -> str:
    """The SHA-256 of everything that training reads: the labels and the pixels, row by row."""
    digest = hashlib.sha256(labels.to_csv(index=False).encode())
    digest.update(json.dumps([pack.ids, pack.images.shape]).encode())
    for start in range(0, len(pack.images), 256):
        digest.update(np.ascontiguousarray(pack.images[start : start + 256]).data)
    return digest.hexdigest()


def batches_of(
    rows: np.ndarray, batch_size: int, seed: int, epoch: int, count: int | None = None
) -> list[np.ndarray]:
    """The batches of one epoch, in an order that depends on seed and epoch alone.

    So a run that is taken up at any epoch sees the images that it would have seen. Every row comes once; if a
    count is given, the rows come again, in another order each time, until there are so many.
    """
    count, rng = len(rows) if count is None else count, np.random.default_rng([seed, epoch])
    order = np.concatenate([rng.permutation(len(rows)) for _ in range(0, count, len(rows))])[:count]
    return [rows[order[start : start + batch_size]] for start in range(0, count, batch_size)]


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
        whole = len(footer["ids"]) == shape[0] == len(set(footer["ids"])) and "skipped" in footer
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return None
    return footer if whole else None
