"""Shared by the sources: the walk through a downloaded folder, and the tables that come of it."""

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import pandas as pd

from boneage.core.errors import BoneAgeError
from boneage.core.objects import Object
from boneage.core.tables import CASE_TABLE, skipped_table
from boneage.images.reading import is_image
from boneage.sources import buckets, kinds
from boneage.sources.label_tables import TABLE_SUFFIXES, WORKBOOK_SUFFIXES, FoundTable, tables_in
from boneage.sources.units import Unit

_NOT_USED = "neither an image nor a table; not used"
_MOST_SEEN = 4


@dataclass
class Listing:
    """The files below a folder in path order, and what was skipped.

    Attributes:
        unpacked: For each archive below it, and those in it, the folder it was unpacked to, or why it was
            not.
        skipped: Rows of ``SKIPPED_TABLE``.
        noted: Their items that were kept and only have a remark.
        units: The unit found for each table of ages: ``table``, ``unit`` and ``why``.
        bucket: The bucket whose files these are, of which only some lie in the folder.
    """

    folder: Path
    unpacked: Mapping[Path, Path | str] = field(default_factory=dict)
    files: list[Path] = field(default_factory=list)
    skipped: list[tuple[str, str]] = field(default_factory=list)
    noted: set[str] = field(default_factory=set)
    units: list[dict[str, str]] = field(default_factory=list)
    bucket: buckets.Bucket | None = None

    @property
    def place(self) -> str:
        """The folder, or the address of the bucket, for errors."""
        return self.bucket.address if self.bucket else str(self.folder)

    def source_of(self, image: Path) -> Path | Object:
        """Where an image is read: its file, or an object in the bucket."""
        return self.bucket.objects[image] if self.bucket and image in self.bucket.images else image

    @property
    def roots(self) -> list[Path]:
        """The folder, and those outside it that its archives were unpacked to."""
        roots = [self.folder]
        for place in sorted({place for place in self.unpacked.values() if isinstance(place, Path)}):
            # In path order, folders in a root directly follow it.
            if not place.is_relative_to(self.folder) and not place.is_relative_to(roots[-1]):
                roots.append(place)
        return roots

    def shown(self, path: Path) -> str:
        """A file's path below its root, as valid UTF-8 text."""
        root = next((one for one in self.roots if path.is_relative_to(one)), None)
        relative = path.relative_to(root) if root else path
        if root and root != self.folder:
            relative = root.name / relative
        return relative.as_posix().encode("utf-8", "replace").decode()

    def skip(self, item: Path | str, reason: str, is_kept: bool = False) -> None:
        """Notes a file, or anything else by its name, that is not used or has a remark."""
        shown = self.shown(item) if isinstance(item, Path) else item
        self.skipped.append((shown, reason))
        if is_kept:
            self.noted.add(shown)

    def note_unit(self, table: FoundTable, unit: Unit) -> None:
        self.units.append({"table": table.name, "unit": unit.name, "why": unit.why})

    @cached_property
    def images(self) -> list[Path]:
        """Images by suffix or, without one, by their first bytes (DICOM)."""
        others = (*TABLE_SUFFIXES, *kinds.ALL_ARCHIVES)
        there = self.bucket.images if self.bucket else ()
        return [
            path
            for path in self.files
            if path.suffix.lower() not in others and (path in there or is_image(path))
        ]

    def tables(self, beside: bool = False) -> list[FoundTable]:
        """The tables below the folder; unreadable ones are noted.

        Args:
            beside: Also tables in the parent folder.
        """
        paths = [path for path in self.files if path.suffix.lower() in TABLE_SUFFIXES]
        if beside:
            paths += sorted(
                path
                for path in self.folder.parent.glob("*")
                if path.suffix.lower() in (".csv", ".tsv", *WORKBOOK_SUFFIXES)
                and path.is_file()
                and not kinds.is_litter(path.name)
            )
        found: list[FoundTable] = []
        for path in paths:
            try:
                found += tables_in(path, self.shown(path))
            except BoneAgeError as error:
                self.skip(path, str(error).removeprefix(f"{path}: "))
        return found

    def skip_the_rest(self) -> None:
        """Notes every other file, so that nothing is ignored silently."""
        images = set(self.images)
        for path in self.files:
            suffix = path.suffix.lower()
            if suffix in kinds.ALL_ARCHIVES:
                place = self.unpacked.get(path, "an unsupported archive; unpack it here")
                if isinstance(place, str):
                    self.skip(path, place)
            elif path not in images and suffix not in TABLE_SUFFIXES:
                self.skip(path, _NOT_USED)

    def seen(self) -> str:
        """What was found but not used and why, tables and archives first, for a one-line error."""
        rows = sorted(self.skipped, key=lambda row: _NOT_USED in row[1])
        shown = "; ".join(f"{item}: {reason}" for item, reason in rows[:_MOST_SEEN])
        more = f"; and {len(rows) - _MOST_SEEN} more" if len(rows) > _MOST_SEEN else ""
        return f" (found: {shown}{more})" if rows else ""

    def case_table(self, rows: Iterable[Mapping[str, object]]) -> tuple[pd.DataFrame, pd.DataFrame]:
        """``tables.CASE_TABLE`` from rows, sorted by case id, and ``SKIPPED_TABLE``.

        ``age_group`` is whole years (nullable), bone age and readings are years (NaN if absent); ``attrs``
        has ``units`` and ``noted``.
        """
        table = pd.DataFrame(list(rows), columns=list(CASE_TABLE))
        if self.bucket:
            addresses = {str(path): self.bucket.objects[path].address for path in self.bucket.images}
            table["image"] = table["image"].map(lambda image: addresses.get(image, image))
        kinds = {"age_group": "Int64", "bone_age": "float64", "reading_1": "float64", "reading_2": "float64"}
        table = table.astype(kinds).sort_values("case_id", kind="stable", ignore_index=True)
        table.attrs = {"units": self.units, "noted": sorted(self.noted)}
        return table, skipped_table(self.skipped)


def list_files(folder: Path | str, unpacked: Mapping[Path, Path | str] | None = None) -> Listing:
    """Every file below a folder, in path order.

    Hidden files and system files of macOS and Windows are left out silently, a work folder below it with a
    word. Symbolic links are followed only from file to file within the folder.

    Args:
        unpacked: What its archives were unpacked to (:func:`boneage.sources.local.unpack_below`).

    Raises:
        BoneAgeError: No such folder.
    """
    # Made absolute but not resolved: a Drive shortcut stays one.
    folder = Path(os.path.abspath(folder))
    if os.path.isfile(folder):
        raise BoneAgeError(f"{folder}: a file, not a folder; unpack it first, or give the folder it is in")
    if not os.path.isdir(folder):
        raise BoneAgeError(f"{folder}: no such folder; check the path")
    listing = Listing(folder, unpacked or {}, bucket=buckets.bucket_of(folder))
    for root in listing.roots:
        if root == folder and listing.bucket:
            listing.files += listing.bucket.objects
            listing.skipped += listing.bucket.skipped
        else:
            _walk(root, listing)
    listing.files.sort()
    return listing


def _walk(folder: Path, listing: Listing) -> None:
    inside = Path(os.path.realpath(folder))

    def unreadable(error: OSError) -> None:
        listing.skip(Path(error.filename), f"folder cannot be read ({error.strerror}); check its permissions")

    for root, names, files in os.walk(folder, onerror=unreadable):
        for name in [name for name in names if os.path.islink(os.path.join(root, name))]:
            names.remove(name)
            listing.skip(Path(root, name), "link to a folder, not followed; copy the folder here")
        for name in [name for name in names if _is_work_folder(Path(root, name))]:
            # Or the images that were made would be taken for sources, and be made of themselves.
            names.remove(name)
            listing.skip(Path(root, name), "a work folder with what was made; not read as a source")
        names[:] = sorted(name for name in names if not kinds.is_litter(name))
        for name in sorted(name for name in files if not kinds.is_litter(name)):
            path = Path(root, name)
            if not _is_utf8(path):
                listing.skip(path, "its path is not UTF-8; rename it")
            elif os.path.islink(path) and not Path(os.path.realpath(path)).is_relative_to(inside):
                listing.skip(path, "link out of the folder, not followed; copy the file here")
            elif os.path.isfile(path):
                listing.files.append(path)
            else:
                listing.skip(path, "broken link or not a file; copy the file here")


def _is_work_folder(folder: Path) -> bool:
    """Whether the cases stage has written its table there, with the facts beside it."""
    return all((folder / name).is_file() for name in ("cases.csv", "cases.json"))


def _is_utf8(path: Path) -> bool:
    return str(path) == str(path).encode("utf-8", "replace").decode()
