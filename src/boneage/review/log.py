"""The review log: append-only, with undo, resume, and several reviewers.

A decision is one line of CSV, written to disk before the call returns.
"""

import contextlib
import errno
import os
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from filelock import FileLock, Timeout

from boneage.core.errors import BoneAgeError
from boneage.core.files import make_folder, write_bytes, write_error
from boneage.core.tables import LARGEST_TABLE_BYTES, is_safe_id
from boneage.images.augmentations import format_augmentations
from boneage.images.operators import format_corrections
from boneage.review.decisions import (
    DECISIONS,
    HEADER,
    REASONS,
    Decision,
    final_of,
    is_reviewer,
    line_of,
    read_line,
    reasons_of,
    standing_of,
    with_ids_of,
)
from boneage.review.mending import Aside, merged, whole_lines
from boneage.sources.spellings import id_finder

_LOCK_SECONDS = 10.0
_READ_ONLY = (errno.EROFS, errno.EACCES, errno.EPERM)


class ReviewLog:
    """A review log on disk; several processes may have it open at once.

    In a read-only folder it is opened for reading. Rows once read are never lost: if the file is deleted or
    replaced while open, they are merged with what is there now.

    Args:
        path: The CSV file; created by the first decision.
        reviewer: Whose decisions this object writes; may be empty.
        clock: Returns the current time.
        read_only: Whether to leave the file and its folder unchanged, even if damaged.

    Attributes:
        rows: Every readable row in the order written, as of the last call.
        notices: What was repaired or ignored, in words for the reviewer.

    Raises:
        BoneAgeError: The file is not a review log, cannot be read, or is locked by another process for 10 s.
    """

    def __init__(
        self,
        path: Path | str,
        reviewer: str = "",
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        read_only: bool = False,
    ) -> None:
        if not is_reviewer(reviewer):
            raise BoneAgeError(f"reviewer {reviewer!r}: use up to 64 letters, digits, spaces, . ' -")
        self.path = Path(path)
        self.reviewer = reviewer
        self.rows: list[Decision] = []
        self.notices: list[str] = []
        # A link stays one: the rows, the lock and what is set aside lie with the file that it names.
        self._file = Path(os.path.realpath(path))
        self._clock = clock
        self._read_only = read_only
        self._known = bytearray()
        self._seen: tuple[int, ...] | None = None
        self.refresh()

    def refresh(self) -> None:
        """Reads what others have written, and repairs damage by a crash or a spreadsheet."""
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
        """Writes one decision to disk.

        Args:
            case_id: The case.
            decision: One of :data:`DECISIONS`.
            reason: One of :data:`REASONS` for a rejection, else empty.
            corrections: Corrections of the image.
            augmentations: Augmentations that copies may be drawn from; None for the suggested ones, an empty
                list for no copies.
            note: Any text.

        Raises:
            BoneAgeError: A value is invalid, or the log cannot be written; then nothing is recorded.
        """
        if not is_safe_id(case_id):
            raise BoneAgeError(f"case_id {case_id!r}: must be 1 to 64 letters, digits, _ or -")
        if decision not in DECISIONS:
            raise BoneAgeError(f"decision {decision!r}: must be one of {', '.join(DECISIONS)}")
        if reason not in reasons_of(decision):
            raise BoneAgeError(
                f"reason {reason!r}: a rejection needs one of {', '.join(REASONS)}, other decisions none"
            )
        chosen = format_corrections(corrections), format_augmentations(augmentations)
        with self._locked():
            self._read()
            row = Decision(self._time(), case_id, decision, reason, *chosen, note, self.reviewer)
            self._write([row])
        return row

    def undo(self, case_id: str | None = None) -> str | None:
        """Takes back this reviewer's decision on a case, or their last one.

        It restores their previous decision on the case, with its corrections; a second undo restores the one
        before that. Decisions of other reviewers are not touched. A case is found though its id in the log
        lost its leading zeros.

        Returns:
            The id, as in the log, of the case whose decision was taken back; None if there is nothing to take
            back.
        """
        with self._locked():
            self._read()
            state = self.state()
            if case_id is None:
                case_id = next(reversed(state), None)
            elif case_id not in state:
                case_id = id_finder(state)(case_id)
            if case_id is None:
                return None
            self._write([Decision(self._time(), case_id, "undo", reviewer=self.reviewer)])
            return case_id

    def fill_from(self, recorded: "ReviewLog") -> int:
        """Adds the decisions of a recorded review for cases that this log has no row of.

        They keep their time, reviewer and note. A decision taken back here is also a row, so it is not filled
        in again, and filling twice adds nothing. An id that lost its leading zeros is the same case.

        Returns:
            The number of decisions added; all of them are on disk, or none.
        """
        if recorded._file == self._file:
            raise BoneAgeError(f"{self.path}: cannot be filled from itself; name another log")
        recorded.refresh()
        standing = recorded.standing()
        with self._locked():
            self._read()
            find = id_finder({row.case_id for row in self.rows})
            rows = [
                row
                for row in recorded.rows
                if standing[row.reviewer].get(row.case_id) is row and find(row.case_id) is None
            ]
            if rows:
                self._write(rows)
        return len(rows)

    def state(self, reviewer: str | None = None, cases: Collection[str] = ()) -> dict[str, Decision]:
        """The decisions in force of one reviewer (by default this one) by case, the latest last."""
        return self.standing(cases).get(self.reviewer if reviewer is None else reviewer, {})

    def standing(self, cases: Collection[str] = ()) -> dict[str, dict[str, Decision]]:
        """See :func:`boneage.review.decisions.standing_of`; by the ids of a case table, if given."""
        return standing_of(with_ids_of(cases, self.rows))

    def final(self, cases: Collection[str] = ()) -> dict[str, Decision]:
        """See :func:`boneage.review.decisions.final_of`; by the ids of a case table, if given."""
        return final_of(with_ids_of(cases, self.rows))

    @contextlib.contextmanager
    def _locked(self, to_read: bool = False) -> Iterator[bool]:
        """Locks the log; yields whether it can be written."""
        if self._read_only:
            if not to_read:
                raise BoneAgeError(f"{self.path}: opened read-only; open it again to make decisions")
            yield False
            return
        make_folder(self._file.parent)
        lock = FileLock(f"{self._file}.lock", timeout=_LOCK_SECONDS)
        try:
            lock.acquire()
        except Timeout:
            raise BoneAgeError(
                f"{self.path}: locked by another board; close that and try again; if no other is open, "
                f"delete {lock.lock_file}"
            ) from None
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
        # Several boards may share the file, and clocks may differ; the order of the rows is reliable.
        return self._clock().astimezone(UTC).isoformat(timespec="milliseconds")

    def _write(self, rows: Sequence[Decision]) -> None:
        lines = b"".join(map(line_of, rows))
        new = b"" if self._known else HEADER
        with open(self._file, "ab", buffering=0) as file:
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
        self.rows += rows
        self._seen = self._stamp()

    def _sync_folder(self) -> None:
        """Makes a new file name survive a power cut, on file systems that can."""
        with contextlib.suppress(OSError):
            folder = os.open(self._file.parent, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)

    def _stamp(self) -> tuple[int, ...] | None:
        """A value that changes whenever the file does."""
        try:
            facts = os.stat(self._file)
        except FileNotFoundError:
            return None
        return facts.st_ino, facts.st_size, facts.st_mtime_ns

    def _read(self, may_write: bool = True) -> None:
        stamp = self._stamp()
        if stamp is not None and stamp == self._seen:
            return
        found = b"" if stamp is None else self._on_disk()
        mended = whole_lines(found)
        if mended is None:
            raise BoneAgeError(
                f"{self.path}: not a review log; if a spreadsheet saved it, save it again as CSV "
                "UTF-8, else move it or name another file"
            )
        whole, aside = mended
        if not whole.startswith(self._known):
            whole, regained = merged(bytes(self._known), whole)
            if stamp is None:
                self._notice("was deleted while open; it was restored with all its rows")
            elif regained:
                self._notice(f"was replaced by another copy while open; rows restored: {regained}")
        if not may_write:
            if not self._read_only:
                self._notice("is in a read-only folder, so it is opened read-only")
            if aside:
                self._notice(
                    "was truncated or saved by another program; it is left as it is, its complete rows count"
                )
            stamp = None
        elif whole != found:
            if aside:
                self._keep_aside(aside)
            write_bytes(self._file, whole)
            self._sync_folder()
            stamp = self._stamp()
        self._take_new(whole)
        self._seen = stamp

    def _on_disk(self) -> bytes:
        try:
            # Checked before reading: a file named by mistake may be huge.
            if os.stat(self._file).st_size > LARGEST_TABLE_BYTES:
                raise BoneAgeError(
                    f"{self.path}: larger than 64 MiB, too large for a review log; name the right file"
                )
            return self._file.read_bytes()
        except IsADirectoryError as error:
            raise write_error(self.path, error) from None
        except OSError as error:
            raise BoneAgeError(
                f"{self.path}: cannot be read ({error.strerror}); check its permissions"
            ) from None

    def _keep_aside(self, aside: Aside) -> None:
        with open(f"{self._file}{aside.suffix}", "ab") as file:
            file.write(aside.data)
            file.flush()
            os.fsync(file.fileno())
        self._notice(aside.why)

    def _take_new(self, data: bytes) -> None:
        """Reads the lines after the known ones, or all of them if the file no longer starts with those."""
        if not data.startswith(self._known):
            self._known, self.rows = bytearray(), []
        start = max(len(self._known), len(HEADER))
        lines = data[start:].split(b"\n")[:-1]
        for number, line in enumerate(lines, data.count(b"\n", 0, start) + 1):
            row, faults = read_line(line)
            for fault in faults:
                self._notice(f"line {number}{fault}")
            if row is not None:
                self.rows.append(row)
        self._known[:] = data

    def _notice(self, text: str) -> None:
        notice = f"{self.path}: {text}"
        if notice not in self.notices:
            self.notices.append(notice)
