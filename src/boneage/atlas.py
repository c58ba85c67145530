"""The Digital Hand Atlas as downloaded or unpacked: its tree and its readings become a case table.

Gertych et al., Bone age assessment of children using a digital hand atlas, Comput Med Imaging Graph
2007;31:322-331. The folders give race, sex and whole years of age; two radiologists' readings are
published apart from the photos, by photo number.
"""

import math
import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
import pandas as pd

from boneage.errors import BoneAgeError
from boneage.sources import (
    PHOTO_SUFFIXES,
    Listing,
    age_fault,
    case_table,
    header_of,
    list_files,
    number_of,
    read_normalised,
    shown,
)
from boneage.tables import MONTHS_PER_YEAR, read_table, skipped_table

RACE_OF_CODE = {
    "ASI": "Asian",
    "BLK": "African American",
    "CAU": "Caucasian",
    "HIS": "Hispanic American",
}
OLDEST_AGE_GROUP = 18

WRONG_LINKS = {
    ("ASIF05", "5260"): "5262",
    ("BLKF06", "7090"): "7290",
    ("BLKM13", "7022"): "7101",
    ("CAUF14", "7126"): "7154",
    ("CAUM12", "7185"): "7186",
}
"""Photo numbers that the atlas's own index has wrong: (group, number in the link) -> right number."""

NEVER_FOUND = {("BLKF12", "7144")}
"""Photos that the atlas's own index names and that nobody has found there."""

# fmt: off
DOUBTED_READINGS = (
    "3200", "3208", "3300", "3763", "4490", "4521", "5003", "5135", "5555", "5763", "6002", "6023",
)
# fmt: on
"""Photos whose readings the authors of BoneXpert doubt, after their automated reading of the whole atlas
(Thodberg and Sävendahl, Validation and reference values of automated bone age determination for four
ethnicities, Acad Radiol 2010;17:1425-1432). They stay in the case table; see :func:`doubted`."""

TREE = "JPEGimages/BLKM/BLKM10/3145.jpg"

_GROUP = re.compile(r"(ASI|BLK|CAU|HIS)([FM])([0-9]{2})")
_OUTER = re.compile(r"(ASI|BLK|CAU|HIS)[FM]")
_NUMBER = re.compile(r"[0-9]{4}")

# The annotation table published with Deeplasia (aimi-bonn/Deeplasia, data/la_dha.csv).
_DEEPLASIA_COLUMNS = {"item": ("patientid",), "months": ("boneage",)}
_DEEPLASIA_ID = re.compile(r"8([1-4])([01])[0-9]{0,2}[0-9]{4}")
_DEEPLASIA_RACES = {"1": "BLK", "2": "CAU", "3": "HIS", "4": "ASI"}
_DEEPLASIA_SEXES = {"0": "M", "1": "F"}
# Any other table of readings.
_READING_COLUMNS = {
    "item": ("photonumber", "photo"),
    "reading_1": ("reading1",),
    "reading_2": ("reading2",),
}


@dataclass(frozen=True)
class _Reading:
    """One row of a readings table; ``number`` and ``group`` (``BLKM``) are empty where it does not tell."""

    item: str
    number: str
    cells: tuple[str, ...]
    group: str = ""
    sex: str = ""


def read_atlas(
    folder: Path | str, readings: Path | str | None = None, source: str = "dha"
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Reads the atlas's tree, wherever it lies below a folder, and joins the readings by photo number.

    A photo's place ``{ASI,BLK,CAU,HIS}{F,M}/{same}{00..18}/{4 digits}.jpg`` gives its race, sex and year
    of age. The readings are either Deeplasia's ``la_dha.csv`` (months, the mean of the two readers) or any
    CSV with ``photo number, reading 1, reading 2``; whether that one is in years or in months is decided by
    which agrees better with the folders' years of age (smaller median absolute difference).

    Args:
        folder: The folder that holds the tree.
        readings: The readings table; None looks for one below the folder, then beside it.
        source: What the case table says in its ``source`` column.

    Returns:
        The case table (``tables.CASE_COLUMNS``; ``bone_age`` in years, the mean of the readings there are),
        and the table of what was left out, doubled or contradictory with the reason. A photo whose reading
        is missing or unusable stays in the case table without a bone age.

    Raises:
        BoneAgeError: No folder, no photo in such a tree, or a readings table that cannot be read.
    """
    listing = list_files(folder)
    photos = _photos_by_number(listing, source)
    if not photos:
        raise BoneAgeError(
            f"{listing.folder}: no photo of the atlas found; below it must lie a tree like {TREE} "
            "(race and sex, the same with the year of age, a 4-digit photo number)"
        )
    table = Path(readings) if readings is not None else _readings_of(listing)
    if table is None:
        listing.skip(listing.folder, "no readings table found; bone age is empty, the year of age stands in")
    else:
        _join_readings(photos, table, listing)
    return case_table(photos.values()), skipped_table(listing.skipped)


def find_readings(folder: Path | str) -> Path | None:
    """The readings table that :func:`read_atlas` would use: below the folder, else beside it, else None.

    Raises:
        BoneAgeError: No such folder.
    """
    return next(iter(_readings_tables(list_files(folder))), None)


def doubted(cases: pd.DataFrame) -> pd.DataFrame:
    """The atlas's cases whose readings are doubted in print (:data:`DOUBTED_READINGS`)."""
    is_doubted = (cases["source"] == "dha") & cases["case_id"].isin(DOUBTED_READINGS)
    return cases[is_doubted].reset_index(drop=True)


def place_of(path: PurePosixPath | Path) -> tuple[str, str] | str:
    """The group (``BLKM10``) and the photo number as filed, or why the path is not one of the atlas's tree.

    The case of letters does not matter; nothing is looked up on the disk.
    """
    *_, outer, inner, _ = ("", "", *(part.upper() for part in path.parts))
    group = _GROUP.fullmatch(inner)
    if path.suffix.lower() not in PHOTO_SUFFIXES:
        return "not a JPEG or PNG; the atlas's photos are .jpg"
    if not group:
        return f"not in a folder of the atlas's tree; the place of a photo is like {TREE}"
    if not _OUTER.fullmatch(outer) or not inner.startswith(outer):
        return f"folder {inner} lies in {outer or 'no folder'}; it belongs in {inner[:4]}"
    if int(group[3]) > OLDEST_AGE_GROUP:
        return f"folder {inner}: year of age {group[3]} is beyond {OLDEST_AGE_GROUP}"
    if not _NUMBER.fullmatch(path.stem):
        return "its name is not a 4-digit photo number; rename or remove it"
    return inner, path.stem


def _photos_by_number(listing: Listing, source: str) -> dict[str, dict[str, object]]:
    found = []
    for path in listing.files:
        place = place_of(path)
        if not isinstance(place, str):
            group, filed = place
            number = WRONG_LINKS.get(place, filed)
            # A photo under its right number wins over a copy filed under the index's wrong one.
            found.append((number != filed, path, group, number))
        elif path.suffix.lower() in PHOTO_SUFFIXES or _GROUP.fullmatch(path.parent.name.upper()):
            listing.skip(path, place)
    photos: dict[str, dict[str, object]] = {}
    for _, path, group, number in sorted(found):
        if number in photos:
            first = shown(Path(str(photos[number]["photo"])), listing.folder)
            listing.skip(path, f"second photo with number {number}; {first} is used, remove one of them")
        else:
            photos[number] = _case(number, path, group, source)
    return photos


def _case(number: str, photo: Path, group: str, source: str) -> dict[str, object]:
    return {
        "case_id": number,
        "photo": str(photo),
        "source": source,
        "sex": group[3],
        "race": RACE_OF_CODE[group[:3]],
        "age_group": int(group[4:]),
        "bone_age": np.nan,
        "reading_1": np.nan,
        "reading_2": np.nan,
    }


def _readings_tables(listing: Listing) -> list[Path]:
    beside = sorted(path for path in listing.folder.parent.glob("*.csv") if path.is_file())
    return [path for path in [*listing.csv_files(), *beside] if _kind_of(header_of(path))]


def _readings_of(listing: Listing) -> Path | None:
    """The readings table to use; those that are not used are noted in the listing."""
    tables = _readings_tables(listing)
    for other in tables[1:]:
        used = shown(tables[0], listing.folder)
        listing.skip(other, f"another readings table, not used; {used} is (name the one you want)")
    return tables[0] if tables else None


def _kind_of(header: set[str]) -> str:
    if {"patientid", "boneage"} <= header:
        return "deeplasia"
    # This project's own case tables name photos and readings too, but they are made from such a table.
    if {"reading1", "reading2"} <= header and header & {"photonumber", "photo"} and "caseid" not in header:
        return "readings"
    return ""


def _join_readings(photos: dict[str, dict[str, object]], table: Path, listing: Listing) -> None:
    """Fills in the photos' readings and notes in the listing every row that is unusable or contradictory."""
    kind = _kind_of(header_of(table))
    if not kind:
        # An unreadable file gets its own error first.
        read_table(table, ())
        raise BoneAgeError(
            f"{table}: no readings table; its header must have patient_ID and bone_age (months), "
            "or photo number, reading 1, reading 2"
        )
    rows = _deeplasia_rows(table) if kind == "deeplasia" else _reading_rows(table)
    per_year = MONTHS_PER_YEAR if kind == "deeplasia" else _units_per_year(rows, photos)
    name = shown(table, listing.folder)
    joined: set[str] = set()
    for row in rows:
        years = [number_of(cell) / per_year if cell else math.nan for cell in row.cells]
        fault = _fault(row, years, photos)
        if not fault and row.number in joined:
            fault = "second reading of this photo; the first is used, remove one of them"
        if not fault:
            joined.add(row.number)
            photos[row.number]["bone_age"] = float(np.nanmean(years))
            if len(years) == 2:
                photos[row.number]["reading_1"], photos[row.number]["reading_2"] = years
            fault = _contradiction(row, photos[row.number])
        if fault:
            listing.skipped.append((row.item, f"{name}: {fault}"))
    for number in sorted(set(photos) - {row.number for row in rows}):
        listing.skipped.append((number, f"photo without a reading in {name}; its bone age is empty"))


def _fault(row: _Reading, years: list[float], photos: dict[str, dict[str, object]]) -> str | None:
    """Why a row's reading cannot be used, or None."""
    if not row.number:
        return "no 4-digit photo number; the reading cannot be joined"
    faults = [age_fault(cell, age) for cell, age in zip(row.cells, years, strict=True) if cell]
    if not faults:
        return "no reading in this row; the bone age is empty"
    if any(faults):
        return next(filter(None, faults))
    if row.number not in photos:
        missed = any(row.number == number for _, number in NEVER_FOUND)
        return "reading without a photo" + (" (the atlas's index links to none)" if missed else "")
    return None


def _contradiction(row: _Reading, photo: dict[str, object]) -> str | None:
    """What a row says of the child that its own id or the photo's folder denies, or None.

    The reading is used all the same: it was made of that photo.
    """
    if row.group and row.sex and row.sex != row.group[3]:
        return f"sex is {row.sex} where its id says {row.group[3]}; used, with the sex of the photo's folder"
    if row.group and (RACE_OF_CODE[row.group[:3]], row.group[3]) != (photo["race"], photo["sex"]):
        return f"its id says {row.group}, the photo's folder does not; used, with what the folder says"
    return None


def _deeplasia_rows(path: Path) -> list[_Reading]:
    """The rows of Deeplasia's table: the last four digits of the id are the photo number, ages in months."""
    header = header_of(path)
    optional = {name: (name,) for name in ("sex", "dir") if name in header}
    rows = []
    for row in read_normalised(path, _DEEPLASIA_COLUMNS | optional).itertuples(index=False):
        # Deeplasia's full annotation file holds other data sets too.
        if getattr(row, "dir", "la_dha") != "la_dha":
            continue
        code = _DEEPLASIA_ID.fullmatch(row.item)
        number = row.item[-4:] if _NUMBER.fullmatch(row.item[-4:]) else ""
        group = _DEEPLASIA_RACES[code[1]] + _DEEPLASIA_SEXES[code[2]] if code else ""
        rows.append(_Reading(row.item, number, (row.months,), group, getattr(row, "sex", "").upper()))
    return rows


def _reading_rows(path: Path) -> list[_Reading]:
    """The rows of a table of photo numbers and two readings; a spreadsheet may have cut leading zeros."""
    return [
        _Reading(
            row.item,
            row.item.zfill(4) if re.fullmatch(r"[0-9]{1,4}", row.item) else "",
            (row.reading_1, row.reading_2),
        )
        for row in read_normalised(path, _READING_COLUMNS).itertuples(index=False)
    ]


def _units_per_year(rows: list[_Reading], photos: dict[str, dict[str, object]]) -> float:
    """1 where the readings are years, 12 where they are months: what lies nearer to the years of age."""
    pairs = [
        (value, photos[row.number]["age_group"])
        for row in rows
        if row.number in photos
        for value in map(number_of, row.cells)
        if math.isfinite(value) and value >= 0
    ]
    if not pairs:
        return 1.0
    values, ages = np.array(pairs, dtype=float).T
    return min((1.0, MONTHS_PER_YEAR), key=lambda per_year: np.median(np.abs(values / per_year - ages)))
