"""Repairs a review log on disk after crashes, spreadsheets and replaced copies."""

import codecs
import contextlib
import csv
import difflib
import heapq
import io
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from itertools import groupby
from typing import NamedTuple

from boneage.review.decisions import (
    HEADER,
    LOG_TABLE,
    Decision,
    cells_of,
    final_of,
    line_of_cells,
    read_line,
)

_OUR_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+00:00")
# In the order tried; spreadsheets also write the last two.
_ENCODINGS = ("utf-8-sig", "utf-16", "cp1252")
# By how much the clocks of two reviewers may differ.
_CLOCKS_DIFFER = timedelta(minutes=5)
_MOST_NAMED = 12


class Aside(NamedTuple):
    """Content removed from a log: the file that keeps it, and why, in words for the reviewer."""

    suffix: str
    data: bytes
    why: str


class _Line(NamedTuple):
    """A line of a log, and the decision on it."""

    line: bytes
    row: Decision | None


def whole_lines(data: bytes) -> tuple[bytes, Aside | None] | None:
    """A log with our header and only complete lines, and what is set aside; None if it is no review log."""
    if HEADER.startswith(data):
        return (data if data == HEADER else b""), None
    if not data.startswith(HEADER):
        return _from_spreadsheet(data)
    end = data.rfind(b"\n") + 1
    tail = data[end:]
    if not tail:
        return (None if _is_ours(data) else _from_spreadsheet(data)) or (data, None)
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


def _is_ours(log: bytes) -> bool:
    """Whether a line with a decision ends as we write it; other programs quote the last cell only at need."""
    return any(line.endswith(b'"') and cells_of(line) for line in log.split(b"\n"))


def _from_spreadsheet(data: bytes) -> tuple[bytes, Aside | None] | None:
    """A log that another program saved, with its rows in order; None if it is no log."""
    rows = _spreadsheet_rows(data)
    if rows is None:
        return None
    lines = [line_of_cells(row).replace(b"\r", b" ") for row in rows]
    ordered, why = _in_order(lines)
    if not why and data.startswith(HEADER) and lines == _lines(data):
        return data, None
    why = why or "was saved by another program"
    why += "; it is repaired, and the original kept as .before-mending"
    return HEADER + b"".join(ordered), Aside(".before-mending", data, why)


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


def _in_order(lines: Sequence[bytes]) -> tuple[list[bytes], str]:
    """The lines as they were before another program sorted them; and what was done, in words, if anything."""
    read = [_Line(line, read_line(line)[0]) for line in lines]
    by_time = sorted(read, key=lambda one: one.line.split(b",", 1)[0])
    is_sorted = _is_sorted([one.row for one in read if one.row])
    if is_sorted is None:
        return _with_all_rejections(read, by_time)
    if is_sorted:
        return [one.line for one in by_time], "was saved and sorted by another program"
    return list(lines), ""


def _with_all_rejections(read: Sequence[_Line], by_time: Sequence[_Line]) -> tuple[list[bytes], str]:
    """The lines as they stand, but those of a case in order of time if only so it is rejected; and why."""
    stands, timely = (final_of([one.row for one in order if one.row]) for order in (read, by_time))
    unsure = [case_id for case_id in stands | timely if stands.get(case_id) != timely.get(case_id)]
    if not unsure:
        return [one.line for one in read], ""
    moved = _rejected(timely).intersection(unsure) - _rejected(stands)
    in_time = iter([one for one in by_time if one.row and one.row.case_id in moved])
    placed = [next(in_time) if one.row and one.row.case_id in moved else one for one in read]
    named = ", ".join(unsure[:_MOST_NAMED]) + ", …" * (len(unsure) > _MOST_NAMED)
    why = "was saved by another program, and its times go back, as after sorting or a change of the clock; "
    return [
        one.line for one in placed
    ], f"{why}where the order matters, rejections count: look again at {named}"


def _rejected(final: Mapping[str, Decision]) -> set[str]:
    return {case_id for case_id, row in final.items() if row.decision == "reject"}


def _is_sorted(rows: Sequence[Decision]) -> bool | None:
    """Whether rows were sorted since we wrote them; None if that is unsure.

    Sorting makes a reviewer's times go back many times, a clock that was set once. Sorting by reviewer makes
    only one reviewer's times start before those of another ended; if they take turns, their clocks differ.
    """
    timed = [(time, row.reviewer) for row in rows if (time := _time_of(row))]
    latest: dict[str, datetime] = {}
    times_back, is_earlier = 0, False
    for time, reviewer in timed:
        times_back += time < latest.get(reviewer, time)
        is_earlier |= any(other - time > _CLOCKS_DIFFER for other in latest.values())
        latest[reviewer] = time
    if not times_back and not is_earlier:
        return False
    take_turns = len(list(groupby(reviewer for _, reviewer in timed))) > len(latest)
    is_sure = times_back > 1 or not (times_back or take_turns)
    return True if is_sure and len(timed) == len(rows) else None


def _time_of(row: Decision) -> datetime | None:
    """The time of a row that we wrote; None if it was typed by hand."""
    with contextlib.suppress(ValueError):
        return datetime.fromisoformat(row.time) if _OUR_TIME.fullmatch(row.time) else None
    return None
