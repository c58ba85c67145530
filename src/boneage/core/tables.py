"""Columns of the tables that pass between stages, and how the tables are read and written.

UTF-8 CSV with one header and a stable order. Reading copes with what spreadsheets write and checks ids and
numbers; writing is atomic and leaves no cell that a spreadsheet would run as a formula.
"""

import codecs
import contextlib
import io
import re
import stat
import warnings
from collections.abc import Collection, Iterable
from pathlib import Path

import pandas as pd

from boneage.core.columns import Column, Table, csv_text
from boneage.core.errors import BoneAgeError
from boneage.core.files import write_text

CASE_TABLE = Table(
    "Case table",
    [
        Column("case_id", "Name of the case: letters, digits, _ and -."),
        Column("image", "The radiograph's file, below the source's folder."),
        Column("source", "dha, rsna or phantom."),
        Column("sex", "F or M."),
        Column("race", "Asian, African American, Caucasian, Hispanic American or Unknown."),
        Column("age_group", "Whole years of age, from the atlas folder; may be empty.", ".0f", unit="years"),
        Column("bone_age", "Mean of the radiologists' readings; may be empty.", ".2f", unit="years"),
        Column("reading_1", "The first radiologist's reading; may be empty.", ".2f", unit="years"),
        Column("reading_2", "The second radiologist's reading; may be empty.", ".2f", unit="years"),
    ],
    "cases.csv",
    "One row per radiograph of the source.",
)
LABEL_TABLE = Table(
    "Labels",
    [
        Column("Case ID", "Name of the image, original or augmented."),
        Column("Bone Age", "Bone age of its case; a newborn is 0.", ".2f", unit="years"),
        Column("Male", "TRUE for a boy, FALSE for a girl."),
        Column("Location", "Race, as in the case table."),
        Column("Source ID", "The image's case."),
        Column("Split", "train, validation or test."),
        Column("Operators", "Corrections and augmentations of the image, as JSON."),
    ],
    "labels.csv",
    "One row per image.",
)
PLAN_TABLE = Table(
    "Augmentation plan",
    [
        Column("image_id", "Name of the image."),
        Column("case_id", "The image's case."),
        Column("split", "train, validation or test; augmented images are in train."),
        Column("corrections", "Corrections of the case's image, as JSON; in every split."),
        Column("augmentations", "Augmentations of the image, as JSON; empty for the original."),
    ],
    "plan.csv",
    "One row per image; the row alone determines its pixels.",
)
PREDICTION_TABLE = Table(
    "Predictions",
    [
        Column("Case ID", "Name of the case."),
        Column("Split", "train, validation or test."),
        Column("Prediction", "The predicted bone age.", ".2f", unit="years"),
    ],
    "runs/<run>/predictions.csv",
    "One row per case; the ground truth is joined from the labels.",
)
CHILD_TABLE = Table(
    "Children",
    [
        Column("file", "The radiograph's file as in the estimates, or its name without folder and ending."),
        Column("sex", "F or M; may be empty."),
        Column("age", "Chronological age; may be empty.", ".2f", unit="years"),
    ],
    "children.csv",
    "Written by you. One row per radiograph: what is known of the child, for `estimate --children`.",
)
ESTIMATE_TABLE = Table(
    "Estimates",
    [
        Column("file", "The radiograph's file.", heading="File"),
        Column("hand", "Which hand of the film, where there are two."),
        Column("status", "estimated, doubtful or refused.", heading="Status"),
        Column("bone_age", "Mean of the networks.", ".2f", "Bone age", unit="years"),
        Column(
            "low",
            "Lower end of the 90 % prediction interval; empty if it is not known.",
            ".2f",
            "From",
            unit="years",
        ),
        Column("high", "Its upper end.", ".2f", "To", unit="years"),
        Column(
            "spread",
            "From the lowest to the highest network; empty for a single one.",
            ".2f",
            "Spread",
            unit="years",
        ),
        Column("votes", "What each network says, in years.", heading="Votes"),
        Column(
            "strangeness",
            "Distance from the training cases; one held-out case in 100 exceeds 1.",
            ".2f",
            "Distance",
        ),
        Column("likeness", "The same as a word."),
        Column("nearest", "The nearest training cases: bone age in years, and sex.", heading="Nearest"),
        Column("sex", "F or M, as given; empty if it was not."),
        Column("age", "Chronological age, as given.", ".2f", unit="years"),
        Column("difference", "Bone age minus chronological age.", "+.2f", "Difference", unit="years"),
        Column("z_score", "Of the bone age among children of that age and sex.", "+.1f", "z-score"),
        Column("notes", "What was put right on the image, and what was assumed."),
        Column("warnings", "Why it is doubtful."),
        Column("reason", "Why it was refused, and what to do."),
        Column("page", "Its page, beside the table; empty for a file that cannot be read."),
    ],
    "estimates.csv",
    "One row per hand, or per file that shows none or cannot be read.",
)

SKIPPED_TABLE = Table(
    "Skipped",
    [
        Column("item", "File or id."),
        Column("reason", "Why it was left out, and what to do."),
    ],
    "skipped-<stage>.csv",
    "One row per file or case that a stage left out.",
)

SEXES = ("F", "M")
RACES = ("Asian", "African American", "Caucasian", "Hispanic American", "Unknown")
SPLITS = ("train", "validation", "test")

OLDEST_YEARS = 20.0
"""Highest bone age a label may have; the hand is mature at 18 to 19 years."""

MONTHS_PER_YEAR = 12.0

LARGEST_TABLE_BYTES = 64 * 2**20
_MOST_COLUMNS = 1000
_LONGEST_LINE = 2**20
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
_DECIMAL_COMMA = r"^(-?[0-9]+),([0-9]+)$"
_MARKS = {codecs.BOM_UTF8: "utf-8", codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}
_CONTROL = re.compile(rb"[\x00-\x08\x0e-\x1f]")
_SEPARATOR_LINE = re.compile(r"\"?sep=([,;|\t])\"?[ ,;|\t]*\r?\n", re.IGNORECASE)


def is_safe_id(text: object) -> bool:
    """Whether ``text`` may name a case and so a file: 1 to 64 letters, digits, ``_`` and ``-``."""
    return isinstance(text, str) and _ID.fullmatch(text) is not None


def read_table(path: Path | str, columns: Collection[str]) -> pd.DataFrame:
    """Reads a CSV with every cell as text; empty cells are empty strings.

    The text may be UTF-8, UTF-16 or Windows-1252 (:func:`decoded`). Separators ``;``, tab and ``|`` and a
    first line ``sep=;`` are understood; with a separator other than the comma, decimal commas become points.

    Args:
        columns: Required columns; others are kept too.

    Raises:
        BoneAgeError: No such file, empty, larger than 64 MiB, not text, not a table, a line of over a million
            characters, more than 1000 columns, or a column is missing.
    """
    path = Path(path)
    try:
        status = path.stat()
        # Reading a pipe or a device would block for ever.
        if not stat.S_ISREG(status.st_mode) and not stat.S_ISDIR(status.st_mode):
            raise BoneAgeError(f"{path}: not a file; check the path")
        if status.st_size > LARGEST_TABLE_BYTES:
            raise BoneAgeError(
                f"{path}: larger than 64 MiB, too large for a table of this project; give the right CSV file"
            )
        text = decoded(path.read_bytes())
    except UnicodeDecodeError:
        raise BoneAgeError(f"{path}: not UTF-8 text; save it as CSV in UTF-8") from None
    except OSError as error:
        raise BoneAgeError(f"{path}: cannot be read ({error.strerror}); check the path") from None
    if "\0" in text:
        raise BoneAgeError(f"{path}: not UTF-8 text (it holds zero bytes); save it as CSV in UTF-8")
    # Excel's own first line, naming the separator.
    told = _SEPARATOR_LINE.match(text)
    text = text[told.end() :] if told else text
    header = text.split("\n", 1)[0]
    if not header.strip():
        raise BoneAgeError(f"{path}: empty; its first line must name {', '.join(columns) or 'its columns'}")
    separator = told[1] if told else max(",;\t|", key=header.count)
    # Checked before parsing, whose time grows with the square of the columns.
    if header.count(separator) >= _MOST_COLUMNS or max(map(len, text.split("\n"))) > _LONGEST_LINE:
        raise BoneAgeError(
            f"{path}: not a table (more than {_MOST_COLUMNS} columns, or a line of over a million characters)"
            "; save the columns needed as CSV"
        )
    try:
        with warnings.catch_warnings():
            # Rows longer than the header would lose their last cells with just a warning.
            warnings.simplefilter("error", pd.errors.ParserWarning)
            table = pd.read_csv(
                io.StringIO(text), sep=separator, dtype=str, keep_default_na=False, index_col=False
            )
    except (pd.errors.ParserError, pd.errors.ParserWarning, ValueError) as error:
        reason = " ".join(str(error).split())
        raise BoneAgeError(f"{path}: not a table ({reason}); correct that line") from None
    table.columns = [str(name).strip() for name in table.columns]
    missing = [name for name in columns if name not in table.columns]
    if missing:
        raise BoneAgeError(
            f"{path}: column {', '.join(missing)} is missing; the header must have {', '.join(columns)}"
        )
    if doubled := [name for name in columns if (table.columns == name).sum() > 1]:
        raise BoneAgeError(f"{path}: column {doubled[0]} is there twice; keep one")
    table = table.fillna("").apply(lambda column: column.str.strip())
    # Spreadsheets leave rows of bare separators at the end.
    kept: pd.DataFrame = table[(table != "").any(axis=1)].reset_index(drop=True)
    return kept if separator == "," else kept.replace(_DECIMAL_COMMA, r"\1.\2", regex=True)


def decoded(data: bytes) -> str:
    """The text of a CSV as spreadsheets write it: UTF-8, UTF-16 with or without a byte-order mark, or a local
    single- or double-byte encoding.

    Raises:
        UnicodeDecodeError: It is none of them.
    """
    for mark, encoding in _MARKS.items():
        if data.startswith(mark):
            return data[len(mark) :].decode(encoding)
    # UTF-16 without a mark shows in the zero bytes of its Latin letters.
    even, odd = data[0:200:2], data[1:200:2]
    if odd and even.count(0) + odd.count(0) >= 0.3 * len(odd):
        return data.decode("utf-16-le" if odd.count(0) > even.count(0) else "utf-16-be")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        if _CONTROL.search(data):
            raise error
        return data.decode(_local_encoding(data))


def _local_encoding(data: bytes) -> str:
    """The likeliest non-UTF-8 encoding: GB 2312, Windows-1251 or Windows-1252."""
    runs = re.findall(rb"[\x80-\xff]+", data)
    # Chinese has two bytes a character; the lead byte of common ones is below Western accented letters.
    if all(len(run) % 2 == 0 and min(run) > 0xA0 for run in runs) and any(min(run) < 0xC0 for run in runs):
        with contextlib.suppress(UnicodeDecodeError):
            data.decode("gb2312")
            return "gb2312"
    # Three accented letters in a row are Cyrillic.
    return "cp1251" if any(len(run) > 2 and min(run) >= 0xC0 for run in runs) else "cp1252"


def read_cases(path: Path | str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Reads a case table from CSV.

    Returns:
        The case table (numbers as numbers, missing ones NaN) and ``SKIPPED_TABLE`` with the rows left out.

    Raises:
        BoneAgeError: The file is not a case table.
    """
    raw = read_table(path, CASE_TABLE)[list(CASE_TABLE)]
    numbers = {
        name: pd.to_numeric(raw[name], errors="coerce")
        for name in ("age_group", "bone_age", "reading_1", "reading_2")
    }
    reasons: list[tuple[str, str]] = []
    keep = []
    seen: set[str] = set()
    for row, case_id in enumerate(raw["case_id"]):
        reason = None
        if not is_safe_id(case_id):
            reason = "the case_id must be 1 to 64 letters, digits, _ or -"
        elif case_id in seen:
            reason = "the case_id appears twice; the first row is kept"
        else:
            for name, values in numbers.items():
                if raw[name][row] and not 0 <= values[row] <= OLDEST_YEARS:
                    reason = f"{name} {raw[name][row]!r} is not an age from 0 to {OLDEST_YEARS:g} years"
            if not reason and raw["age_group"][row] and numbers["age_group"][row] % 1:
                reason = f"age_group {raw['age_group'][row]!r} is not a whole year"
        if reason:
            reasons.append((case_id, reason))
        else:
            keep.append(row)
            seen.add(case_id)
    cases = raw.assign(**numbers).iloc[keep].reset_index(drop=True)
    return cases.astype({"age_group": "Int64"}), skipped_table(reasons)


def read_plan(path: Path | str) -> pd.DataFrame:
    """Reads an augmentation plan from CSV, every cell as text. No row is left out: a faulty plan is refused.

    Raises:
        BoneAgeError: Not a plan, an id that cannot name a file or appears twice, an unknown split, or an
            augmented image outside the training split.
    """
    plan = read_table(path, PLAN_TABLE)[list(PLAN_TABLE)]
    advice = "make it again with `python -m boneage plan`"
    if plan.empty:
        raise BoneAgeError(f"{path}: no rows; {advice}")
    # Some file systems do not tell "A1.png" from "a1.png".
    twice = plan["image_id"].str.casefold().duplicated()
    for image_id, case_id, split, doubled in zip(
        plan["image_id"], plan["case_id"], plan["split"], twice, strict=True
    ):
        if not (is_safe_id(image_id) and is_safe_id(case_id)):
            raise BoneAgeError(f"{path}: {image_id!r} of case {case_id!r} cannot name a file; {advice}")
        if doubled:
            raise BoneAgeError(f"{path}: image {image_id} appears twice; {advice}")
        if split not in SPLITS:
            raise BoneAgeError(f"{path}: image {image_id} has the unknown split {split!r}; {advice}")
        if image_id != case_id and split != "train":
            raise BoneAgeError(
                f"{path}: image {image_id} is augmented, but not in the training split; {advice}"
            )
    return plan


def write_table(path: Path | str, table: pd.DataFrame) -> Path:
    """Writes a table as UTF-8 CSV, atomically.

    Raises:
        BoneAgeError: The folder is read-only, the disk is full, or the table is over 64 MiB.
    """
    text = csv_text(table)
    if len(text.encode()) > LARGEST_TABLE_BYTES:
        raise BoneAgeError(
            f"{path}: {len(table)} rows make more than 64 MiB, too large to be read again; lower the total"
        )
    return write_text(path, text)


def skipped_table(rows: Iterable[tuple[str, str]]) -> pd.DataFrame:
    """``SKIPPED_TABLE`` from pairs of item (file or id) and reason (what is wrong and what to do)."""
    return SKIPPED_TABLE.frame(rows)
