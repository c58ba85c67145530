"""Radiographs from a file, a folder or an archive, to estimates."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from boneage.core.errors import BoneAgeError, one_line
from boneage.core.objects import Object, Unanswered, bucket_address
from boneage.core.parallel import on_all_cores
from boneage.estimate.ensemble import Ensemble
from boneage.estimate.estimating import UNKNOWN, Child, Estimate, estimate_hands
from boneage.estimate.hands import CheckedHand, check_hands
from boneage.images.grey_range import to_uint8
from boneage.images.reading import read_grey
from boneage.images.square import read_source
from boneage.sources import buckets
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
        page: The file of its page; empty if none was written.
    """

    file: str
    place: str
    estimate: Estimate
    hand: CheckedHand | None = None
    page: str = ""

    @property
    def title(self) -> str:
        """The file, and which hand of it."""
        return ", ".join(filter(None, (self.file, self.place)))


@dataclass(frozen=True)
class Radiographs:
    """What to estimate, by the name that is shown, and what beside it is no image, with the reason."""

    files: dict[str, Path | Object]
    skipped: list[tuple[str, str]] = field(default_factory=list)


def find_radiographs(path: Path | str, folder: Path) -> Radiographs:
    """The radiographs that a path means.

    Args:
        path: A file, a folder, a zip or tar archive, or the address of a folder in a bucket.
        folder: Where an archive is unpacked.

    Raises:
        BoneAgeError: There is none, or the archive is unsafe.
    """
    named = str(path)
    path = buckets.fetch(address, folder) if (address := bucket_address(named)) else Path(path)
    if not path.exists():
        raise BoneAgeError(f"{path}: no such file or folder; check the path")
    if path.is_dir():
        below = path
    elif path.is_file() and is_archive(path):
        below = unpack(path, folder / "unpacked", LARGEST_UNPACKED_BYTES)
    else:
        # A name that is no UTF-8 could not be written into the table of estimates.
        return Radiographs({path.name.encode("utf-8", "replace").decode(): path})
    listing = list_files(below)
    listing.skip_the_rest()
    files = {listing.shown(one): listing.source_of(one) for one in listing.images}
    if not files:
        raise BoneAgeError(f"{named}: holds no image{listing.seen()}; give JPEG, PNG, TIFF or DICOM files")
    return Radiographs(files, listing.skipped)


def read_radiograph(path: Path | Object, name: str) -> np.ndarray:
    """A radiograph at 8 bits, uint8 (height, width). Of a DICOM file nothing but its image is kept.

    Raises:
        BoneAgeError: As :func:`boneage.images.reading.read_grey`, or it cannot be read.
    """
    return to_uint8(read_grey(read_source(path, name)[0], name)[0])


def estimate_upload(data: bytes, name: str, ensemble: Ensemble, child: Child = UNKNOWN) -> list[Estimated]:
    """What is said of each hand on a radiograph that is in memory and stays there.

    Args:
        data: The file's bytes.
        name: Its name as it is shown.
        ensemble: The networks.
        child: Whose hand it is.

    Raises:
        BoneAgeError: As :func:`boneage.images.reading.read_grey`.
    """
    hands = check_hands(to_uint8(read_grey(data, name)[0]))
    said = estimate_hands(hands, ensemble, [child] * len(hands))
    return [Estimated(name, hand.place, one, hand) for hand, one in zip(hands, said, strict=True)]


def estimate_files(
    radiographs: Radiographs,
    ensemble: Ensemble,
    child: Child | Mapping[str, Child] = UNKNOWN,
    show_letters: bool = False,
) -> Iterator[Estimated]:
    """What is said of each hand on each radiograph, in the order of the files.

    Args:
        radiographs: From :func:`find_radiographs`.
        ensemble: The networks.
        child: Whose hands they are; or of each file by its name, as from
            :func:`boneage.estimate.children.read_children`. Of those not in it nothing is known.
        show_letters: As for :func:`boneage.estimate.hands.check_hands`.
    """

    def check(item: tuple[str, Path | Object]) -> tuple[str, list[CheckedHand] | str]:
        name, path = item
        try:
            return name, check_hands(read_radiograph(path, name), show_letters)
        except Unanswered:
            raise
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
            yield from _of_lot(lot, ensemble, child)
            lot = []
    yield from _of_lot(lot, ensemble, child)


def _of_lot(
    lot: Sequence[tuple[str, CheckedHand | str]], ensemble: Ensemble, child: Child | Mapping[str, Child]
) -> Iterator[Estimated]:
    children = {name: child if isinstance(child, Child) else child.get(name, UNKNOWN) for name, _ in lot}
    hands = [(one, children[name]) for name, one in lot if not isinstance(one, str)]
    said = iter(estimate_hands([hand for hand, _ in hands], ensemble, [whose for _, whose in hands]))
    for name, one in lot:
        if isinstance(one, str):
            whose = children[name]
            yield Estimated(name, "", Estimate(sex=whose.sex, age=whose.age, refusal=one))
        else:
            yield Estimated(name, one.place, next(said), one)
