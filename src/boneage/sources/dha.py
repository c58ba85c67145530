"""The Digital Hand Atlas, downloaded or unpacked: its tree and readings become a case table.

Gertych et al., Bone age assessment of children using a digital hand atlas, Comput Med Imaging Graph
2007;31:322-331. Folders give race, sex and whole years of age; two radiologists' readings are published
separately, by image number.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
import pandas as pd

from boneage.core.errors import BoneAgeError
from boneage.images.reading import IMAGE_SUFFIXES
from boneage.sources.label_tables import (
    BONE_AGE_NAMES,
    FIRST_READING_NAMES,
    ID_NAMES,
    IMAGE_NAMES,
    SECOND_READING_NAMES,
    FoundTable,
    tables_in,
)
from boneage.sources.listing import Listing, list_files
from boneage.sources.readings import FEW_ROWS, Reading, read_readings, refuse_contradiction
from boneage.sources.spellings import canonical_id, read_sexes
from boneage.sources.units import Unit, bare_numbers, find_unit

RACE_OF_CODE = {
    "ASI": "Asian",
    "BLK": "African American",
    "CAU": "Caucasian",
    "HIS": "Hispanic American",
}
_CODE_OF_RACE = {race: code for code, race in RACE_OF_CODE.items()}
OLDEST_AGE_GROUP = 18

WRONG_LINKS = {
    ("ASIF05", "5260"): "5262",
    ("BLKF06", "7090"): "7290",
    ("BLKM13", "7022"): "7101",
    ("CAUF14", "7126"): "7154",
    ("CAUM12", "7185"): "7186",
}
"""Image numbers that are wrong in the atlas's own index: (group, number in the link) -> right number."""

NEVER_FOUND = {("BLKF12", "7144")}
"""Images in the atlas's own index that nobody has found."""

TREE = "JPEGimages/BLKM/BLKM10/3145.jpg"

_GROUP = re.compile(r"(ASI|BLK|CAU|HIS)([FM])([0-9]{2})")
_OUTER = re.compile(r"(ASI|BLK|CAU|HIS)[FM]")
_NUMBER = re.compile(r"[0-9]{4}")

# Ids in the annotation table published with Deeplasia (aimi-bonn/Deeplasia, data/la_dha.csv): 8, race, sex,
# year of age, image number. Below ten, the year is written 0 whatever it is.
_DEEPLASIA_ID = re.compile(r"8([1-4])([01])([0-9]{0,2})([0-9]{4})")
_DEEPLASIA_RACES = {"1": "BLK", "2": "CAU", "3": "HIS", "4": "ASI"}
_DEEPLASIA_SEXES = {"0": "M", "1": "F"}
_DEEPLASIA_DIR = "la_dha"
# If more of the rows that join contradict their images' folders, the table is not used.
_MOST_CONTRADICTIONS = 0.2
# Two tables of the same readings may give their mean in half years and in months.
_SAME_YEARS = 0.25


@dataclass(frozen=True)
class _Row:
    """A row of a readings table.

    Attributes:
        item: Its id as written.
        number: Image number; empty if the id has none.
        cells: Its readings.
        group: Group in its id: ``BLKM10``, ``BLKM`` without the year, or "".
        sex: From its sex column, or None.
    """

    item: str
    number: str
    cells: tuple[str, ...]
    group: str = ""
    sex: str | None = None


def read_atlas(
    folder: Path | str,
    readings: Path | str | None = None,
    source: str = "dha",
    unit: str = "",
    unpacked: Mapping[Path, Path | str] | None = None,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Reads the atlas's tree, anywhere below a folder, and joins the readings by image number.

    The path ``{ASI,BLK,CAU,HIS}{F,M}/{same}{00..18}/{4 digits}.jpg`` gives race, sex and year of age. The
    readings are Deeplasia's ``la_dha.csv`` (the mean of two readers), or any table with ``image number,
    reading 1, reading 2`` or with an image and its bone age. :func:`boneage.sources.units.find_unit` finds
    the unit, mainly from the folders' years of age.

    A reading is joined only if its id has the atlas's form, and what the id says of race, sex and year (or
    else its sex column) agrees with the image's folder.

    Args:
        folder: A folder above the tree.
        readings: The readings table; None looks below the folder, then beside it.
        source: Value of the case table's ``source`` column.
        unit: ``months`` or ``years``; "" finds it.
        unpacked: See :func:`boneage.sources.listing.list_files`.

    Returns:
        See :meth:`listing.Listing.case_table`; bone age is empty without a usable reading.

    Raises:
        BoneAgeError: No such folder, no image in such a tree, a named readings table that cannot be read, or
            a table whose unit is ambiguous.
    """
    listing = list_files(folder, unpacked)
    images = _images_by_number(listing, source)
    if not images:
        raise BoneAgeError(
            f"{listing.place}: no image of the atlas found{listing.seen()}; it needs a tree like "
            f"{TREE} (race and sex, the same with the year of age, a 4-digit image number)"
        )
    listing.skip_the_rest()
    tables = _readings_tables(listing, named=readings is not None)
    if readings is not None:
        tables = [_named_table(Path(readings), listing), *tables]
    _Joined(images, unit, listing).read_first(tables)
    return listing.case_table(images.values())


def find_readings(folder: Path | str, unpacked: Mapping[Path, Path | str] | None = None) -> Path | None:
    """The first readings table that :func:`read_atlas` would try: below the folder, else beside it.

    Raises:
        BoneAgeError: No such folder.
    """
    tables = _readings_tables(list_files(folder, unpacked))
    return next((table.path for table in tables if any(row.number for row in _rows_of(table))), None)


def place_of(path: PurePosixPath | Path) -> tuple[str, str] | str:
    """The group (``BLKM10``) and image number as filed, or why the path is not in the atlas's tree.

    Ignores case; does not touch the disk.
    """
    *_, outer, inner, _ = ("", "", *(part.upper() for part in path.parts))
    group = _GROUP.fullmatch(inner)
    if path.suffix and path.suffix.lower() not in IMAGE_SUFFIXES:
        return "not a JPEG, PNG or other supported image"
    if not group:
        return f"not in the atlas's tree; an image's path is like {TREE}"
    if not _OUTER.fullmatch(outer) or not inner.startswith(outer):
        return f"folder {inner} is in {outer or 'no folder'}; it belongs in {inner[:4]}"
    if int(group[3]) > OLDEST_AGE_GROUP:
        return f"folder {inner}: year of age {group[3]} is beyond {OLDEST_AGE_GROUP}"
    if not _NUMBER.fullmatch(path.stem):
        return "its name is not a 4-digit image number; rename or remove it"
    return inner, path.stem


def _images_by_number(listing: Listing, source: str) -> dict[str, dict[str, object]]:
    found = []
    for path in listing.images:
        place = place_of(path)
        if not isinstance(place, str):
            group, filed = place
            number = WRONG_LINKS.get(place, filed)
            # An image under its right number takes precedence over a copy under the index's wrong one.
            found.append((number != filed, path, group, number))
        else:
            listing.skip(path, place)
    images: dict[str, dict[str, object]] = {}
    for _, path, group, number in sorted(found):
        if number in images:
            first = listing.shown(Path(str(images[number]["image"])))
            listing.skip(path, f"another image with number {number}; {first} is used, remove one of them")
        else:
            images[number] = {
                "case_id": number,
                "image": str(path),
                "source": source,
                "sex": group[3],
                "race": RACE_OF_CODE[group[:3]],
                "age_group": int(group[4:]),
            }
    return images


def _readings_tables(listing: Listing, named: bool = False) -> list[FoundTable]:
    """Readings tables below the folder, then those beside it; other tables below it are noted."""
    found = []
    for table in listing.tables(beside=not named):
        if _kind_of(table):
            found.append(table)
        elif table.path.is_relative_to(listing.folder) and not _is_drawn(table):
            what = "a table made by this project" if table.is_ours else "not a readings table"
            listing.skip(table.name, f"{what}: its header has {table.header}; {_WANTED}")
    return found


def _named_table(path: Path, listing: Listing) -> FoundTable:
    """The readings table that the user named; raises a BoneAgeError if it is not one."""
    tables = list(tables_in(path, listing.shown(path)))
    for table in tables:
        if _kind_of(table):
            return table
    header = f"; it has {tables[0].header}" if tables else ""
    raise BoneAgeError(
        f"{path}: not a readings table; its header must have {_WANTED.removeprefix('wanted: ')}{header}"
    )


_WANTED = "wanted: patient_ID and bone_age, or image number, reading 1, reading 2, or image and bone age"
_DRAWN = ({"imagenumber", "centre"}, {"imagenumber", "anomaly"}, {"caseid", "decision"})


def _is_drawn(table: FoundTable) -> bool:
    """Whether it comes with every drawn atlas and is read by other stages."""
    return any(names <= table.names for names in _DRAWN)


def _kind_of(table: FoundTable) -> str:
    names = table.names
    if {"patientid", "boneage"} <= names:
        return "deeplasia"
    # This project's own case tables have images and readings too, but are made from such a table.
    if table.is_ours or _is_drawn(table):
        return ""
    if names & ID_NAMES and names & FIRST_READING_NAMES and names & SECOND_READING_NAMES:
        return "two readings"
    return "one reading" if names & IMAGE_NAMES and names & BONE_AGE_NAMES else ""


class _Joined:
    """Readings joined to the images, with notes."""

    def __init__(self, images: dict[str, dict[str, object]], unit: str, listing: Listing):
        self.images, self.unit, self.listing = images, unit, listing

    def read_first(self, tables: list[FoundTable]) -> None:
        """Joins the first table with a row for any image, and notes the others."""
        used: FoundTable | None = None
        for table in tables:
            if used is None:
                rows = _rows_of(table)
                fault = self._fault_of_table(rows)
                if not fault:
                    self._join(table, rows)
                    used = table
                    continue
            else:
                self._check_against(used, table)
                fault = f"another readings table; {used.name} is used instead (leave only the one you want)"
            self.listing.skip(table.name, fault)
        if used is None:
            why = "no readings table found; bone age is empty, the year of age is used instead"
            self.listing.skip(self.listing.folder, why, is_kept=True)

    def _fault_of_table(self, rows: list[_Row]) -> str:
        """Why a whole table is not used, or ""."""
        if not any(row.number for row in rows):
            first = f" (the first is {rows[0].item!r})" if rows else ""
            ids = f"none of its {len(rows)} ids has the atlas's form{first}"
            return f"not a table of the atlas: {ids}; not used"
        here = [row for row in rows if row.number in self.images]
        faults = [(row.item, _contradiction(row, self.images[row.number])) for row in here]
        against = [f"{item}: {fault}" for item, fault in faults if fault]
        if len(here) >= FEW_ROWS and len(against) > _MOST_CONTRADICTIONS * len(here):
            return (
                f"not a table of these images: {len(against)} of the {len(here)} rows that join contradict "
                f"the images' folders (the first, {against[0]}); not used"
            )
        return ""

    def _join(self, table: FoundTable, rows: list[_Row]) -> None:
        fitting = self._fitting(rows)
        unit = Unit("months", "")
        if fitting:
            unit = self._unit_of(table, rows, fitting)
            self.listing.note_unit(table, unit)
        usable: dict[str, list[tuple[_Row, Reading]]] = {}
        for row in rows:
            reading, fault = self._reading(row, unit)
            if fault:
                self.listing.skip(row.item, f"{table.name}: {fault}")
            else:
                usable.setdefault(row.number, []).append((row, reading))
        against = {row.number: row for row in rows if row.number in self.images and row not in fitting}
        for number, candidates in usable.items():
            # Of two rows for an image, the one that contradicts itself loses.
            first, *others = sorted(candidates, key=lambda one: bool(_odd_sex(one[0])))
            self._use(table, *first, against.get(number))
            for row, _ in others:
                odd = f" ({_odd_sex(row)})" if _odd_sex(row) else ""
                why = f"another reading of this image{odd}; the first is used, remove one of them"
                self.listing.skip(row.item, f"{table.name}: {why}")
        told = {item for item, _ in self.listing.skipped}
        for number in sorted(set(self.images) - set(usable)):
            if not any(row.number == number and row.item in told for row in rows):
                self.listing.skip(number, f"image without a reading in {table.name}; its bone age is empty")

    def _fitting(self, rows: list[_Row]) -> list[_Row]:
        """The rows that match an image and do not contradict its folder."""
        here = [row for row in rows if row.number in self.images]
        return [row for row in here if not _contradiction(row, self.images[row.number])]

    def _unit_of(self, table: FoundTable, rows: list[_Row], fitting: list[_Row]) -> Unit:
        pairs = [
            (number, float(self.images[row.number]["age_group"]))
            for row in fitting
            for number in bare_numbers(row.cells)
        ]
        values = bare_numbers(cell for row in rows for cell in row.cells)
        return find_unit(table.name, values, _age_columns(table), pairs, self.unit)

    def _check_against(self, used: FoundTable, table: FoundTable) -> None:
        """Raises if another table contradicts the one in use: either may hold a network's predictions."""
        rows = _rows_of(table)
        fitting = self._fitting(rows)
        try:
            unit = self._unit_of(table, rows, fitting)
        except BoneAgeError:
            return
        shared, against = 0, []
        for row in fitting:
            reading, _ = self._reading(row, unit)
            before = self.images[row.number].get("bone_age", np.nan)
            years = np.nan if reading is None else reading.mean
            if np.isfinite((before, years)).all():
                shared += 1
                if abs(before - years) >= _SAME_YEARS:
                    against.append(f"{row.number} {years:.3g} years in place of {before:.3g}")
        refuse_contradiction(table.name, used.name, against, shared, _MOST_CONTRADICTIONS)

    def _reading(self, row: _Row, unit: Unit) -> tuple[Reading | None, str]:
        """A row's reading, or why it cannot be used."""
        if not row.number:
            return None, "no 4-digit image number as in the atlas; the reading cannot be joined"
        image = self.images.get(row.number)
        reading = read_readings(row.cells, unit, None if image is None else int(image["age_group"]))
        if reading.fault or image is not None:
            return reading, reading.fault or _contradiction(row, image)
        missed = any(row.number == number for _, number in NEVER_FOUND)
        return None, "reading without an image" + (" (the atlas's index lacks it too)" if missed else "")

    def _use(self, table: FoundTable, row: _Row, reading: Reading, against: _Row | None) -> None:
        image = self.images[row.number]
        image["bone_age"] = reading.mean
        if len(reading.years) == 2:
            image["reading_1"], image["reading_2"] = reading.years
        remarks = [reading.remark]
        if odd := _odd_sex(row):
            remarks.append(f"{odd}; used, with the folder's sex")
        if against:
            remarks.append(
                f"row {against.item} is for this image too, but contradicts its folder; this row is used"
            )
        if any(remarks):
            self.listing.skip(row.item, f"{table.name}: {'; '.join(filter(None, remarks))}", is_kept=True)


def _contradiction(row: _Row, image: dict[str, object]) -> str:
    """How a row contradicts the image's folder, or ""."""
    folder = f"{_CODE_OF_RACE[image['race']]}{image['sex']}{image['age_group']:02d}"
    if row.group and not folder.startswith(row.group):
        return f"its id says {row.group}, the image is in {folder}; not used"
    if not row.group and row.sex and row.sex != image["sex"]:
        return f"its sex is {row.sex}, the image is in {folder}; not used"
    return ""


def _odd_sex(row: _Row) -> str:
    return (
        f"sex is {row.sex}, but its id says {row.group[3]}"
        if row.group and row.sex not in (None, row.group[3])
        else ""
    )


def _rows_of(table: FoundTable) -> list[_Row]:
    kind = _kind_of(table)
    cells = [table.cells[column].tolist() for column in _age_columns(table)]
    id_column = table.column({"patientid"} if kind == "deeplasia" else IMAGE_NAMES) or table.column(ID_NAMES)
    sexes: list[str | None] = [None] * len(table.cells)
    for column in table.sex_columns[:1]:
        sexes, _ = read_sexes(table.cells[column].tolist(), column)
    of = _deeplasia_place if kind == "deeplasia" else _image_place
    rows = []
    for index, item in enumerate(table.cells[id_column]):
        number, group = of(item)
        rows.append(_Row(item, number, tuple(one[index] for one in cells), group, sexes[index]))
    # Deeplasia's full annotation file covers other data sets too.
    for column in table.columns({"dir"})[:1]:
        folders = table.cells[column]
        rows = [row for row, folder in zip(rows, folders, strict=True) if folder == _DEEPLASIA_DIR]
    return rows


def _age_columns(table: FoundTable) -> list[str]:
    if _kind_of(table) == "two readings":
        return [table.column(FIRST_READING_NAMES), table.column(SECOND_READING_NAMES)]
    return [table.column(BONE_AGE_NAMES)]


def _deeplasia_place(item: str) -> tuple[str, str]:
    """Image number and group from an id of Deeplasia's form."""
    code = _DEEPLASIA_ID.fullmatch(canonical_id(item))
    if not code:
        return "", ""
    group = _DEEPLASIA_RACES[code[1]] + _DEEPLASIA_SEXES[code[2]]
    # Below ten, only 0 or the year's own digit may be given.
    year = {"": "", "0": "0"}.get(code[3], code[3].zfill(2))
    if year and int(year) > OLDEST_AGE_GROUP:
        return "", ""
    return _right(group + year, code[4]), group + year


def _image_place(item: str) -> tuple[str, str]:
    """Image number, and the group if a path gives it; a spreadsheet may have dropped leading zeros."""
    name = canonical_id(item)
    digits = name.lstrip("0") if name.isdecimal() else "none"
    if len(digits) > 4 or not digits.isdecimal():
        return ("0000", "") if name and not digits else ("", "")
    group = _GROUP.fullmatch(PurePosixPath(item.replace("\\", "/")).parent.name.upper())
    return _right(group[0] if group else "", digits.zfill(4)), group[0] if group else ""


def _right(group: str, number: str) -> str:
    return WRONG_LINKS.get((group, number), number)
