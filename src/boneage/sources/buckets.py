"""Radiographs in a bucket: they are read where they lie; tables and archives beside them are fetched."""

import hashlib
import itertools
import json
import os
from collections.abc import Iterable
from dataclasses import astuple, dataclass
from pathlib import Path, PurePosixPath

from tqdm.auto import tqdm

from boneage.core.errors import BoneAgeError
from boneage.core.files import make_folder, one_at_a_time, write_text, writing
from boneage.core.objects import Object, fault_of_key, list_objects
from boneage.core.parallel import on_all_cores
from boneage.core.tables import LARGEST_TABLE_BYTES
from boneage.images.dicom import START_BYTES, looks_like_dicom
from boneage.images.reading import IMAGE_SUFFIXES
from boneage.sources import drive, kinds
from boneage.sources.label_tables import OTHER_SUFFIXES, TEXT_SUFFIXES, WORKBOOK_SUFFIXES

_INDEX = ".bucket.json"

_LARGEST_FETCHED = dict.fromkeys((*TEXT_SUFFIXES, *WORKBOOK_SUFFIXES), LARGEST_TABLE_BYTES) | dict.fromkeys(
    kinds.ARCHIVES, drive.LARGEST_BYTES
)
# Known by their names to be neither images nor what is fetched.
_NOT_READ = (*kinds.FOREIGN_ARCHIVES, *OTHER_SUFFIXES)


@dataclass(frozen=True)
class Bucket:
    """What a bucket holds, as if it lay in a folder.

    Attributes:
        address: Its address, with the folder in it.
        objects: Its objects, by the file that each stands for.
        images: Those files that are images; they do not lie in the folder.
        skipped: Rows of ``SKIPPED_TABLE`` for the objects that are left out.
    """

    address: str
    objects: dict[Path, Object]
    images: frozenset[Path]
    skipped: list[tuple[str, str]]

    @property
    def sizes(self) -> dict[Path, int]:
        """The size of every file, in bytes."""
        return {path: one.size for path, one in self.objects.items()}


def fetch(address: str, work: Path | str) -> Path:
    """A folder below ``work/data`` that stands for a bucket; of a single object, its file.

    Images are listed in it and not fetched. What was fetched before and has not changed since, by size and
    date, is kept; an interrupted download goes on.

    Args:
        address: From :func:`boneage.core.objects.bucket_address`.

    Raises:
        BoneAgeError: No such bucket, nothing in it, no connection, not allowed, or the disk is full.
    """
    name = address.rpartition("/")[2]
    place = Path(work, "data", "buckets", _digest(address), name)
    with one_at_a_time(place):
        found = list_objects(address)
        if not found:
            raise BoneAgeError(f"{address}: no object there; check the address")
        if address in found:
            if fault := _too_large(found[address]):
                raise BoneAgeError(f"{address}: {fault}")
            _fetch(found[address], place)
        else:
            _fetch_tables({one.removeprefix(f"{address}/"): found[one] for one in found}, address, place)
    return place


def bucket_of(folder: Path) -> Bucket | None:
    """What a folder of :func:`fetch` stands for; None for any other folder.

    Raises:
        BoneAgeError: Its list is damaged, or not of :func:`fetch`.
    """
    # Beside the folder: what somebody packed into an archive of radiographs must not pass for it.
    index = folder.with_name(_INDEX)
    if not index.is_file():
        return None
    try:
        held = json.loads(index.read_text(encoding="utf-8"))
        objects = {folder / key: Object(*facts) for key, facts in held["objects"].items()}
        images = frozenset(folder / key for key in held["images"])
        address, skipped = held["address"], [(key, reason) for key, reason in held["skipped"]]
        sound = folder.parent.name == _digest(address) and images <= objects.keys()
        for key in held["objects"]:
            sound &= not fault_of_key(key) and objects[folder / key].address == f"{address}/{key}"
        if not sound:
            raise ValueError
        return Bucket(address, objects, images, skipped)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        raise BoneAgeError(f"{index}: damaged; delete it and run fetch again") from None


def _fetch_tables(found: dict[str, Object], address: str, folder: Path) -> None:
    """Fetches what must lie here, and writes the list of all."""
    faults = {key: fault for key in found if (fault := fault_of_key(key))}
    # As in a folder, what an operating system left is no news.
    litter = {key for key in found if key not in faults and any(map(kinds.is_litter, key.split("/")))}
    found = {key: one for key, one in found.items() if key not in litter}
    wanted = [key for key in sorted(found) if key not in faults and _suffix(key) in _LARGEST_FETCHED]
    faults |= {key: fault for key in wanted if (fault := _too_large(found[key]))}
    faults |= _same_places(key for key in wanted if key not in faults)
    images = _images({key: one for key, one in found.items() if key not in faults}, folder)
    fetched = [key for key in wanted if key not in faults]
    for key in tqdm(fetched, "Tables and archives", unit="file", disable=not fetched):
        _fetch(found[key], folder / key)
    objects = {key: astuple(one) for key, one in found.items() if key not in faults}
    skipped = sorted(faults.items())
    held = {"address": address, "objects": objects, "images": sorted(images), "skipped": skipped}
    write_text(make_folder(folder).with_name(_INDEX), json.dumps(held))
    print(
        f"{address}: {len(images)} images, read where they lie; tables and archives fetched: {len(fetched)}"
    )


def _suffix(key: str) -> str:
    return PurePosixPath(key).suffix.lower()


def _too_large(one: Object) -> str:
    largest = _LARGEST_FETCHED.get(_suffix(one.address), drive.LARGEST_BYTES)
    return f"larger than {largest / 2**20:.6g} MiB; not fetched" if one.size > largest else ""


def _same_places(keys: Iterable[str]) -> dict[str, str]:
    """Faults of keys that some disks would take for the same file as another, or for a file and a folder."""
    files, folders, faults = set[str](), set[str](), {}
    for key in keys:
        *above, whole = itertools.accumulate(key.casefold().split("/"), "{}/{}".format)
        if whole in files or whole in folders or files.intersection(above):
            faults[key] = "another object has this name, but for capitals or what follows a slash; rename one"
        else:
            files.add(whole)
            folders.update(above)
    return faults


def _images(found: dict[str, Object], folder: Path) -> set[str]:
    """The keys of images: by their suffix or, of an unknown one, by their first bytes (DICOM)."""
    images = {key for key in found if _suffix(key) in IMAGE_SUFFIXES}
    unknown = [
        key
        for key in found
        if key not in images and _suffix(key) not in _LARGEST_FETCHED and _suffix(key) not in _NOT_READ
    ]
    before = _before(folder)
    images.update(key for key in unknown if before.get(found[key]))
    unknown = [key for key in unknown if found[key] not in before]
    if unknown:
        looked = on_all_cores(
            lambda key: (key, looks_like_dicom(found[key].first(START_BYTES))),
            unknown,
            "Files of an unknown kind",
            unit="file",
        )
        images.update(key for key, is_dicom in looked if is_dicom)
    return images


def _before(folder: Path) -> dict[Object, bool]:
    """Whether each object of the last list was an image."""
    try:
        bucket = bucket_of(folder)
    except BoneAgeError:
        return {}
    return {one: path in bucket.images for path, one in bucket.objects.items()} if bucket else {}


def _fetch(one: Object, path: Path) -> None:
    """Fetches an object to a file with its date, unless that is there already; goes on where it stopped."""
    with writing(path):
        if path.is_file():
            status = path.stat()
            if (status.st_size, status.st_mtime_ns) == (one.size, one.modified):
                return
        part = make_folder(path.parent) / f".{_digest(path.name)}-{_digest(f'{one.size} {one.version}')}.part"
        for other in path.parent.glob(f".{_digest(path.name)}-*.part"):
            if other != part:
                # Of a version that is gone.
                other.unlink()
        with open(part, "ab") as file:
            for chunk in one.chunks(file.tell()):
                file.write(chunk)
        os.utime(part, ns=(one.modified, one.modified))
        part.replace(path)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]
