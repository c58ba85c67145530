"""What a review log on disk has to bear: crashes, spreadsheets, and copies put in its place."""

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
# In the order in which they are tried; the two last are what spreadsheets write besides UTF-8.
_ENCODINGS = ("utf-8-sig", "utf-16", "cp1252")


class Aside(NamedTuple):
    """What is taken out of a log: where it is kept, and why, in words for the reviewer."""

    suffix: str
    data: bytes
    why: str


def whole_lines(data: bytes) -> tuple[bytes, Aside | None] | None:
    """A log with our header and only whole lines, and what is to be kept aside; None for no review log."""
    if HEADER.startswith(data):
        return (data if data == HEADER else b""), None
    if not data.startswith(HEADER):
        return _from_spreadsheet(data)
    end = data.rfind(b"\n") + 1
    tail = data[end:]
    if not tail:
        return data, None
    # Our own lines end with a quotation mark; one typed by hand need not.
    if cells_of(tail) and (tail.endswith(b'"') or not _OUR_TIME.match(tail.decode("utf-8", "replace"))):
        return data + b"\n", None
    why = "its last line was cut short by a crash; it is kept in .torn, decide that case again"
    return data[:end], Aside(".torn", tail + b"\n", why)


def merged(known: bytes, found: bytes) -> tuple[bytes, int]:
    """All lines of two copies of a log, each one's in its order, and how many of the first the other lacked.

    Where the two went on differently from the same place, the lines stand in the order of their times.
    """
    ours, theirs = _lines(known), _lines(found)
    # Matched by place first: a clock that lags must not carry a decision past one that came before it.
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
    """The lines below the header, decisions quoted as we do, whoever wrote them."""
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
    why = f"was {how} by another program; mended, the original is kept as .before-mending"
    lines = [line_of_cells(row).replace(b"\r", b" ") for row in rows]
    return HEADER + b"".join(lines), Aside(".before-mending", data, why)


def _spreadsheet_rows(data: bytes) -> list[list[str]] | None:
    """The cells of a log that another program saved, whatever its encoding and separator; None for no log."""
    for encoding in _ENCODINGS:
        # Without its mark any bytes of even number would pass for UTF-16.
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
    """Whether a reviewer's own times go down, which only sorting in a spreadsheet does."""
    if not all(_OUR_TIME.fullmatch(row[0]) for row in rows):
        return False
    latest: dict[str, str] = {}
    for time, *_, reviewer in rows:
        if time < latest.get(reviewer, ""):
            return True
        latest[reviewer] = time
    return False
