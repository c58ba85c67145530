"""What a person decides about each image: an append-only log with undo, resume, and several reviewers.

A decision is one line of CSV and on disk before the call returns. A note is stored as a JSON string:
it comes back exactly, stays on one line, and starts with a quotation mark, so no spreadsheet runs it.
The last cell of a line is always quoted, so that a line cut short is never taken for a whole one.
"""

import codecs
import contextlib
import csv
import difflib
import errno
import heapq
import io
import json
import os
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import astuple, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
from filelock import FileLock, Timeout

from boneage.core.columns import Column, Table
from boneage.core.errors import BoneAgeError
from boneage.core.files import make_folder, write_bytes, write_error
from boneage.core.tables import LARGEST_TABLE_BYTES, is_safe_id
from boneage.images.augmentations import format_augmentations
from boneage.images.operators import format_corrections, parse_corrections

LOG_TABLE = Table(
    "Review log",
    [
        Column("time", "When it was decided, UTC."),
        Column("case_id", "Name of the case."),
        Column("decision", "keep, reject, or undo, after which the decision before stands again."),
        Column("reason", "Why it is rejected."),
        Column("corrections", "What puts the image right, as JSON."),
        Column(
            "augmentations", "What its augmented images may be drawn from, as JSON; empty leaves that open."
        ),
        Column("note", "A remark."),
        Column("reviewer", "Who decided."),
    ],
    "review.csv",
    "One row a decision, the last of a case stands; rows are only ever added.",
)
DECISIONS = ("keep", "reject", "undo")
REASONS = ("ring", "bracelet", "skeleton unknown", "growth abnormality", "other")

UNREADABLE_BOX = "the box to blank cannot be read; decide this case again"
"""The note of a case that was kept with a box that the log no longer tells: it is rejected until then."""

_HEADER = (",".join(LOG_TABLE) + "\n").encode()
_OLD_HEADER = re.compile(rb"(\xef\xbb\xbf)?time[,;\t]case_id[,;\t]decision[,;\t]reason[,;\t]operators\b")
_REVIEWER = re.compile(r"(\w[\w .'-]{0,63})?")
_OUR_TIME = re.compile(rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+00:00")
_LOCK_SECONDS = 10.0
# The longest cell that Python's csv module reads back.
_LONGEST_CELL = 131_072
_READ_ONLY = (errno.EROFS, errno.EACCES, errno.EPERM)
# In the order in which they are tried; the two last are what spreadsheets write besides UTF-8.
_ENCODINGS = ("utf-8-sig", "utf-16", "cp1252")


@dataclass(frozen=True)
class Decision:
    """One row of the log: ``note`` is any text, ``time`` ISO 8601 in UTC.

    ``corrections`` is a JSON list of operators with their values; ``augmentations`` a JSON list of names that
    copies may be drawn from, ``[]`` for no copies, and empty where nobody chose.
    """

    time: str
    case_id: str
    decision: str
    reason: str = ""
    corrections: str = "[]"
    augmentations: str = ""
    note: str = ""
    reviewer: str = ""


@dataclass(frozen=True)
class Summary:
    """Where a review stands: counts of cases, and the cases on which reviewers disagree."""

    cases: int
    accepted: int
    rejected: dict[str, int]
    undecided: int
    disagreements: tuple[str, ...]


def _now() -> datetime:
    return datetime.now(UTC)


class ReviewLog:
    """A review log on disk; several processes may have it open at once.

    A log in a folder that cannot be written is opened to read. Rows that were once read stay: a log that is
    deleted or replaced while it is open gets them back, merged with what stands there now.

    Args:
        path: The CSV file.
        reviewer: Whose decisions this object writes; may be empty.
        clock: Tells the time.
        read_only: Whether the file and its folder stay as they are, whatever is wrong with them.

    Attributes:
        path: The CSV file; made by the first decision.
        reviewer: As given.
        rows: Every readable row in the order written, as of the last call.
        notices: What was mended or left out, in words for the reviewer.

    Raises:
        BoneAgeError: The file is no review log, cannot be read, or is locked by another for 10 s.
    """

    def __init__(
        self,
        path: Path | str,
        reviewer: str = "",
        clock: Callable[[], datetime] = _now,
        read_only: bool = False,
    ) -> None:
        if not _REVIEWER.fullmatch(reviewer):
            raise BoneAgeError(f"reviewer {reviewer!r}: name it with up to 64 letters, digits, spaces, . ' -")
        self.path = Path(path)
        self.reviewer = reviewer
        self.rows: list[Decision] = []
        self.notices: list[str] = []
        self._clock = clock
        self._read_only = read_only
        self._known = bytearray()
        self._lines = 0
        self._seen: tuple[int, ...] | None = None
        self.refresh()

    @property
    def saved(self) -> datetime | None:
        """When the last decision was written to disk; None where no row tells a time."""
        times = (_time_of(row.time) for row in reversed(self.rows))
        return next((time for time in times if time is not None), None)

    def refresh(self) -> None:
        """Reads what others wrote since, and mends what a crash or a spreadsheet left.

        Raises:
            BoneAgeError: See the class.
        """
        with self._locked(to_read=True) as may_write:
            self._read(may_write)

    def append(
        self,
        case_id: str,
        decision: str,
        reason: str = "",
        corrections: Sequence[Mapping[str, object]] = (),
        augmentations: Sequence[str] | None = None,
        note: str = "",
    ) -> Decision:
        """Writes one decision; it is on disk when this returns.

        Args:
            case_id: The case.
            decision: One of :data:`DECISIONS`.
            reason: One of :data:`REASONS` for a rejection, else empty.
            corrections: What puts the image right; see :data:`boneage.images.operators.CORRECTIONS`.
            augmentations: What copies may be drawn from, :data:`augmentations.AUGMENTATIONS`; None
                leaves it to the suggestion for the image, an empty list makes no copies.
            note: Any text.

        Raises:
            BoneAgeError: A value does not fit, or the log cannot be written; then nothing is recorded.
        """
        if not is_safe_id(case_id):
            raise BoneAgeError(f"case_id {case_id!r}: must be 1 to 64 letters, digits, _ or -")
        if decision not in DECISIONS:
            raise BoneAgeError(f"decision {decision!r}: must be one of {', '.join(DECISIONS)}")
        if reason not in (REASONS if decision == "reject" else ("",)):
            raise BoneAgeError(
                f"reason {reason!r}: a rejection takes one of {', '.join(REASONS)}, the rest none"
            )
        chosen = format_corrections(corrections), format_augmentations(augmentations)
        with self._locked():
            self._read()
            row = Decision(self._time(), case_id, decision, reason, *chosen, note, self.reviewer)
            if _cells(_line(row)) is None:
                raise BoneAgeError(
                    f"case {case_id}: its note or corrections are longer than {_LONGEST_CELL} characters; "
                    "shorten them"
                )
            self._write([row])
        return row

    def undo(self, case_id: str | None = None) -> str | None:
        """Takes back this reviewer's decision on a case, or the last one that stands.

        What this reviewer had decided before on the case stands again, with its corrections; undone again,
        what was decided before that. Decisions of other reviewers stay as they are.

        Returns:
            The case whose decision was taken back; None where this reviewer has nothing to take back.

        Raises:
            BoneAgeError: The log cannot be written.
        """
        with self._locked():
            self._read()
            state = self.state()
            case_id = next(reversed(state), None) if case_id is None else case_id
            if case_id not in state:
                return None
            self._write([Decision(self._time(), case_id, "undo", reviewer=self.reviewer)])
            return case_id

    def fill_from(self, recorded: "ReviewLog") -> int:
        """Takes over a recorded review where no person is at hand; what a person did here always wins.

        The decisions that stand in the recorded log are appended with their time, reviewer and note, for
        the cases of which this log has no row. A decision that was taken back here is a row too, so it is
        not filled again, and filling twice adds nothing.

        Args:
            recorded: The log to take from; nothing is added to it.

        Returns:
            How many decisions were added; they are on disk, all of them or none.

        Raises:
            BoneAgeError: A log cannot be read, or this one cannot be written.
        """
        if recorded.path.resolve() == self.path.resolve():
            raise BoneAgeError(f"{self.path}: cannot be filled from itself; name the recorded log")
        recorded.refresh()
        standing = recorded.standing()
        with self._locked():
            self._read()
            touched = {row.case_id for row in self.rows}
            rows = [
                row
                for row in recorded.rows
                if standing[row.reviewer].get(row.case_id) is row and row.case_id not in touched
            ]
            if rows:
                self._write(rows)
        return len(rows)

    def state(self, reviewer: str | None = None) -> dict[str, Decision]:
        """The standing decisions of one reviewer (by default this one) by case, the latest last."""
        return self.standing().get(self.reviewer if reviewer is None else reviewer, {})

    def standing(self) -> dict[str, dict[str, Decision]]:
        """The standing decisions by reviewer and case, in the order in which they were made.

        A reviewer's last row of a case wins; an undo takes it back, and the one before it stands again.
        """
        stacks: dict[tuple[str, str], list[int]] = {}
        for at, row in enumerate(self.rows):
            stack = stacks.setdefault((row.reviewer, row.case_id), [])
            if row.decision != "undo":
                stack.append(at)
            elif stack:
                stack.pop()
        found: dict[str, dict[str, Decision]] = {row.reviewer: {} for row in self.rows}
        for at in sorted(stack[-1] for stack in stacks.values() if stack):
            row = self.rows[at]
            found[row.reviewer][row.case_id] = row
        return found

    def first_undecided(self, queue: Sequence[str]) -> str | None:
        """The first case of a queue on which this reviewer has not decided; None at the end."""
        state = self.state()
        return next((case_id for case_id in queue if case_id not in state), None)

    def decisions_table(self) -> pd.DataFrame:
        """Every row as a table with the columns :data:`LOG_TABLE`; notes as they were typed."""
        return pd.DataFrame([astuple(row) for row in self.rows], columns=list(LOG_TABLE))

    @contextlib.contextmanager
    def _locked(self, to_read: bool = False) -> Iterator[bool]:
        """Holds the log; yields whether it may be written."""
        if self._read_only:
            if not to_read:
                raise BoneAgeError(f"{self.path}: opened to read only; open it anew to decide")
            yield False
            return
        make_folder(self.path.parent)
        lock = FileLock(f"{self.path}.lock", timeout=_LOCK_SECONDS)
        try:
            lock.acquire()
        except Timeout:
            raise BoneAgeError(f"{self.path}: another board holds the lock; close it and try again") from None
        except OSError as error:
            if not to_read or error.errno not in _READ_ONLY:
                raise write_error(self.path, error) from None
        try:
            yield lock.is_locked
        except OSError as error:
            raise write_error(self.path, error) from None
        finally:
            lock.release()

    def _time(self) -> str:
        # Boards on one log share one file: the clock of one may lag, the order of the rows does not.
        return self._clock().astimezone(UTC).isoformat(timespec="milliseconds")

    def _write(self, rows: Sequence[Decision]) -> None:
        lines = b"".join(map(_line, rows))
        new = b"" if self._known else _HEADER
        with open(self.path, "ab", buffering=0) as file:
            try:
                if file.write(new + lines) != len(new) + len(lines):
                    raise OSError(errno.ENOSPC, "No space left on device")
                os.fsync(file.fileno())
            except OSError:
                with contextlib.suppress(OSError):
                    os.ftruncate(file.fileno(), len(self._known))
                raise
        if new:
            self._sync_folder()
        self._known += new + lines
        self._lines += bool(new) + len(rows)
        self.rows += rows
        self._seen = self._stamp()

    def _sync_folder(self) -> None:
        """A new name, too, survives a power cut; file systems that cannot do this keep it anyhow or never."""
        with contextlib.suppress(OSError):
            folder = os.open(self.path.parent, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)

    def _stamp(self) -> tuple[int, ...] | None:
        """What changes when the file does."""
        try:
            facts = os.stat(self.path)
        except FileNotFoundError:
            return None
        return facts.st_ino, facts.st_size, facts.st_mtime_ns

    def _read(self, may_write: bool = True) -> None:
        stamp = self._stamp()
        if stamp is not None and stamp == self._seen:
            return
        found = b"" if stamp is None else self._on_disk()
        whole, aside = self._whole_lines(found)
        if not whole.startswith(self._known):
            whole = self._merged(whole, stamp is None)
        if not may_write:
            if not self._read_only:
                self._notice("is in a folder that cannot be written, so it is open to read only")
            if aside:
                self._notice("was cut short or saved by another program; it is left so, its whole rows count")
            stamp = None
        elif whole != found:
            if aside:
                self._keep_aside(*aside)
            write_bytes(self.path, whole)
            self._sync_folder()
            stamp = self._stamp()
        self._take_new(whole)
        self._seen = stamp

    def _on_disk(self) -> bytes:
        try:
            # Asked before it is read: what is named by mistake may be huge.
            if os.stat(self.path).st_size > LARGEST_TABLE_BYTES:
                raise BoneAgeError(
                    f"{self.path}: larger than 64 MiB, which no review log is; name the right file"
                )
            return self.path.read_bytes()
        except IsADirectoryError as error:
            raise write_error(self.path, error) from None
        except OSError as error:
            raise BoneAgeError(
                f"{self.path}: cannot be read ({error.strerror}); check its permissions"
            ) from None

    def _whole_lines(self, data: bytes) -> tuple[bytes, tuple[str, bytes, str] | None]:
        """The log with our header and only whole lines; what to keep aside (suffix, bytes), and why."""
        if _HEADER.startswith(data):
            return (data if data == _HEADER else b""), None
        if not data.startswith(_HEADER):
            why = "was saved by another program; mended, the original is kept as .before-mending"
            return self._from_spreadsheet(data), (".before-mending", data, why)
        end = data.rfind(b"\n") + 1
        tail = data[end:]
        if not tail:
            return data, None
        # Our own lines end with a quotation mark; one typed by hand need not.
        if _cells(tail) and (tail.endswith(b'"') or not _OUR_TIME.match(tail)):
            return data + b"\n", None
        why = "its last line was cut short by a crash; it is kept in .torn, decide that case again"
        return data[:end], (".torn", tail + b"\n", why)

    def _keep_aside(self, suffix: str, data: bytes, why: str) -> None:
        with open(f"{self.path}{suffix}", "ab") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        self._notice(why)

    def _merged(self, found: bytes, deleted: bool) -> bytes:
        """What is on disk together with what this object had read of the log before."""
        lines, regained = _merged_lines(_lines(bytes(self._known)), _lines(found))
        if deleted:
            self._notice("was deleted while open; it was written again with all its rows")
        elif regained:
            self._notice(
                f"was replaced while open by another copy; rows that it lacked and are back: {regained}"
            )
        return _HEADER + b"".join(line + b"\n" for line in lines)

    def _from_spreadsheet(self, data: bytes) -> bytes:
        rows = _spreadsheet_rows(data)
        if rows is None and _OLD_HEADER.match(data):
            raise BoneAgeError(
                f"{self.path}: a review log without corrections and augmentations; rename its column "
                "operators to corrections, and put an empty column augmentations behind it"
            )
        if rows is None:
            raise BoneAgeError(
                f"{self.path}: no review log; if a spreadsheet saved it, save it there again as "
                "CSV UTF-8, else move it away or name another file"
            )
        if _is_sorted_otherwise(rows):
            rows.sort(key=lambda row: row[0])
            self._notice("was sorted by another program; its rows are in the order of their times again")
        return _HEADER + b"".join(_csv(row).replace(b"\r", b" ") for row in rows)

    def _take_new(self, data: bytes) -> None:
        """Reads the lines that come after the known ones; where those are not the start, all of them."""
        if not data.startswith(self._known):
            self._known, self._lines, self.rows = bytearray(), 0, []
        start = max(len(self._known), len(_HEADER))
        self._lines = max(self._lines, 1)
        for line in data[start:].split(b"\n")[:-1]:
            self._lines += 1
            self._take(self._lines, line)
        self._known[:] = data
        if not data:
            self._lines = 0

    def _take(self, number: int, line: bytes) -> None:
        cells = _cells(line)
        if cells is None:
            self._notice(f"line {number} is no decision and is left out; mend it in the file")
            return
        if _decoded(line)[1]:
            self._notice(f"line {number} is not UTF-8; check its note, and save such files as CSV UTF-8")
        time, case_id, decision, reason, corrections, augmentations, note, reviewer = cells
        names, unknown = _readable_augmentations(augmentations)
        row = Decision(time, case_id, decision, reason, "[]", names, _note(note), reviewer)
        chosen, faults = _readable_corrections(corrections)
        for fault in [*faults, *unknown]:
            self._notice(f"line {number}, case {case_id}: {fault}; the decision stands without it")
        if decision == "keep" and _lost_box(corrections, chosen):
            # Who drew it meant to hide something: the image must not go on with it in sight.
            row = replace(row, decision="reject", reason="other", note=UNREADABLE_BOX)
            self._notice(f"line {number}, case {case_id}: {UNREADABLE_BOX}, it is left out until then")
        else:
            row = replace(row, corrections=chosen)
        self.rows.append(row)

    def _notice(self, text: str) -> None:
        notice = f"{self.path}: {text}"
        if notice not in self.notices:
            self.notices.append(notice)


def summary(log: ReviewLog, cases: Sequence[str]) -> Summary:
    """Counts a review over the given case ids; where reviewers differ the last decision counts."""
    final, disputed = _final(log), _disputed(log)
    ours = {case_id: final[case_id] for case_id in cases if case_id in final}
    rejected = [row.reason for row in ours.values() if row.decision == "reject"]
    return Summary(
        cases=len(cases),
        accepted=len(ours) - len(rejected),
        rejected={reason: rejected.count(reason) for reason in REASONS if reason in rejected},
        undecided=len(cases) - len(ours),
        disagreements=tuple(case_id for case_id in cases if case_id in disputed),
    )


def apply_log(cases: pd.DataFrame, log: ReviewLog) -> tuple[pd.DataFrame, pd.DataFrame, list[str]]:
    """Takes the rejected cases out of a case table; cases not yet reviewed stay in, and a notice says so.

    Boxes to blank hide what nobody should see, so those of every reviewer count, not only of the last.

    Returns:
        The accepted cases with the columns ``corrections`` (JSON, an empty list where none was chosen) and
        ``augmentations`` (JSON, empty where nobody chose); the rejected ones (``case_id, reason, note,
        reviewer``); and notices in words.
    """
    final, standing = _final(log), log.standing()
    ids = cases["case_id"].tolist()
    gone = [case_id for case_id in final if case_id not in set(ids)]
    notices = [
        *log.notices,
        *(f"case {case_id}: decided, but no longer in the case table" for case_id in gone),
    ]
    counts = summary(log, ids)
    notices += [
        f"case {case_id}: reviewers disagree; the last decision counts" for case_id in counts.disagreements
    ]
    if counts.undecided:
        notices.append(f"{counts.undecided} cases are not reviewed yet; they stay in")
    rejected = {
        case_id: final[case_id] for case_id in ids if case_id in final and final[case_id].decision == "reject"
    }
    accepted = cases[~cases["case_id"].isin(list(rejected))].reset_index(drop=True)
    ours = [final.get(case_id) for case_id in accepted["case_id"]]
    chosen = [(_with_boxes(row, standing), row.augmentations) if row else ("[]", "") for row in ours]
    table = pd.DataFrame(
        [(row.case_id, row.reason, row.note, row.reviewer) for row in rejected.values()],
        columns=["case_id", "reason", "note", "reviewer"],
    )
    accepted[["corrections", "augmentations"]] = pd.DataFrame(
        chosen, columns=["corrections", "augmentations"], dtype=str
    )
    return accepted, table, notices


def _final(log: ReviewLog) -> dict[str, Decision]:
    standing = log.standing()
    return {row.case_id: row for row in log.rows if standing[row.reviewer].get(row.case_id) is row}


def _with_boxes(final: Decision, standing: Mapping[str, Mapping[str, Decision]]) -> str:
    chosen = parse_corrections(final.corrections)
    for state in standing.values():
        if final.case_id in state:
            others = parse_corrections(state[final.case_id].corrections)
            chosen += [one for one in others if one["name"] == "blank" and one not in chosen]
    return format_corrections(chosen)


def _disputed(log: ReviewLog) -> set[str]:
    verdicts: dict[str, set[str]] = {}
    for state in log.standing().values():
        for case_id, row in state.items():
            verdicts.setdefault(case_id, set()).add(row.decision)
    return {case_id for case_id, found in verdicts.items() if len(found) > 1}


def _lines(log: bytes) -> list[bytes]:
    """The lines below the header, decisions quoted as this module does, whoever wrote them."""
    lines = log[len(_HEADER) :].split(b"\n")[:-1]
    return [_csv(cells)[:-1] if (cells := _cells(line)) else line for line in lines]


def _merged_lines(ours: list[bytes], theirs: list[bytes]) -> tuple[list[bytes], int]:
    """All lines of both, each side's in its order, and how many of ours the other lacked.

    Where the two went on differently from the same place, the lines stand in the order of their times.
    """
    # Matched by place first: a clock that lags must not carry a decision past one that came before it.
    steps = difflib.SequenceMatcher(None, ours, theirs, False).get_opcodes()
    moved = Counter(line for tag, _, _, first, last in steps if tag != "equal" for line in theirs[first:last])
    merged: list[bytes] = []
    regained = 0
    for tag, start, end, first, last in steps:
        lacking = []
        for line in ours[start:end] if tag != "equal" else ():
            if moved[line]:
                moved[line] -= 1
            else:
                lacking.append(line)
        regained += len(lacking)
        merged += heapq.merge(lacking, theirs[first:last], key=lambda line: line.split(b",", 1)[0])
    return merged, regained


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
    if not all(_OUR_TIME.fullmatch(row[0].encode()) for row in rows):
        return False
    latest: dict[str, str] = {}
    for time, *_, reviewer in rows:
        if time < latest.get(reviewer, ""):
            return True
        latest[reviewer] = time
    return False


def _decoded(line: bytes) -> tuple[str, bool]:
    """A line as text, and whether it had to be guessed at."""
    try:
        return line.decode("utf-8"), False
    except UnicodeDecodeError:
        return line.decode("cp1252", "replace"), True


def _cells(line: bytes) -> list[str] | None:
    """The cells of a line that is a decision; None for any other."""
    try:
        (cells,) = csv.reader([_decoded(line)[0]], strict=True)
    except (ValueError, csv.Error):
        return None
    if len(cells) != len(LOG_TABLE):
        return None
    _, case_id, decision, reason, *_, reviewer = cells
    fits = is_safe_id(case_id) and decision in DECISIONS and _REVIEWER.fullmatch(reviewer)
    return cells if fits and reason in (REASONS if decision == "reject" else ("",)) else None


def _readable_corrections(text: str) -> tuple[str, list[str]]:
    """The corrections of a row that can be applied, as JSON, and what is wrong with the others."""
    named = _list_of(text or "[]")
    if named is None:
        return "[]", ["broken corrections"]
    good: list[Mapping[str, object]] = []
    faults = []
    for operator in named:
        try:
            format_corrections([*good, operator])
            good.append(operator)
        except BoneAgeError as error:
            faults.append(str(error))
    return format_corrections(good), faults


def _readable_augmentations(text: str) -> tuple[str, list[str]]:
    """The known names of a row, as JSON, and what is wrong with the others; no choice where none is known."""
    if not text.strip():
        return "", []
    named = _list_of(text)
    if named is None:
        return "", ["broken augmentations"]
    good, faults = [], []
    for name in named:
        try:
            format_augmentations([name])
            good.append(name)
        except BoneAgeError as error:
            faults.append(str(error))
    return format_augmentations(good if good or not named else None), faults


def _list_of(text: str) -> list | None:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, list) else None


def _lost_box(text: str, readable: str) -> bool:
    # Typed by hand it may be "Blank".
    return text.casefold().count("blank") > readable.count("blank")


def _time_of(text: str) -> datetime | None:
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        return None
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def _line(row: Decision) -> bytes:
    note = json.dumps(row.note, ensure_ascii=False) if row.note else ""
    return _csv([*astuple(row)[:6], note, row.reviewer])


def _csv(cells: Sequence[str]) -> bytes:
    *cells, last = (cell.replace("\n", " ") for cell in cells)
    text = io.StringIO()
    csv.writer(text, lineterminator="").writerow(cells)
    doubled = last.replace('"', '""')
    # A lone surrogate has no UTF-8; its backslash form is what JSON reads back.
    return f'{text.getvalue()},"{doubled}"'.encode("utf-8", "backslashreplace") + b"\n"


def _note(cell: str) -> str:
    try:
        note = json.loads(cell)
    except (ValueError, RecursionError):
        return cell  # Typed into a spreadsheet by hand.
    return note if isinstance(note, str) else cell
