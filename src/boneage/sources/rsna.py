"""The RSNA Pediatric Bone Age Challenge 2017: label tables and images become a case table.

Halabi et al., The RSNA Pediatric Bone Age Machine Learning Challenge, Radiology 2019;290:498-503.
"""

import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from boneage.core.errors import BoneAgeError
from boneage.core.left_out import in_words
from boneage.core.tables import OLDEST_YEARS, is_safe_id, skipped_table
from boneage.sources.label_tables import BONE_AGE_NAMES, ID_NAMES, FoundTable
from boneage.sources.listing import Listing, list_files
from boneage.sources.readings import Reading, read_readings, refuse_contradiction
from boneage.sources.spellings import canonical_id, id_finder, read_boolean, read_sexes
from boneage.sources.units import Unit, bare_numbers, find_unit, unit_in_words

# Two tables with the same label may round the age differently.
_SAME_YEARS = 0.05
# Two columns of one table may be whole years and months.
_SAME_WHOLE_YEARS = 1.0
# Tables that differ on a larger share of their common images are not corrections of each other.
_MOST_CONTRADICTIONS = 0.1


def read_rsna(
    folder: Path | str, unit: str = "", unpacked: Mapping[Path, Path | str] | None = None
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Reads the challenge's images and labels from anywhere below a folder.

    Every CSV or workbook sheet with columns for id, bone age and sex is joined to the images by name:
    ``id,boneage,male`` (training), ``Image ID,male,Bone Age (months)`` (validation), ``Case ID,Sex,Ground
    truth bone age (months)`` (test), and the like. The challenge gives no race and no chronological age.

    Args:
        folder: The folder with the unpacked archives.
        unit: ``months`` or ``years``; "" finds it (:func:`units.find_unit`).
        unpacked: See :func:`boneage.sources.listing.list_files`.

    Returns:
        See :meth:`listing.Listing.case_table`.

    Raises:
        BoneAgeError: No label table, no image, no image with a label, or a table whose unit is ambiguous.
    """
    listing = list_files(folder, unpacked)
    images = _images_by_id(listing)
    found = listing.tables()
    tables = [table for table in found if _is_label_table(table, listing)]
    listing.skip_the_rest()
    if not tables:
        raise BoneAgeError(
            f"{listing.place}: no label table found{listing.seen()}; put the challenge's CSV "
            "(id,boneage,male) below it"
        )
    labels = _Labels(images, unit, listing)
    for table in tables:
        labels.read(table)
    named = {item for item, _ in listing.skipped}
    for case_id in sorted(set(images) - set(labels.cases) - named):
        listing.skip(images[case_id], "image without a label; add its row to the label table")
    if not labels.cases:
        raise BoneAgeError(f"{listing.place}: no image has a label; {_why_none(images, tables, listing)}")
    return listing.case_table(labels.cases.values())


def _is_label_table(table: FoundTable, listing: Listing) -> bool:
    """Whether a table has the columns of labels; if not, that is noted."""
    if table.is_ours:
        fault = "a table made by this project; not used"
    else:
        has = {
            "an id": table.column(ID_NAMES),
            "a bone age": table.column(BONE_AGE_NAMES),
            "the sex": next(iter(table.sex_columns), None),
        }
        missing = [what for what, column in has.items() if column is None]
        fault = f"not a label table: no column for {' and '.join(missing)} in its header ({table.header})"
        if not missing:
            return True
    listing.skip(table.name, fault)
    return False


def _sexes(table: FoundTable) -> list[tuple[str | None, str]]:
    """Each row's sex, or why it has none; two columns must agree."""
    names = table.sex_columns
    told = [read_sexes(table.cells[name].tolist(), name) for name in names]
    rows = []
    for index in range(len(table.cells)):
        said = {name: sexes[index] for name, (sexes, _) in zip(names, told, strict=True) if sexes[index]}
        if len(set(said.values())) == 1:
            rows.append((next(iter(said.values())), ""))
            continue
        cells = " and ".join(f"{name} is {table.cells[name][index]!r}" for name in said or names[:1])
        # A word such as "unknown" is not an ambiguous code.
        words = [table.cells[name][index] for name in names]
        coded = any(len(word) < 3 or read_boolean(word) is not None for word in words)
        doubt = next((why for _, why in told if why and coded), _WRITE_SEX)
        rows.append((None, f"{cells}; {'write the same sex in both' if said else doubt}"))
    return rows


def _images_by_id(listing: Listing) -> dict[str, Path]:
    images: dict[str, Path] = {}
    for path in listing.images:
        case_id = canonical_id(path.name)
        if not is_safe_id(case_id):
            listing.skip(
                path, "its name is not an id of 1 to 64 letters and digits; rename it like its label"
            )
        elif case_id in images:
            first = listing.shown(images[case_id])
            listing.skip(path, f"another image with id {case_id}; {first} is used, remove one of them")
        else:
            images[case_id] = path
    return images


class _Labels:
    """Labels joined to the images, table after table."""

    def __init__(self, images: dict[str, Path], unit: str, listing: Listing):
        self.images, self.unit, self.listing = images, unit, listing
        self.find = id_finder(images)
        self.cases: dict[str, dict[str, object]] = {}
        self.table_of: dict[str, str] = {}

    def read(self, table: FoundTable) -> None:
        """Joins a table's rows; unusable ones are noted."""
        ids = self._ids(table)
        sexes = _sexes(table)
        images = [self.find(one) for one in ids]
        readings = self._readings(table, any(image is not None for image in images))
        self._check_against_others(table, images, readings, sexes)
        repeated = 0
        for one, reading, (sex, why), image in zip(ids, readings, sexes, images, strict=True):
            fault = self._row(image, one, reading, sex, why)
            if fault == _REPEATED:
                repeated += 1
            elif fault:
                self.listing.skip(one, f"{table.name}: {fault}")
            else:
                self.table_of[image] = table.name
        if repeated:
            why = f"{repeated} of its {len(ids)} rows repeat another row"
            self.listing.skip(table.name, why, is_kept=True)

    def _readings(self, table: FoundTable, joins: bool) -> list[Reading]:
        """Each row's bone age; two columns must agree. Notes the unit of a table that joins."""
        told: dict[str, list[Reading]] = {}
        for column in _age_columns(table):
            ages = table.cells[column].tolist()
            unit = Unit("months", "")
            if joins:
                # The user's unit counts for columns whose name does not say otherwise.
                given = "" if told and unit_in_words(column) else self.unit
                unit = find_unit(table.name, bare_numbers(ages), [column], given=given)
                if not told:
                    self.listing.note_unit(table, unit)
            told[column] = _single_readings(ages, unit)
        return [
            _agreed(dict(zip(told, readings, strict=True))) for readings in zip(*told.values(), strict=True)
        ]

    def _check_against_others(
        self,
        table: FoundTable,
        images: list[str | None],
        readings: list[Reading],
        sexes: list[tuple[str | None, str]],
    ) -> None:
        """Raises if a table contradicts earlier ones: one of them may hold a network's predictions."""
        shared = [
            (image, self.cases[image], reading.mean, sex)
            for image, reading, (sex, _) in zip(images, readings, sexes, strict=True)
            if image in self.cases and not reading.fault and sex
        ]
        against = [
            (self.table_of[image], f"{image} {years:.3g} years, {sex}, in place of {_said(before)}")
            for image, before, years, sex in shared
            if not _same(before, years, sex)
        ]
        if against:
            used, said = against[0][0], [words for _, words in against]
            refuse_contradiction(table.name, used, said, len(shared), _MOST_CONTRADICTIONS)

    def _ids(self, table: FoundTable) -> list[str]:
        """The ids of the column that matches the most images; of equals the first."""
        columns = [table.cells[column].tolist() for column in table.columns(ID_NAMES)]
        return max(columns, key=lambda ids: sum(self.find(one) is not None for one in ids))

    def _row(self, image: str | None, one: str, reading: Reading, sex: str | None, no_sex: str) -> str | None:
        """Joins a row, or says why it cannot be joined."""
        if not is_safe_id(canonical_id(one)):
            return "id is not 1 to 64 letters and digits; correct it in the table"
        if reading.fault:
            return reading.fault
        if image is None:
            return "label without an image; fetch the image or remove the row"
        if image in self.cases:
            before = self.cases[image]
            if _same(before, reading.mean, sex):
                return _REPEATED
            return (
                f"second label with this id, different from the first ({_said(before)}), "
                "which is used; remove one of them"
            )
        if sex is None:
            return no_sex
        self.cases[image] = {
            "case_id": image,
            "image": str(self.images[image]),
            "source": "rsna",
            "sex": sex,
            "race": "Unknown",
            "bone_age": reading.mean,
        }
        return None


def _same(before: dict[str, object], years: float, sex: str | None) -> bool:
    return sex == before["sex"] and abs(years - before["bone_age"]) < _SAME_YEARS


def _said(case: dict[str, object]) -> str:
    return f"{case['bone_age']:.3g} years, {case['sex']}"


def _age_columns(table: FoundTable) -> list[str]:
    """Bone age columns; pandas numbers the second of two with the same name."""
    names = table.columns(BONE_AGE_NAMES)
    return [column for column in table.cells if column in names or re.sub(r"\.\d+$", "", column) in names]


def _agreed(told: dict[str, Reading]) -> Reading:
    """One reading from several bone age columns; one may be whole years and another months."""
    usable = {column: reading for column, reading in told.items() if not reading.fault}
    if not usable:
        return next(iter(told.values()))
    means = [reading.mean for reading in usable.values()]
    if max(means) - min(means) >= _SAME_WHOLE_YEARS:
        said = " and ".join(f"{column} says {reading.mean:.3g}" for column, reading in usable.items())
        return Reading((np.nan,), f"{said} years; write the same in both")
    return next(iter(usable.values()))


def _single_readings(cells: list[str], unit: Unit) -> list[Reading]:
    """The readings of a column, without those that the others make implausible.

    If nobody else is below a year, 0 means not read; among whole months, weeks or days, 12.5 is in years.
    """
    readings = [read_readings((cell,), unit) for cell in cells]
    if not any(0 < reading.mean < 1 for reading in readings):
        why = "a bone age of 0, with no other below a year, counts as not read"
        readings = [Reading(one.years, why) if one.mean == 0 else one for one in readings]
    numbers = np.array(bare_numbers(cells))
    whole = unit.name != "years" and not (numbers[numbers > OLDEST_YEARS] % 1 > 0).any()
    for index, cell in enumerate(cells):
        number = next(iter(bare_numbers([cell])), np.nan)
        if whole and 0 < number <= OLDEST_YEARS and number % 1 > 0 and (numbers > OLDEST_YEARS).any():
            why = (
                f"bone age {cell!r} among whole {unit.name} seems to be in years; "
                f"write {cell} {unit.name} or years"
            )
            readings[index] = Reading((np.nan,), why)
    return readings


_WRITE_SEX = "write True or False for male, or M or F for sex"
_REPEATED = "said before"


def _why_none(images: dict[str, Path], tables: list[FoundTable], listing: Listing) -> str:
    if not images:
        return f"no image found{listing.seen()}; put the images, named <id>.png or <id>.jpg, below it"
    rows = [row for row in listing.skipped if row[1].startswith(tuple(f"{table.name}: " for table in tables))]
    if rows and not all("label without an image" in reason for _, reason in rows):
        return f"rows left out: {in_words(skipped_table(rows), len(rows))}"
    first = tables[0]
    ids = first.cells[first.column(ID_NAMES)].tolist()
    if not ids:
        return f"{first.name} has no rows below its header"
    return (
        f"the images must be named <id>.png or <id>.jpg, with the ids of {first.name}: the first image is "
        f"{next(iter(images.values())).name}, the first id {ids[0]!r}"
    )
