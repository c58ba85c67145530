"""What a person decides about each photo: an append-only log with undo, resume, and several reviewers.

A decision is one line of CSV and on disk before the call returns. A note is stored as a JSON string:
it comes back exactly, stays on one line, and starts with a quotation mark, so no spreadsheet runs it.
"""

import contextlib
import csv
import io
import json
import os
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import astuple, dataclass
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
from filelock import FileLock, Timeout

from boneage.errors import BoneAgeError
from boneage.files import make_folder, write_bytes, write_error
from boneage.tables import LARGEST_TABLE_BYTES, is_safe_id

LOG_COLUMNS = ("time", "case_id", "decision", "reason", "operators", "note", "reviewer")
DECISIONS = ("keep", "reject", "undo")
REASONS = ("ring", "bracelet", "skeleton unknown", "growth abnormality", "other")

_HEADER = (",".join(LOG_COLUMNS) + "\n").encode()
_REVIEWER = re.compile(r"(\w[\w .'-]{0,63})?")
_LOCK_SECONDS = 10.0


@dataclass(frozen=True)
class Decision:
    """One row of the log: ``operators`` is JSON text, ``note`` any text, ``time`` ISO 8601 in UTC."""

    time: str
    case_id: str
    decision: str
    reason: str = ""
    operators: str = "[]"
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

    Attributes:
        path: The CSV file; made by the first decision.
        reviewer: Whose decisions this object writes; may be empty.
        rows: Every readable row in the order written, as of the last call.
        notices: What was mended or left out, in words for the reviewer.

    Raises:
        BoneAgeError: The file is no review log, cannot be read, or is locked by another for 10 s.
    """

    def __init__(self, path: Path | str, reviewer: str = "", clock: Callable[[], datetime] = _now) -> None:
        if not _REVIEWER.fullmatch(reviewer):
            raise BoneAgeError(f"reviewer {reviewer!r}: name it with up to 64 letters, digits, spaces, . ' -")
        self.path = Path(path)
        self.reviewer = reviewer
        self.rows: list[Decision] = []
        self.notices: list[str] = []
        self._clock = clock
        self._bytes = b""
        self.refresh()

    def refresh(self) -> None:
        """Reads what others wrote since, and mends what a crash or a spreadsheet left.

        Raises:
            BoneAgeError: See the class.
        """
        with self._locked():
            self._read()

    def append(
        self,
        case_id: str,
        decision: str,
        reason: str = "",
        operators: Sequence[dict[str, object]] = (),
        note: str = "",
    ) -> Decision:
        """Writes one decision; it is on disk when this returns.

        Args:
            case_id: The case.
            decision: One of :data:`DECISIONS`.
            reason: One of :data:`REASONS` for a rejection, else empty.
            operators: Objects with a ``name``; what the names mean is not judged here.
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
        with self._locked():
            self._read()
            return self._write(case_id, decision, reason, _operators_text(operators), note)

    def undo(self, case_id: str | None = None) -> str | None:
        """Takes back this reviewer's decision on a case, or the last one that stands.

        Returns:
            The case that is undecided again; None where there is nothing to take back.

        Raises:
            BoneAgeError: The log cannot be written.
        """
        with self._locked():
            self._read()
            state = self.state()
            case_id = next(reversed(state), None) if case_id is None else case_id
            if case_id not in state:
                return None
            self._write(case_id, "undo", "", "[]", "")
            return case_id

    def state(self, reviewer: str | None = None) -> dict[str, Decision]:
        """The standing decisions of one reviewer (by default this one) by case, the latest last."""
        return self.standing().get(self.reviewer if reviewer is None else reviewer, {})

    def standing(self) -> dict[str, dict[str, Decision]]:
        """The standing decisions by reviewer and case; a reviewer's last row of a case wins."""
        found: dict[str, dict[str, Decision]] = {}
        for row in self.rows:
            state = found.setdefault(row.reviewer, {})
            state.pop(row.case_id, None)
            if row.decision != "undo":
                state[row.case_id] = row
        return found

    def first_undecided(self, queue: Sequence[str]) -> str | None:
        """The first case of a queue on which this reviewer has not decided; None at the end."""
        state = self.state()
        return next((case_id for case_id in queue if case_id not in state), None)

    def decisions_table(self) -> pd.DataFrame:
        """Every row as a table with the columns :data:`LOG_COLUMNS`; notes as they were typed."""
        return pd.DataFrame([astuple(row) for row in self.rows], columns=list(LOG_COLUMNS))

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        make_folder(self.path.parent)
        try:
            with FileLock(f"{self.path}.lock", timeout=_LOCK_SECONDS):
                yield
        except Timeout:
            raise BoneAgeError(f"{self.path}: another board holds the lock; close it and try again") from None
        except OSError as error:
            raise write_error(self.path, error) from None

    def _write(self, case_id: str, decision: str, reason: str, operators: str, note: str) -> Decision:
        # Boards on one log share one file: the clock of one may lag, the order of the rows does not.
        time = self._clock().astimezone(UTC).isoformat(timespec="milliseconds")
        row = Decision(time, case_id, decision, reason, operators, note, self.reviewer)
        line = _line(row)
        if not self._bytes:
            line = _HEADER + line
        with open(self.path, "ab", buffering=0) as file:
            try:
                if file.write(line) != len(line):
                    raise OSError(28, "No space left on device")
                os.fsync(file.fileno())
            except OSError:
                with contextlib.suppress(OSError):
                    os.ftruncate(file.fileno(), len(self._bytes))
                raise
        self._bytes += line
        self.rows.append(row)
        return row

    def _read(self) -> None:
        try:
            data = self.path.read_bytes()
        except FileNotFoundError:
            if self._bytes:
                write_bytes(self.path, self._bytes)
                self._notice("was deleted while open; it was written again with all its rows")
            return
        if len(data) > LARGEST_TABLE_BYTES:
            raise BoneAgeError(
                f"{self.path}: larger than 64 MiB, which no review log is; name the right file"
            )
        data = self._healed(data)
        if not data.startswith(self._bytes):
            self._bytes, self.rows = b"", []
        start = max(len(self._bytes), len(_HEADER))
        first = data.count(b"\n", 0, start) + 1
        for number, line in enumerate(data[start:].split(b"\n")[:-1], first):
            self._take(number, line)
        self._bytes = data

    def _healed(self, data: bytes) -> bytes:
        """The log with our header and only whole lines, on disk too; what was taken off is kept aside."""
        if _HEADER.startswith(data):
            if data and data != _HEADER:
                write_bytes(self.path, b"")
            return data if data == _HEADER else b""
        if not data.startswith(_HEADER):
            mended = self._from_spreadsheet(data)
            self._keep_aside(".before-mending", data)
            write_bytes(self.path, mended)
            self._notice("was saved by another program; mended, the original is kept as .before-mending")
            return mended
        end = data.rfind(b"\n") + 1
        if end < len(data):
            self._keep_aside(".torn", data[end:] + b"\n")
            write_bytes(self.path, data[:end])
            self._notice(
                "its last line was cut short by a crash; it is kept in .torn, decide that case again"
            )
        return data[:end]

    def _keep_aside(self, suffix: str, data: bytes) -> None:
        with open(f"{self.path}{suffix}", "ab") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())

    def _from_spreadsheet(self, data: bytes) -> bytes:
        try:
            text = data.decode("utf-8-sig")
            header = text.split("\n", 1)[0]
            reader = csv.DictReader(
                io.StringIO(text, newline=""), delimiter=max(",;\t", key=header.count), strict=True
            )
            if not set(LOG_COLUMNS[:6]) <= set(reader.fieldnames or ()):
                raise ValueError
            lines = [_csv([row.get(name) or "" for name in LOG_COLUMNS]) for row in reader]
        except (ValueError, csv.Error):
            raise BoneAgeError(f"{self.path}: no review log; move it away or name another file") from None
        return _HEADER + b"".join(line.replace(b"\r", b" ") for line in lines)

    def _take(self, number: int, line: bytes) -> None:
        try:
            (cells,) = csv.reader([line.decode("utf-8")], strict=True)
            time, case_id, decision, reason, operators, note, reviewer = cells
            fits = is_safe_id(case_id) and decision in DECISIONS and _REVIEWER.fullmatch(reviewer)
            if not fits or reason not in (REASONS if decision == "reject" else ("",)):
                raise ValueError
        except (ValueError, csv.Error):
            self._notice(f"line {number} is no decision and is left out; mend it in the file")
            return
        try:
            operators = _operators_text(json.loads(operators or "[]"))
        except (ValueError, RecursionError, BoneAgeError):
            self._notice(f"line {number}, case {case_id}: broken operators; the decision stands without them")
            operators = "[]"
        self.rows.append(Decision(time, case_id, decision, reason, operators, _note(note), reviewer))

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

    Returns:
        The accepted cases with a column ``operators`` (JSON, empty list where none was chosen); the
        rejected ones (``case_id, reason, note, reviewer``); and notices in words.
    """
    final = _final(log)
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
    operators = [final[case_id].operators if case_id in final else "[]" for case_id in accepted["case_id"]]
    table = pd.DataFrame(
        [(row.case_id, row.reason, row.note, row.reviewer) for row in rejected.values()],
        columns=["case_id", "reason", "note", "reviewer"],
    )
    return accepted.assign(operators=operators), table, notices


def _final(log: ReviewLog) -> dict[str, Decision]:
    standing = log.standing()
    return {row.case_id: row for row in log.rows if standing[row.reviewer].get(row.case_id) is row}


def _disputed(log: ReviewLog) -> set[str]:
    verdicts: dict[str, set[str]] = {}
    for state in log.standing().values():
        for case_id, row in state.items():
            verdicts.setdefault(case_id, set()).add(row.decision)
    return {case_id for case_id, found in verdicts.items() if len(found) > 1}


def _operators_text(operators: object) -> str:
    fits = isinstance(operators, list | tuple) and all(
        isinstance(item, dict) and isinstance(item.get("name"), str) for item in operators
    )
    try:
        if fits:
            return json.dumps(list(operators), allow_nan=False)
    except (TypeError, ValueError):
        pass
    raise BoneAgeError('operators: must be a list of objects with a "name", numbers and text only')


def _line(row: Decision) -> bytes:
    note = json.dumps(row.note, ensure_ascii=False) if row.note else ""
    return _csv([*astuple(row)[:5], note, row.reviewer])


def _csv(cells: Sequence[str]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="").writerow([cell.replace("\n", " ") for cell in cells])
    # A lone surrogate has no UTF-8; its backslash form is what JSON reads back.
    return text.getvalue().encode("utf-8", "backslashreplace") + b"\n"


def _note(cell: str) -> str:
    try:
        note = json.loads(cell)
    except (ValueError, RecursionError):
        return cell  # Typed into a spreadsheet by hand.
    return note if isinstance(note, str) else cell
