"""Repairs a review log on disk after crashes, spreadsheets and replaced copies."""

import codecs
import contextlib
import csv
import difflib
import heapq
import io
import re
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from boneage.review.decisions import HEADER, LOG_TABLE, cells_of, line_of_cells

_OUR_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+00:00")
# In the order tried; spreadsheets also write the last two.
_ENCODINGS = ("utf-8-sig", "utf-16", "cp1252")


class Aside(NamedTuple):
    """Content removed from a log: the file that keeps it, and why, in words for the reviewer."""

    suffix: str
    data: bytes
    why: str


def whole_lines(data: bytes) -> tuple[bytes, Aside | None] | None:
    """A log with our header and only complete lines, and what is set aside; None if it is no review log."""
    if HEADER.startswith(data):
        return (data if data == HEADER else b""), None
    if not data.startswith(HEADER):
        return _from_spreadsheet(data)
    end = data.rfind(b"\n") + 1
    tail = data[end:]
    if not tail:
        return data, None
    # Lines we write end with a quotation mark; one typed by hand may not.
    if cells_of(tail) and (tail.endswith(b'"') or not _OUR_TIME.match(tail.decode("utf-8", "replace"))):
        return data + b"\n", None
    why = "its last line was truncated by a crash and is kept in .torn; review that case again"
    return data[:end], Aside(".torn", tail + b"\n", why)


def merged(known: bytes, found: bytes) -> tuple[bytes, int]:
    """All lines of two copies of a log in order, and how many lines of the first the second lacked.

    Where both continued differently from the same place, the lines are ordered by time.
    """
    ours, theirs = _lines(known), _lines(found)
    # Matched by place first: a slow clock must not move a decision past an earlier one.
    steps = difflib.SequenceMatcher(None, ours, theirs, False).get_opcodes()
    moved = Counter(line for tag, _, _, first, last in steps if tag != "equal" for line in theirs[first:last])
    lines: list[bytes] = []
    regained = 0
    for tag, start, end, first, last in steps:
        lacking = []
        for line in ours[start:end] if tag != "equal" else ():
            if moved[line]:
                moved[line] -= 1
            else:
                lacking.append(line)
        regained += len(lacking)
        lines += heapq.merge(lacking, theirs[first:last], key=lambda line: line.split(b",", 1)[0])
    return HEADER + b"".join(lines), regained


def _lines(log: bytes) -> list[bytes]:
    """The lines below the header, with decisions quoted our way."""
    lines = log[len(HEADER) :].split(b"\n")[:-1]
    return [line_of_cells(cells) if (cells := cells_of(line)) else line + b"\n" for line in lines]


def _from_spreadsheet(data: bytes) -> tuple[bytes, Aside] | None:
    rows = _spreadsheet_rows(data)
    if rows is None:
        return None
    how = "saved"
    if _is_sorted_otherwise(rows):
        rows.sort(key=lambda row: row[0])
        how = "saved and sorted"
    why = f"was {how} by another program; it is repaired, and the original kept as .before-mending"
    lines = [line_of_cells(row).replace(b"\r", b" ") for row in rows]
    return HEADER + b"".join(lines), Aside(".before-mending", data, why)


def _spreadsheet_rows(data: bytes) -> list[list[str]] | None:
    """The cells of a log saved by another program, in any encoding and separator; None if it is no log."""
    for encoding in _ENCODINGS:
        # Without a byte order mark any even number of bytes would pass for UTF-16.
        if encoding == "utf-16" and not data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            continue
        with contextlib.suppress(ValueError, csv.Error):
            text = data.decode(encoding)
            header = text.split("\n", 1)[0]
            reader = csv.DictReader(
                io.StringIO(text, newline=""), delimiter=max(",;\t", key=header.count), strict=True
            )
            if set(list(LOG_TABLE)[:-1]) <= set(reader.fieldnames or ()):
                return [[row.get(name) or "" for name in LOG_TABLE] for row in reader]
    return None


def _is_sorted_otherwise(rows: Sequence[Sequence[str]]) -> bool:
    """Whether a reviewer's times go backwards, which only sorting in a spreadsheet does."""
    if not all(_OUR_TIME.fullmatch(row[0]) for row in rows):
        return False
    latest: dict[str, str] = {}
    for time, *_, reviewer in rows:
        if time < latest.get(reviewer, ""):
            return True
        latest[reviewer] = time
    return False
