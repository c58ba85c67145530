"""Radiographs from a file, a folder or an archive, to estimates."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from boneage.core.errors import BoneAgeError, one_line
from boneage.core.parallel import on_all_cores
from boneage.estimate.ensemble import Ensemble
from boneage.estimate.estimating import Estimate, estimate_hands
from boneage.estimate.hands import CheckedHand, check_hands
from boneage.images.grey_range import to_uint8
from boneage.images.reading import read_grey
from boneage.images.square import read_source
from boneage.sources.archives import is_archive, unpack
from boneage.sources.listing import list_files

LARGEST_UNPACKED_BYTES = 8 * 2**30
"""Of an archive; some thousand radiographs."""

# Radiographs in memory at a time, as squares of 928 pixels.
_LOT = 32


@dataclass(frozen=True, eq=False)
class Estimated:
    """A hand, or a file without one, and what is said of it.

    Attributes:
        file: As it is shown: its path below the folder or archive.
        place: Which hand of the film, where there are two.
        estimate: What is said of it.
        hand: As it was checked; None for a file that cannot be read.
    """

    file: str
    place: str
    estimate: Estimate
    hand: CheckedHand | None = None

    @property
    def title(self) -> str:
        """The file, and which hand of it."""
        return ", ".join(filter(None, (self.file, self.place)))


@dataclass(frozen=True)
class Radiographs:
    """Files to estimate, by the name that is shown, and what beside them is no image, with the reason."""

    files: dict[str, Path]
    skipped: list[tuple[str, str]] = field(default_factory=list)


def find_radiographs(path: Path | str, folder: Path) -> Radiographs:
    """The radiographs that a path means.

    Args:
        path: A file, a folder, or a zip or tar archive.
        folder: Where an archive is unpacked.

    Raises:
        BoneAgeError: There is none, or the archive is unsafe.
    """
    path = Path(path)
    if not path.exists():
        raise BoneAgeError(f"{path}: no such file or folder; check the path")
    if path.is_dir():
        below = path
    elif path.is_file() and is_archive(path):
        below = unpack(path, folder / "unpacked", LARGEST_UNPACKED_BYTES)
    else:
        return Radiographs({path.name: path})
    listing = list_files(below)
    listing.skip_the_rest()
    files = {listing.shown(one): one for one in listing.images}
    if not files:
        raise BoneAgeError(f"{path}: holds no image{listing.seen()}; give JPEG, PNG, TIFF or DICOM files")
    return Radiographs(files, listing.skipped)


def read_radiograph(path: Path, name: str) -> np.ndarray:
    """A radiograph at 8 bits, uint8 (height, width). Of a DICOM file nothing but its image is kept.

    Raises:
        BoneAgeError: As :func:`boneage.images.reading.read_grey`, or it cannot be read.
    """
    return to_uint8(read_grey(read_source(path, name)[0], name)[0])


def estimate_upload(
    data: bytes, name: str, ensemble: Ensemble, sex: str = "", age: float | None = None
) -> list[Estimated]:
    """What is said of each hand on a radiograph that is in memory and stays there.

    Args:
        data: The file's bytes.
        name: Its name as it is shown.
        ensemble: The networks.
        sex: As for :func:`boneage.estimate.estimating.estimate_hands`.
        age: As there.

    Raises:
        BoneAgeError: As :func:`boneage.images.reading.read_grey`, or the sex or the age is impossible.
    """
    hands = check_hands(to_uint8(read_grey(data, name)[0]))
    said = estimate_hands(hands, ensemble, sex, age)
    return [Estimated(name, hand.place, one, hand) for hand, one in zip(hands, said, strict=True)]


def estimate_files(
    radiographs: Radiographs,
    ensemble: Ensemble,
    sex: str = "",
    age: float | None = None,
    show_letters: bool = False,
) -> Iterator[Estimated]:
    """What is said of each hand on each radiograph, in the order of the files.

    Args:
        radiographs: From :func:`find_radiographs`.
        ensemble: The networks.
        sex: As for :func:`boneage.estimate.estimating.estimate_hands`.
        age: As there.
        show_letters: As for :func:`boneage.estimate.hands.check_hands`.

    Raises:
        BoneAgeError: The sex or the age is impossible.
    """
    # An impossible sex or age is told before the first file is read.
    estimate_hands([], ensemble, sex, age)

    def check(item: tuple[str, Path]) -> tuple[str, list[CheckedHand] | str]:
        name, path = item
        try:
            return name, check_hands(read_radiograph(path, name), show_letters)
        except BoneAgeError as error:
            return name, one_line(str(error).removeprefix(f"{name}: "))

    lot: list[tuple[str, CheckedHand | str]] = []
    for name, found in on_all_cores(
        check,
        list(radiographs.files.items()),
        "estimate",
        progress=len(radiographs.files) > 1,
        in_order=True,
    ):
        lot += [(name, one) for one in ([found] if isinstance(found, str) else found)]
        if len(lot) >= _LOT:
            yield from _of_lot(lot, ensemble, sex, age)
            lot = []
    yield from _of_lot(lot, ensemble, sex, age)


def _of_lot(
    lot: Sequence[tuple[str, CheckedHand | str]], ensemble: Ensemble, sex: str, age: float | None
) -> Iterator[Estimated]:
    hands = [one for _, one in lot if not isinstance(one, str)]
    said = iter(estimate_hands(hands, ensemble, sex, age))
    for name, one in lot:
        if isinstance(one, str):
            yield Estimated(name, "", Estimate(sex=sex, age=age, refusal=one))
        else:
            yield Estimated(name, one.place, next(said), one)
