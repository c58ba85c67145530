"""What the sources have in common: a walk through a downloaded folder, and the case table."""

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import pandas as pd

from boneage.core.errors import BoneAgeError
from boneage.core.tables import CASE_TABLE
from boneage.images.reading import is_image
from boneage.sources import kinds
from boneage.sources.archives import STAMP
from boneage.sources.label_tables import TABLE_SUFFIXES, WORKBOOK_SUFFIXES, FoundTable, tables_in

ARCHIVE_SUFFIXES = (*kinds.ARCHIVES, *kinds.FOREIGN_ARCHIVES)

_NOT_USED = "neither an image nor a table; not used"
_MOST_SEEN = 4
_LITTER = ("__macosx", "thumbs.db", "ehthumbs.db", "desktop.ini", "$recycle.bin", "phantom.json")


@dataclass
class Listing:
    """The files below a folder, in path order, and what was passed over with the reason.

    Attributes:
        folder: The folder, and what its archives were unpacked to in ``unpacked``.
        unpacked: For each archive below it the folder that it was unpacked to, or why it was not.
        files: All files.
        skipped: Rows of ``tables.SKIPPED_TABLE``.
    """

    folder: Path
    unpacked: Mapping[Path, Path | str] = field(default_factory=dict)
    files: list[Path] = field(default_factory=list)
    skipped: list[tuple[str, str]] = field(default_factory=list)

    @property
    def roots(self) -> list[Path]:
        """The folder, and those outside it that its archives were unpacked to."""
        outside = {place for place in self.unpacked.values() if isinstance(place, Path)}
        return [self.folder, *sorted(one for one in outside if not one.is_relative_to(self.folder))]

    def shown(self, path: Path) -> str:
        """A file's path below the folder, or below what an archive was unpacked to, as text for any table."""
        root = next((one for one in self.roots if path.is_relative_to(one)), None)
        relative = path.relative_to(root) if root else path
        if root and root != self.folder:
            relative = root.name / relative
        return relative.as_posix().encode("utf-8", "replace").decode()

    def skip(self, path: Path, reason: str) -> None:
        """Notes a file by its path below the folder."""
        self.skipped.append((self.shown(path), reason))

    @cached_property
    def images(self) -> list[Path]:
        """The files that are images by their suffix or, without one, by their start (DICOM)."""
        others = (*TABLE_SUFFIXES, *ARCHIVE_SUFFIXES)
        return [path for path in self.files if path.suffix.lower() not in others and is_image(path)]

    def tables(self, beside: bool = False) -> list[FoundTable]:
        """The tables below the folder; what cannot be read as one is noted with the reason.

        Args:
            beside: Also those in the folder that holds it.
        """
        paths = [path for path in self.files if path.suffix.lower() in TABLE_SUFFIXES]
        if beside:
            paths += sorted(
                path
                for path in self.folder.parent.glob("*")
                if path.suffix.lower() in (".csv", ".tsv", *WORKBOOK_SUFFIXES)
                and path.is_file()
                and not _is_litter(path.name)
            )
        found: list[FoundTable] = []
        for path in paths:
            try:
                found += tables_in(path, self.shown(path))
            except BoneAgeError as error:
                self.skip(path, str(error).removeprefix(f"{path}: "))
        return found

    def skip_the_rest(self) -> None:
        """Notes every file that is neither an image nor a table: nothing is passed over in silence."""
        images = set(self.images)
        for path in self.files:
            suffix = path.suffix.lower()
            if suffix in ARCHIVE_SUFFIXES:
                place = self.unpacked.get(path, "an archive that is not read; unpack it here")
                # One within an archive was unpacked beside itself.
                beside = path.with_suffix("")
                if isinstance(place, str) and not (beside != path and (beside / STAMP).exists()):
                    self.skip(path, place)
            elif path not in images and suffix not in TABLE_SUFFIXES:
                self.skip(path, _NOT_USED)

    def seen(self) -> str:
        """What was seen and why it was not used, tables and archives first, for an error of one line."""
        rows = sorted(self.skipped, key=lambda row: _NOT_USED in row[1])
        shown = "; ".join(f"{item}: {reason}" for item, reason in rows[:_MOST_SEEN])
        more = f"; and {len(rows) - _MOST_SEEN} more" if len(rows) > _MOST_SEEN else ""
        return f" (seen: {shown}{more})" if rows else ""


def list_files(folder: Path | str, unpacked: Mapping[Path, Path | str] | None = None) -> Listing:
    """Every file below a folder, in path order.

    Hidden files and the litter of macOS and Windows are left out in silence. A symbolic link is used only
    when it is a file's and leads to a file inside the folder.

    Args:
        folder: The folder.
        unpacked: What its archives were unpacked to, or why not (:func:`boneage.sources.local.unpack_below`).
    """
    # The path is kept as the user gave it (a Drive shortcut stays one), made absolute.
    folder = Path(os.path.abspath(folder))
    if os.path.isfile(folder):
        raise BoneAgeError(f"{folder}: a file, not a folder; unpack it first or name the folder beside it")
    if not os.path.isdir(folder):
        raise BoneAgeError(f"{folder}: no such folder; check the path")
    listing = Listing(folder, unpacked or {})
    for root in listing.roots:
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
            listing.skip(Path(root, name), "a link to a folder is not followed; copy the folder here")
        names[:] = sorted(name for name in names if not _is_litter(name))
        for name in sorted(name for name in files if not _is_litter(name)):
            path = Path(root, name)
            if not _is_utf8(path):
                listing.skip(path, "its path is not UTF-8; rename it")
            elif os.path.islink(path) and not Path(os.path.realpath(path)).is_relative_to(inside):
                listing.skip(path, "a link that leads out of the folder is not followed; copy the file here")
            elif os.path.isfile(path):
                listing.files.append(path)
            else:
                listing.skip(path, "a link that leads nowhere, or no file; copy the file here")


def case_table(
    rows: Iterable[Mapping[str, object]],
    units: Iterable[Mapping[str, str]] = (),
    noted: Iterable[str] = (),
) -> pd.DataFrame:
    """The case table of some rows: columns as in ``tables.CASE_TABLE``, sorted by case id.

    ``age_group`` is whole years (nullable), ``bone_age`` and the readings are years (NaN where absent).

    Args:
        rows: The cases.
        units: What each table of ages was taken for: ``table``, ``unit`` and ``why``. They stand in the
            table's ``attrs["units"]``.
        noted: Items of the table of what was left out that only carry a remark; in ``attrs["noted"]``.
    """
    table = pd.DataFrame(list(rows), columns=list(CASE_TABLE))
    kinds = {"age_group": "Int64", "bone_age": "float64", "reading_1": "float64", "reading_2": "float64"}
    table = table.astype(kinds).sort_values("case_id", kind="stable", ignore_index=True)
    table.attrs = {"units": [dict(one) for one in units], "noted": sorted(set(noted))}
    return table


def _is_litter(name: str) -> bool:
    return name.startswith((".", "~$")) or name.endswith(".lock") or name.lower() in _LITTER


def _is_utf8(path: Path) -> bool:
    try:
        str(path).encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True
