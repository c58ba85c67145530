"""From images on disk to training batches: every image is decoded once, into one pack.

A pack is a folder of shards (:mod:`boneage.dataset.shards`): neither a file nor memory grows with the set.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
import pandas as pd

from boneage.core.errors import BoneAgeError
from boneage.core.files import LIVING_SECONDS, make_folder, one_at_a_time, remove_leftovers, writing
from boneage.core.parallel import fill_rows
from boneage.core.settings import TRAIN_SIZES
from boneage.core.tables import skipped_table
from boneage.dataset.shards import (
    INDEX_NAME,
    Index,
    Shard,
    Shards,
    is_whole,
    lots,
    read_index,
    shard_path,
    write_index,
    write_shard,
)
from boneage.images.square import square
from boneage.sources.spellings import id_finder
from boneage.workspace import files_digest

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg")


@dataclass(frozen=True)
class Pack:
    """A packed set of images.

    Attributes:
        images: uint8, (images, size, size), read as they are asked for; 0 is black.
        ids: The image id (the label CSV's ``Case ID``) of each row.
        path: Its folder.
        skipped: ``SKIPPED_TABLE`` of images that could not be read when it was made.
    """

    images: Shards
    ids: tuple[str, ...]
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
    """Packs the images of a folder, in the order of ``ids``.

    Shards of an earlier run are kept where the files that they were made of are the same.

    Args:
        ids: Of the labels.
        folder: Of the images.
        size: Side of the packed images in pixels.
        path: The folder of the pack.

    Returns:
        ``SKIPPED_TABLE``; the pack itself lists the images that could not be read.

    Raises:
        BoneAgeError: No image was found, none can be read, or the disk is full.
    """
    files, missing = find_images(ids, folder)
    todo = lots(files, size)
    of = [files_digest(lot) for lot in todo]

    def make(job: tuple[int, Mapping[str, Path]]) -> Shard:
        number, lot = job
        return _made_shard(shard_path(path, number), lot, size, of[number])

    with one_at_a_time(path):
        make_folder(path)
        shards = _kept_shards(path, of, size)
        jobs = {number: (number, lot) for number, lot in enumerate(todo) if shards[number] is None}
        _remove_others(path, len(todo))
        # Before any shard is touched, the index says which are to be made.
        made = fill_rows(shards, make, jobs, lambda rows: _save(path, rows, size), "pack", "shard")
    if not any(one.ids for one in made):
        raise BoneAgeError(
            f"{folder}: none of its {len(files)} images can be read; run {_maker(folder)} again"
        )
    unreadable = skipped_table(row for one in made for row in one.skipped)
    return pd.concat([missing, unreadable], ignore_index=True)


def _made_shard(path: Path, files: Mapping[str, Path], size: int, of: str) -> Shard:
    images = np.empty((len(files), size, size), np.uint8)
    made = Shard(of=of, ids=[], skipped=[])
    for image_id, file in files.items():
        try:
            images[len(made.ids)] = read_image(file, size)
        except BoneAgeError as error:
            made.skipped.append((image_id, str(error)))
        else:
            made.ids.append(image_id)
    write_shard(path, images[: len(made.ids)])
    return made


def _kept_shards(path: Path, of: Sequence[str], size: int) -> list[Shard | None]:
    """The shards of an earlier run that hold; None for those to make. An image may be readable by now."""
    try:
        before = read_index(path)
    except BoneAgeError:
        return [None] * len(of)
    kept: list[Shard | None] = [None] * len(of)
    for number, (digest, shard) in enumerate(zip(of, before.shards, strict=False)):
        holds = before.size == size and shard and shard.of == digest and not shard.skipped
        if shard and holds and is_whole(path, number, shard, size):
            kept[number] = shard
    return kept


def _remove_others(path: Path, count: int) -> None:
    """Removes what killed runs left, and shards of a larger pack."""
    remove_leftovers(path, LIVING_SECONDS)
    ours = {shard_path(path, number) for number in range(count)}
    for file in set(path.glob("*.npy")) - ours:
        with writing(file):
            file.unlink(missing_ok=True)


def _save(path: Path, shards: list[Shard | None], size: int) -> list[Shard]:
    write_index(path, Index(size=size, shards=shards))
    return [one for one in shards if one]


def open_pack(path: Path | str) -> Pack:
    """Opens a pack without reading its images into memory.

    Raises:
        BoneAgeError: It is missing, not finished, or damaged, or not of a training size.
    """
    path = Path(path)
    index = read_index(path)
    shards = [one for one in index.shards if one]
    if len(shards) < len(index.shards):
        left = len(index.shards) - len(shards)
        raise BoneAgeError(f"{path}: {left} of its shards are not made yet; run `python -m boneage pack`")
    least, most = TRAIN_SIZES
    if not least <= index.size <= most:
        raise BoneAgeError(f"{path}: images of {index.size} px; a side must be between {least} and {most}")
    ids = tuple(one for shard in shards for one in shard.ids)
    if not ids:
        raise BoneAgeError(f"{path / INDEX_NAME}: lists no image; run `python -m boneage pack` again")
    images = Shards(path, [len(shard.ids) for shard in shards], index.size)
    images.check()
    return Pack(images, ids, path, skipped_table(row for shard in shards for row in shard.skipped))


def rows_of(pack: Pack, labels: pd.DataFrame) -> tuple[pd.DataFrame, np.ndarray, list[str]]:
    """Matches labels with the images of a pack.

    Returns:
        The labels that have an image, the pack row of each, and what was left out in words.

    Raises:
        BoneAgeError: No label has an image.
    """
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
    for images in pack.images.files():
        digest.update(images.data)
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
