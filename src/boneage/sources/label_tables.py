"""Tables below a data folder, as CSV or workbook sheets, and which column is what."""

import itertools
import re
import textwrap
import zipfile
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from boneage.core.errors import BoneAgeError
from boneage.core.tables import (
    CASE_TABLE,
    LABEL_TABLE,
    LARGEST_TABLE_BYTES,
    PREDICTION_TABLE,
    read_table,
)
from boneage.sources.spellings import column_name, is_sex_column, plain, without_brackets, word_set
from boneage.sources.units import unit_in_words

TEXT_SUFFIXES = (".csv", ".tsv", ".txt")
WORKBOOK_SUFFIXES = (".xlsx", ".xlsm")
OTHER_SUFFIXES = (".xls", ".ods", ".numbers", ".json", ".parquet", ".sav", ".dta", ".rds", ".pkl")
TABLE_SUFFIXES = (*TEXT_SUFFIXES, *WORKBOOK_SUFFIXES, *OTHER_SUFFIXES)

IMAGE_NAMES = word_set(
    "photonumber photo photoid photono imagenumber imageid imageno image imagename imagefile file filename "
    "bild bilddatei bildnummer imagen archivo fichier"
)
ID_NAMES = IMAGE_NAMES | word_set(
    "id imageid caseid case patientid patient subjectid subject studyid fileid fallid fall nr no name "
    "identifiant identificador fallnummer patientennummer patientennr patientnr nummer number numero codigo "
    "编号 番号"
)
BONE_AGE_NAMES = word_set(
    "boneage ba boneagegt groundtruthboneage skeletalage knochenalter skelettalter ageosseux edadosea "
    "etaossea idadeossea botleeftijd skeletleeftijd skelettalder benalder костныйвозраст 骨龄 骨齡 骨年齢 "
    "골연령"
)
_READERS = ("reading", "reader", "rater", "observer", "radiologist", "r", "befunder", "lecteur", "lector")
FIRST_READING_NAMES = frozenset(f"{reader}{one}" for reader in _READERS for one in ("1", "a"))
SECOND_READING_NAMES = frozenset(f"{reader}{two}" for reader in _READERS for two in ("2", "b"))
_AGE_NAMES = BONE_AGE_NAMES | FIRST_READING_NAMES

LARGEST_WORKBOOK_BYTES = 512 * 2**20
"""Most bytes a workbook may unpack to; the challenge's 12,611 labels take 2 MiB."""
_MOST_ROWS = 300_000
_MOST_COLUMNS = 200
_OLD_OFFICE = b"\xd0\xcf\x11\xe0"


@dataclass(frozen=True)
class FoundTable:
    """A table below the data folder.

    Attributes:
        name: The file and, for a workbook, the sheet, for messages.
        cells: Every cell as text.
    """

    path: Path
    name: str
    cells: pd.DataFrame

    def columns(self, names: Collection[str]) -> list[str]:
        """The columns whose name, without its unit, is one of these."""
        return [column for column in self.cells if without_unit(column) in names]

    def column(self, names: Collection[str]) -> str | None:
        """The first such column, or None."""
        return next(iter(self.columns(names)), None)

    @property
    def names(self) -> set[str]:
        """Column names without their units."""
        return set(map(without_unit, self.cells))

    @property
    def sex_columns(self) -> list[str]:
        return list(filter(is_sex_column, self.cells))

    @property
    def header(self) -> str:
        """The column names, shortened for messages."""
        return textwrap.shorten(", ".join(map(str, self.cells)), 120, placeholder=" ...")

    @property
    def is_ours(self) -> bool:
        """Whether this project made it from other tables."""
        names = set(self.cells)
        return any(set(own) <= names for own in (list(LABEL_TABLE)[:4], CASE_TABLE, PREDICTION_TABLE))


def without_unit(column: str) -> str:
    """A column's name without unit, spaces and punctuation: ``Bone Age (months)`` is ``boneage``."""
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", without_brackets(column))
    words = [word for word in re.split(r"[\W_]+", spaced) if word and not unit_in_words(word)]
    name = column_name(column)
    joined = column_name("".join(words)) or name
    # With the unit written as one word with it.
    stems = (stem for stem in BONE_AGE_NAMES if name.startswith(stem) and unit_in_words(name[len(stem) :]))
    return joined if joined in BONE_AGE_NAMES else next(stems, joined)


def tables_in(path: Path, shown: str) -> Iterator[FoundTable]:
    """The tables of a file: one for a text file, one per non-empty sheet of a workbook.

    Raises:
        BoneAgeError: Not readable as a table, or openpyxl, which reads workbooks, is not installed.
    """
    suffix = path.suffix.lower()
    if suffix in OTHER_SUFFIXES:
        raise BoneAgeError(f"{path}: {suffix} is not supported; save it as CSV or .xlsx")
    if suffix in WORKBOOK_SUFFIXES:
        yield from _sheets(path, shown)
    else:
        table = read_table(path, ())
        table.columns = _numbered(table.columns)
        if str(table.columns[0]).startswith("<"):
            raise BoneAgeError(f"{path}: a web page, not a table; fetch it again")
        # A title above the header leaves the other columns of its line empty.
        titles = [not name or name.startswith("Unnamed: ") for name in table.columns]
        if any(titles):
            names = ["" if empty else name for name, empty in zip(table.columns, titles, strict=True)]
            table = _framed([names, *(row for row in table.to_numpy().tolist() if any(row))])
        yield FoundTable(path, shown, table[table.ne("").any(axis=1)].reset_index(drop=True))


def _sheets(path: Path, shown: str) -> Iterator[FoundTable]:
    try:
        import openpyxl
    except ImportError:
        raise BoneAgeError(
            f"{path}: a workbook; pip install openpyxl and run again, or save it as CSV"
        ) from None
    _check_workbook(path)
    try:
        # Values only: a formula gives its last computed value.
        book = openpyxl.load_workbook(path, read_only=True, data_only=True)
        sheets = [(sheet.title, _rows(sheet, path)) for sheet in book.worksheets]
        book.close()
    except BoneAgeError:
        raise
    except Exception:  # A damaged workbook can make the reader raise anything.
        raise BoneAgeError(
            f"{path}: a damaged workbook; open it and save it again, or save it as CSV"
        ) from None
    for title, rows in sheets:
        if rows:
            yield FoundTable(path, f"{shown}, sheet {title}", _framed(rows))


def _check_workbook(path: Path) -> None:
    try:
        with open(path, "rb") as file:
            if file.read(4) == _OLD_OFFICE:
                raise BoneAgeError(
                    f"{path}: protected or from an old Excel; save it as CSV or .xlsx without a password"
                )
        with zipfile.ZipFile(path) as file:
            unpacked = sum(info.file_size for info in file.infolist())
    except OSError as error:
        raise BoneAgeError(f"{path}: cannot be read ({error.strerror}); check its permissions") from None
    except zipfile.BadZipFile:
        raise BoneAgeError(f"{path}: not a workbook, or damaged; open it and save it again") from None
    if path.stat().st_size > LARGEST_TABLE_BYTES or unpacked > LARGEST_WORKBOOK_BYTES:
        raise BoneAgeError(f"{path}: too large for labels; save just their sheet as CSV")


def _rows(sheet, path: Path) -> list[list[str]]:
    """The non-empty rows of a sheet, as text."""
    rows = sheet.iter_rows(values_only=True, max_col=_MOST_COLUMNS)
    texts = []
    for count, row in enumerate(rows):
        if count >= _MOST_ROWS:
            raise BoneAgeError(f"{path}: more than {_MOST_ROWS} rows; save just those needed as CSV")
        text = [_text(cell) for cell in row]
        if any(text):
            texts.append(text)
    return texts


def _text(cell: object) -> str:
    if cell is None:
        return ""
    if isinstance(cell, bool):
        return str(cell).upper()
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    return str(cell).strip()


def _framed(rows: list[list[str]]) -> pd.DataFrame:
    """Rows as a table; a title above the header is ignored."""
    first = next((i for i, row in enumerate(rows[:20]) if sum(map(bool, row)) > 1), 0)
    header = next((i for i, row in enumerate(rows[:20]) if _is_header(row)), first)
    names = rows[header]
    width = max(i + 1 for i, name in enumerate(names) if name) if any(names) else 0
    body = [(row + [""] * width)[:width] for row in rows[header + 1 :]]
    return pd.DataFrame(body, columns=_numbered(names)[:width], dtype=str)


def _numbered(names: Iterable[str]) -> list[str]:
    """Column names, of which a repeated one gets the next number that is free: ``age, age.1, age.2``."""
    names = list(names)
    taken, numbered = set(names), list[str]()
    for index, name in enumerate(names):
        if name in names[:index]:
            name = next(free for count in itertools.count(1) if (free := f"{name}.{count}") not in taken)
            taken.add(name)
        numbered.append(name)
    return numbered


def _is_header(row: list[str]) -> bool:
    """Whether cells name an id and an age, or an id and a sex, unlike titles and values."""
    names = {without_unit(cell) for cell in row}
    return bool(names & ID_NAMES) and (bool(names & _AGE_NAMES) or any(map(is_sex_column, row)))


def is_missing(cell: str) -> bool:
    """Whether a cell says that a value is missing: ``NA``, ``-``, ``n.d.``"""
    return plain(cell) in _MISSING


_MISSING = frozenset(
    {"", "na", "n/a", "nan", "null", "none", "nil", "-", "--", "---", "—", "?", "missing", "unknown", "n.d"}
    | {"k.a", "nd", "n.a", "#n/a", "#nv", "not read", "<na>"}
)
