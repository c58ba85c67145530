"""A decision about an image, its line of CSV, and what counts of many decisions.

A note is stored as a JSON string: it is read back exactly, stays on one line, and starts with a quotation
mark, so no spreadsheet runs it as a formula. The last cell of a line is always quoted, so a truncated line is
never taken for a complete one.
"""

import csv
import io
import json
import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import astuple, dataclass, replace
from functools import lru_cache
from typing import Any

from boneage.core.columns import Column, Table
from boneage.core.errors import BoneAgeError
from boneage.core.tables import is_safe_id
from boneage.images.augmentations import format_augmentations
from boneage.images.operators import format_corrections
from boneage.sources.spellings import id_finder

LOG_TABLE = Table(
    "Review log",
    [
        Column("time", "Time of the decision, UTC."),
        Column("case_id", "Id of the case."),
        Column("decision", "keep, reject, or undo, which restores the decision before."),
        Column("reason", "Reason for the rejection."),
        Column("corrections", "Corrections of the image, as JSON."),
        Column(
            "augmentations", "Augmentations its copies may be drawn from, as JSON; empty if nobody chose any."
        ),
        Column("note", "Comment."),
        Column("reviewer", "Name of the reviewer."),
    ],
    "review.csv",
    "One row per decision; the last of a case counts. Rows are only ever added.",
)
DECISIONS = ("keep", "reject", "undo")
REASONS = ("ring", "bracelet", "skeleton unknown", "growth abnormality", "other")

UNREADABLE_BOX = "a box to blank cannot be read; review this case again"
"""Note of a case kept with an unreadable box to blank: it is rejected until it is reviewed again."""

HEADER = (",".join(LOG_TABLE) + "\n").encode()
LONGEST_CELL = 131_072
"""The longest cell that Python's csv module can read."""

_REVIEWER = re.compile(r"(\w[\w .'-]{0,63})?")
_finder_of = lru_cache(4)(id_finder)


@dataclass(frozen=True)
class Decision:
    """One row of the log: ``note`` is any text, ``time`` ISO 8601 in UTC.

    ``corrections`` is a JSON list of operators with their values; ``augmentations`` a JSON list of operator
    names that copies may be drawn from, ``[]`` for no copies, and empty if nobody chose any.
    """

    time: str
    case_id: str
    decision: str
    reason: str = ""
    corrections: str = "[]"
    augmentations: str = ""
    note: str = ""
    reviewer: str = ""


def is_reviewer(name: str) -> bool:
    """Whether this is a valid name for a reviewer."""
    return _REVIEWER.fullmatch(name) is not None


def reasons_of(decision: str) -> tuple[str, ...]:
    """The reasons allowed for a decision; only the empty one unless it is a rejection."""
    return REASONS if decision == "reject" else ("",)


def standing_of(rows: Sequence[Decision]) -> dict[str, dict[str, Decision]]:
    """The decisions in force by reviewer and case, in the order they were made.

    A reviewer's last row of a case counts; an undo restores the one before.
    """
    stacks: dict[tuple[str, str], list[int]] = {}
    for at, row in enumerate(rows):
        stack = stacks.setdefault((row.reviewer, row.case_id), [])
        if row.decision != "undo":
            stack.append(at)
        elif stack:
            stack.pop()
    found: dict[str, dict[str, Decision]] = {row.reviewer: {} for row in rows}
    for at in sorted(stack[-1] for stack in stacks.values() if stack):
        found[rows[at].reviewer][rows[at].case_id] = rows[at]
    return found


def final_of(rows: Sequence[Decision]) -> dict[str, Decision]:
    """The decision that counts for each case: the last one in force by any reviewer."""
    standing = standing_of(rows)
    return {row.case_id: row for row in rows if standing[row.reviewer].get(row.case_id) is row}


def with_ids_of(cases: Collection[str], rows: Sequence[Decision]) -> list[Decision]:
    """The rows with the ids of a case table, where a spreadsheet dropped leading zeros.

    Unlike among labels, several ids may mean one case: a log goes on after it was in a spreadsheet.
    """
    known = frozenset(cases)
    find = _finder_of(known)
    others = {row.case_id for row in rows} - known
    meant = {one: found for one in others if (found := find(one))}
    return [replace(row, case_id=meant[row.case_id]) if row.case_id in meant else row for row in rows]


def line_of(row: Decision) -> bytes:
    """A decision as a line of the log.

    Raises:
        BoneAgeError: It is too long to be read back.
    """
    note = json.dumps(row.note, ensure_ascii=False) if row.note else ""
    line = line_of_cells(astuple(replace(row, note=note)))
    if cells_of(line) is None:
        raise BoneAgeError(
            f"case {row.case_id}: its note or corrections are longer than {LONGEST_CELL} characters; "
            "shorten them"
        )
    return line


def line_of_cells(cells: Sequence[str]) -> bytes:
    """Cells as a line of the log."""
    *cells, last = (cell.replace("\n", " ") for cell in cells)
    text = io.StringIO()
    csv.writer(text, lineterminator="").writerow(cells)
    doubled = last.replace('"', '""')
    # A lone surrogate has no UTF-8 encoding; JSON reads its backslash escape.
    return f'{text.getvalue()},"{doubled}"'.encode("utf-8", "backslashreplace") + b"\n"


def cells_of(line: bytes) -> list[str] | None:
    """The cells of a line if it holds a decision, perhaps typed with capitals or spaces; else None."""
    try:
        (cells,) = csv.reader([_decoded(line)[0]], strict=True)
    except (ValueError, csv.Error):
        return None
    if len(cells) != len(LOG_TABLE):
        return None
    cells[2:4] = (cell.strip().casefold() for cell in cells[2:4])
    _, case_id, decision, reason, *_, reviewer = cells
    fits = is_safe_id(case_id) and decision in DECISIONS and is_reviewer(reviewer)
    return cells if fits and reason in reasons_of(decision) else None


def read_line(line: bytes) -> tuple[Decision | None, list[str]]:
    """The decision on a line, or None; and what is wrong with the line."""
    cells = cells_of(line)
    if cells is None:
        return None, [" is not a decision and is ignored; correct it in the file"]
    time, case_id, decision, reason, corrections, augmentations, note, reviewer = cells
    notices = []
    if b"\0" in line:
        notices.append(
            " holds zero bytes, as after a crash; decisions that stood there are lost: compare with a copy"
        )
    if _decoded(line)[1]:
        notices.append(" is not UTF-8; check its note, and save the file as CSV UTF-8")
    chosen, faults = _readable(corrections or "[]", "corrections", format_corrections)
    names, unknown = _readable(augmentations.strip() or "[]", "augmentations", format_augmentations)
    faults += unknown
    notices += [f", case {case_id}: {fault}; the decision counts without it" for fault in faults]
    is_choice = augmentations.strip() and (names or not unknown)
    row = Decision(
        time,
        case_id,
        decision,
        reason,
        format_corrections(chosen),
        format_augmentations(names if is_choice else None),
        _note(note),
        reviewer,
    )
    # The box was meant to hide something, so the image must not be used without it. Typed by hand it may be
    # "Blank".
    if decision == "keep" and corrections.casefold().count("blank") > row.corrections.count("blank"):
        row = replace(row, decision="reject", reason="other", corrections="[]", note=UNREADABLE_BOX)
        notices.append(f", case {case_id}: {UNREADABLE_BOX}; it is left out until then")
    return row, notices


def _readable(text: str, what: str, check: Callable[[list[Any]], str]) -> tuple[list[Any], list[str]]:
    """The valid entries of a JSON list, and what is wrong with the others."""
    try:
        named = json.loads(text)
    except (ValueError, RecursionError):
        named = None
    if not isinstance(named, list):
        return [], [f"invalid {what}"]
    good: list[Any] = []
    faults = []
    for one in named:
        try:
            check([*good, one])
            good.append(one)
        except BoneAgeError as error:
            faults.append(str(error))
    return good, faults


def _decoded(line: bytes) -> tuple[str, bool]:
    """A line as text, and whether its encoding had to be guessed."""
    try:
        return line.decode("utf-8"), False
    except UnicodeDecodeError:
        return line.decode("cp1252", "replace"), True


def _note(cell: str) -> str:
    try:
        note = json.loads(cell)
    except (ValueError, RecursionError):
        return cell  # Typed into a spreadsheet by hand.
    return note if isinstance(note, str) else cell
