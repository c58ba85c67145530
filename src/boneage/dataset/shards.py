"""Images of one size in several files, read as if they were one array.

A shard is a plain ``.npy`` file, uint8 (images, size, size), that ``numpy.load`` opens without this package,
too. ``index.json`` beside the shards says which images are in each, in the order of the shards. It is written
first and last: one that has a shard missing is of a pack that is not finished.
"""

import functools
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from pydantic import BaseModel, ValidationError

from boneage.core.errors import BoneAgeError
from boneage.core.files import atomic_write, write_text

INDEX_NAME = "index.json"

_LARGEST_BYTES = 2**26
# So that each core has some, and the bar moves.
_LEAST_SHARDS = 32
# Each open file counts towards the limit of the process, often 1024.
_MOST_OPEN = 512

_AGAIN = "make it again with `python -m boneage pack`"


class Shard(BaseModel, strict=True):
    """What a shard holds.

    Attributes:
        of: Digest of the files that it was made of.
        ids: The image id of each row.
        skipped: Image id and reason of each image that could not be read.
    """

    of: str
    ids: list[str]
    skipped: list[tuple[str, str]]


class Index(BaseModel, strict=True):
    """The shards of a pack, None for those that are not made yet, and the side of their images in pixels."""

    size: int
    shards: list[Shard | None]


class Shards:
    """Images in several files, indexed like one array: by a row, a slice, a mask, or a list of rows.

    A file is memory-mapped when an image of it is asked for, and only so many stay open.

    Attributes:
        shape: (images, size, size).
    """

    def __init__(self, folder: Path, counts: Sequence[int], size: int):
        self._rows = np.arange(sum(counts))
        self._ends = np.cumsum(counts)
        self.shape = (len(self._rows), size, size)
        self._counts, self._open = counts, functools.partial(_open, folder, counts, size)
        # Of no method: in a cycle with this object the files would stay open after it.
        self._opened = functools.lru_cache(_MOST_OPEN)(self._open)

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, rows: "int | slice | np.ndarray | Sequence[int]") -> np.ndarray:
        wanted = self._rows[rows]
        numbers = np.searchsorted(self._ends, wanted, side="right")
        # Counted from the end of each shard.
        places = wanted - self._ends[numbers]
        images = np.empty((wanted.size, *self.shape[1:]), np.uint8)
        for row, (number, place) in enumerate(zip(numbers.flat, places.flat, strict=True)):
            images[row] = self._opened(number)[place]
        return images.reshape(*wanted.shape, *self.shape[1:])

    def files(self) -> Iterator[np.ndarray]:
        """The images of each file; memory holds those of one."""
        return (self._open(number) for number, count in enumerate(self._counts) if count)

    def check(self) -> None:
        """Raises a BoneAgeError if a file is missing or damaged."""
        for _ in self.files():
            pass


def _open(folder: Path, counts: Sequence[int], size: int, number: int) -> np.ndarray:
    path = shard_path(folder, number)
    images = _mapped(path)
    wanted = (counts[number], size, size)
    if images.shape != wanted:
        raise BoneAgeError(f"{path}: shape {images.shape} instead of {wanted}; {_AGAIN}")
    return images


def shard_path(folder: Path, number: int) -> Path:
    """The file of a shard."""
    return folder / f"{number:05d}.npy"


def lots(files: Mapping[str, Path], size: int) -> list[dict[str, Path]]:
    """The files by image id that make each shard of a pack, of a side in pixels."""
    count = max(1, min(_LARGEST_BYTES // size**2, -(-len(files) // _LEAST_SHARDS)))
    every = list(files.items())
    return [dict(every[start : start + count]) for start in range(0, len(every), count)]


def write_shard(path: Path, images: np.ndarray) -> None:
    """Writes a shard; one without images has no file.

    Raises:
        BoneAgeError: The folder is read-only, or the disk is full.
    """
    if len(images):
        with atomic_write(path) as file:
            np.save(file, images)


def write_index(folder: Path, index: Index) -> None:
    """Writes the index of a pack.

    Raises:
        BoneAgeError: The folder is read-only, or the disk is full.
    """
    write_text(folder / INDEX_NAME, index.model_dump_json() + "\n")


def read_index(folder: Path) -> Index:
    """Reads the index of a pack.

    Raises:
        BoneAgeError: There is none, it is damaged, or it has an image twice.
    """
    path = folder / INDEX_NAME
    try:
        index = Index.model_validate_json(path.read_bytes())
    except OSError as error:
        raise BoneAgeError(f"{path}: {error.strerror}; {_AGAIN}") from None
    except ValidationError:
        raise BoneAgeError(f"{path}: damaged; {_AGAIN}") from None
    ids = [one for shard in index.shards if shard for one in shard.ids]
    if len(set(ids)) != len(ids):
        raise BoneAgeError(f"{path}: has an image twice; {_AGAIN}")
    return index


def is_whole(folder: Path, number: int, shard: Shard, size: int) -> bool:
    """Whether the file of a shard is there with all its images."""
    try:
        return not shard.ids or _mapped(shard_path(folder, number)).shape == (len(shard.ids), size, size)
    except BoneAgeError:
        return False


def _mapped(path: Path) -> np.ndarray:
    try:
        images = np.load(path, mmap_mode="r", allow_pickle=False)
    except Exception as error:  # A damaged header can make NumPy's reader raise anything.
        reason = getattr(error, "strerror", None) or "not a whole .npy file"
        raise BoneAgeError(f"{path}: {reason}; {_AGAIN}") from None
    if not isinstance(images, np.memmap) or images.dtype != np.uint8 or not images.flags.c_contiguous:
        raise BoneAgeError(f"{path}: not an array of 8-bit images; {_AGAIN}")
    if path.stat().st_size != images.offset + images.nbytes:
        raise BoneAgeError(f"{path}: longer than its images; {_AGAIN}")
    # Without what a memmap does at every access.
    return images.view(np.ndarray)
