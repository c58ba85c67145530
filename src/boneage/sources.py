"""What the sources have in common: a walk through a downloaded folder, CSV headers, ages, the case table."""

import math
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from boneage.errors import BoneAgeError
from boneage.tables import CASE_COLUMNS, OLDEST_YEARS, read_table

PHOTO_SUFFIXES = (".jpg", ".jpeg", ".png")

_HEADER_BYTES = 4096
_LITTER = ("__macosx", "thumbs.db")


@dataclass
class Listing:
    """The files below a folder, in path order, and what was passed over with the reason."""

    folder: Path
    files: list[Path] = field(default_factory=list)
    skipped: list[tuple[str, str]] = field(default_factory=list)

    def skip(self, path: Path, reason: str) -> None:
        """Notes a file by its path below the folder."""
        self.skipped.append((shown(path, self.folder), reason))

    def photos(self) -> list[Path]:
        """The files with a photo's suffix."""
        return [path for path in self.files if path.suffix.lower() in PHOTO_SUFFIXES]

    def csv_files(self) -> list[Path]:
        """The files with a table's suffix."""
        return [path for path in self.files if path.suffix.lower() == ".csv"]


def shown(path: Path, folder: Path) -> str:
    """A path below ``folder`` as text that any table can hold."""
    relative = path.relative_to(folder) if path.is_relative_to(folder) else path
    return relative.as_posix().encode("utf-8", "replace").decode()


def list_files(folder: Path | str) -> Listing:
    """Every file below a folder, in path order.

    Hidden files and the litter of macOS and Windows are left out in silence. A symbolic link is used only
    when it is a file's and leads to a file inside the folder.

    Raises:
        BoneAgeError: No such folder, or it cannot be read.
    """
    # The path is kept as the user gave it (a Drive shortcut stays one), made absolute.
    folder = Path(os.path.abspath(folder))
    if os.path.isfile(folder):
        raise BoneAgeError(f"{folder}: a file, not a folder; unpack it first or name the folder beside it")
    if not os.path.isdir(folder):
        raise BoneAgeError(f"{folder}: no such folder; check the path")
    listing = Listing(folder)
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
    listing.files.sort()
    return listing


def normalised(name: str) -> str:
    """A column name without case, spaces and punctuation: ``Bone Age (months)`` is ``boneagemonths``."""
    return re.sub(r"[^a-z0-9]", "", name.lower())


def header_of(path: Path) -> set[str]:
    """The normalised column names of a CSV; empty where it cannot be read."""
    try:
        with open(path, "rb") as file:
            start = file.read(_HEADER_BYTES).decode("utf-8-sig", "replace")
    except OSError:
        return set()
    lines = start.splitlines()
    return {normalised(name) for name in re.split("[,;\t]", lines[0])} if lines else set()


def read_normalised(path: Path, columns: Mapping[str, Iterable[str]]) -> pd.DataFrame:
    """Reads a CSV whose columns go by several names.

    Args:
        path: The CSV file.
        columns: For each wanted column the normalised names it may have.

    Returns:
        The wanted columns, as text, in file order.

    Raises:
        BoneAgeError: The file is not a table, or a column is missing.
    """
    table = read_table(path, ())
    found = {}
    for wanted, names in columns.items():
        matches = [index for index, name in enumerate(table.columns) if normalised(name) in names]
        if not matches:
            raise BoneAgeError(f"{path}: column {' or '.join(names)} is missing; mend its header")
        found[wanted] = table.iloc[:, matches[0]]
    return pd.DataFrame(found, columns=list(columns))


def number_of(text: str) -> float:
    """The number a cell holds; NaN where it holds none."""
    try:
        return float(text)
    except ValueError:
        return math.nan


def age_fault(text: str, years: float) -> str | None:
    """Why an age in years cannot be a bone age, or None where it can.

    Args:
        text: The cell it was read from, for the reason.
        years: The age in years; NaN where the cell holds no number.
    """
    if not math.isfinite(years):
        return f"bone age {text!r} is not a number; correct it in the table"
    if years < 0:
        return f"bone age {text!r} is negative; correct it in the table"
    if years > OLDEST_YEARS:
        return f"bone age {text!r} is above {OLDEST_YEARS:g} years; correct it in the table"
    return None


def case_table(rows: Iterable[Mapping[str, object]]) -> pd.DataFrame:
    """The case table of some rows: columns as in ``tables.CASE_COLUMNS``, sorted by case id.

    ``age_group`` is whole years (nullable), ``bone_age`` and the readings are years (NaN where absent).
    """
    table = pd.DataFrame(list(rows), columns=list(CASE_COLUMNS))
    kinds = {"age_group": "Int64", "bone_age": "float64", "reading_1": "float64", "reading_2": "float64"}
    return table.astype(kinds).sort_values("case_id", kind="stable", ignore_index=True)


def _is_litter(name: str) -> bool:
    return name.startswith(".") or name.lower() in _LITTER


def _is_utf8(path: Path) -> bool:
    try:
        str(path).encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True
