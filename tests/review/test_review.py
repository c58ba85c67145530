"""The review log: nothing decided is lost, whatever happens to the file."""

import errno
import os
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_disk import fill, set_read_only, small_disk

from boneage.anomalies import REJECTABLE
from boneage.core.errors import BoneAgeError
from boneage.images.operators import format_corrections
from boneage.review import log as review
from boneage.review.applying import apply_log, summary
from boneage.review.decisions import LOG_TABLE, REASONS, UNREADABLE_BOX
from boneage.review.log import ReviewLog
from boneage.review.unattended import reject_likely

BOX = {"name": "blank", "x": 0.1, "y": 0.1, "width": 0.2, "height": 0.2}


def test_reopening_resumes_at_the_first_undecided_and_undo_is_a_row(tmp_path):
    log = ReviewLog(tmp_path / "log.csv", "Ann", lambda: datetime(2026, 1, 2, 3, tzinfo=UTC))
    log.append("a", "keep", corrections=[{"name": "rotate", "degrees": 5}])
    log.append("b", "reject", "ring")
    assert log.undo() == "b"
    again = ReviewLog(tmp_path / "log.csv", "Ann")
    assert list(again.state()) == ["a"]
    assert again.rows == log.rows
    assert [row.decision for row in again.rows] == ["keep", "reject", "undo"]
    assert again.rows[0].time == "2026-01-02T03:00:00.000+00:00"
    assert again.undo() == "a"
    assert again.undo() is None


@settings(max_examples=60, deadline=None)
@given(note=st.text(st.characters(codec=None)))
def test_a_note_comes_back_exactly_and_no_cell_is_a_formula(note, tmp_path_factory):
    path = tmp_path_factory.mktemp("log") / "log.csv"
    ReviewLog(path).append("a", "reject", "other", note=note)
    assert ReviewLog(path).rows[0].note == note
    raw = pd.read_csv(path, dtype=str, keep_default_na=False, header=0)
    assert list(raw.columns) == list(LOG_TABLE)
    assert len(raw) == 1
    assert not any(cell.startswith(("=", "+", "-", "@", "\t", "\r")) for cell in raw.iloc[0])


CORRECTIONS = st.sampled_from([[], [BOX], [{"name": "flip"}, {"name": "rotate", "degrees": -3.5}]])
ROWS = st.lists(
    st.tuples(
        st.sampled_from(["", "Ann", "Zoë", "O'Hara"]),
        st.sampled_from(["a", "b", "c"]),
        st.one_of(
            st.tuples(st.just("keep"), st.just("")),
            st.tuples(st.just("reject"), st.sampled_from(REASONS)),
            st.tuples(st.just("undo"), st.just("")),
        ),
        CORRECTIONS,
        st.sampled_from([None, [], ["rotate"], ["gamma lighter", "flip"]]),
        st.text(st.one_of(st.sampled_from(",;\"'\n\r\t=\\ü€"), st.characters(codec=None)), max_size=12),
    ),
    min_size=1,
    max_size=6,
)


@settings(max_examples=150, deadline=None)
@given(data=st.data(), rows=ROWS)
def test_cut_at_any_byte_it_loses_at_most_the_row_being_written(data, rows, tmp_path_factory):
    path = tmp_path_factory.mktemp("log") / "log.csv"
    boards = {reviewer: ReviewLog(path, reviewer) for reviewer, *_ in rows}
    ends = []
    for reviewer, case_id, (decision, reason), corrections, names, note in rows:
        boards[reviewer].append(case_id, decision, reason, corrections, names, note)
        ends.append(path.stat().st_size)
    written = ReviewLog(path).rows
    assert [(row.reviewer, row.case_id, row.note) for row in written] == [
        (reviewer, case_id, note) for reviewer, case_id, *_, note in rows
    ]
    whole = path.read_bytes()
    cut = data.draw(st.integers(0, len(whole)))
    path.write_bytes(whole[:cut])
    again = ReviewLog(path)
    # A row that lacks only its line end is whole: its last cell is closed.
    assert again.rows == written[: sum(end - 1 <= cut for end in ends)]
    again.append("next", "keep")
    assert ReviewLog(path).rows == again.rows
    # The boards that stayed open put back what the crash took.
    for board in boards.values():
        board.refresh()
    kept = ReviewLog(path).rows
    assert sorted(map(str, kept)) == sorted(map(str, [*written, again.rows[-1]]))


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["append", "append", "append", "refresh", "delete", "old copy"]), st.booleans()
    ),
    max_size=25,
)


@settings(max_examples=100, deadline=None)
@given(steps=STEPS, lag=st.integers(-3, 3))
def test_two_boards_on_a_log_lose_and_reorder_nothing_even_deleted_or_replaced(steps, lag, tmp_path_factory):
    path = tmp_path_factory.mktemp("log") / "log.csv"
    start, ticks = datetime(2026, 1, 1, tzinfo=UTC), [0]

    def clock(behind: int):
        def now() -> datetime:
            ticks[0] += 1
            return start + timedelta(seconds=ticks[0] - behind)

        return now

    boards = [ReviewLog(path, "Ann", clock(0)), ReviewLog(path, "Bob", clock(lag))]
    copies, wanted = [b""], {"Ann": [], "Bob": []}
    for number, (step, second) in enumerate(steps):
        board = boards[second]
        if step == "append":
            board.append(f"c{number}", "keep")
            wanted[board.reviewer].append(f"c{number}")
            copies.append(path.read_bytes())
        elif step == "refresh":
            board.refresh()
        elif step == "delete":
            path.unlink(missing_ok=True)
        else:
            path.unlink(missing_ok=True)
            path.write_bytes(copies[number % len(copies)])
    for board in [*boards, boards[0]]:
        board.refresh()
    assert boards[0].rows == boards[1].rows == ReviewLog(path).rows
    for reviewer, case_ids in wanted.items():
        assert [row.case_id for row in boards[0].rows if row.reviewer == reviewer] == case_ids


def test_a_log_deleted_under_two_boards_keeps_the_newer_rows_of_both(tmp_path):
    path = tmp_path / "log.csv"
    ann, bob = ReviewLog(path, "Ann"), ReviewLog(path, "Bob")
    ann.append("a", "keep")
    bob.append("b", "keep")
    bob.append("c", "keep")
    path.unlink()
    ann.append("d", "keep")
    bob.append("e", "keep")
    assert [row.case_id for row in ReviewLog(path).rows] == ["a", "b", "c", "d", "e"]
    assert "deleted while open" in ann.notices[0]
    assert "rows restored: 2" in bob.notices[0]


def test_where_two_copies_went_on_apart_their_rows_stand_in_the_order_of_their_times(tmp_path):
    path, times = tmp_path / "log.csv", iter(range(10))
    ann, bob = (
        ReviewLog(path, name, lambda: datetime(2026, 1, 1, 0, 0, next(times), tzinfo=UTC))
        for name in ("Ann", "Bob")
    )
    ann.append("a", "keep")
    bob.refresh()
    path.rename(tmp_path / "moved.csv")
    path.write_bytes((tmp_path / "moved.csv").read_bytes())
    bob.append("b", "keep")
    (tmp_path / "bobs.csv").write_bytes(path.read_bytes())
    (tmp_path / "moved.csv").replace(path)
    ann.append("c", "keep")
    (tmp_path / "bobs.csv").replace(path)
    ann.refresh()
    assert [row.case_id for row in ann.rows] == ["a", "b", "c"]


def test_a_log_sorted_otherwise_while_open_doubles_no_row(tmp_path):
    log = ReviewLog(tmp_path / "log.csv")
    for case_id in "abcd":
        log.append(case_id, "keep")
    header, *lines = log.path.read_bytes().splitlines(keepends=True)
    log.path.write_bytes(header + b"".join(reversed(lines)))
    log.refresh()
    assert sorted(row.case_id for row in log.rows) == ["a", "b", "c", "d"]
    assert ReviewLog(log.path).rows == log.rows


def test_a_log_quoted_otherwise_while_open_doubles_no_row(tmp_path):
    log = ReviewLog(tmp_path / "log.csv", "Ann")
    log.append("a", "reject", "other", note="left, =1")
    log.append("b", "keep", corrections=[BOX])
    pd.read_csv(log.path, dtype=str).to_csv(log.path, index=False, lineterminator="\n")
    assert b'"Ann"' not in log.path.read_bytes()
    log.append("c", "keep")
    assert [row.case_id for row in log.rows] == ["a", "b", "c"]
    assert ReviewLog(log.path).rows == log.rows
    assert log.notices == []


def test_a_shorter_copy_put_in_its_place_gets_the_rows_back_and_is_told(tmp_path):
    log = ReviewLog(tmp_path / "log.csv")
    log.append("a", "keep")
    shorter = log.path.read_bytes()
    log.append("b", "reject", "ring")
    log.path.write_bytes(shorter)
    log.refresh()
    assert "rows restored: 1" in log.notices[0]
    assert [row.case_id for row in log.rows] == ["a", "b"]
    assert ReviewLog(log.path).rows == log.rows


def test_a_torn_line_is_kept_aside_and_told(tmp_path):
    path = tmp_path / "log.csv"
    ReviewLog(path).append("a", "keep")
    with open(path, "ab") as file:
        file.write(b"2026,b,ke")
    log = ReviewLog(path)
    assert [row.case_id for row in log.rows] == ["a"]
    assert "truncated" in log.notices[0]
    assert (tmp_path / "log.csv.torn").read_bytes() == b"2026,b,ke\n"


@pytest.mark.parametrize(
    "line", ["2026-11-24,b,keep,,,,,", "2026-11-24,b,keep,,[],,seen,Ann", ",b,keep,,,,,"]
)
def test_a_last_line_typed_by_hand_without_its_end_is_read(line, tmp_path):
    path = tmp_path / "log.csv"
    ReviewLog(path).append("a", "keep")
    with open(path, "a") as file:
        file.write(line)
    log = ReviewLog(path)
    assert [row.case_id for row in log.rows] == ["a", "b"]
    assert log.notices == []
    log.append("c", "keep")
    assert [row.case_id for row in ReviewLog(path).rows] == ["a", "b", "c"]


def test_a_row_torn_before_its_reviewer_is_not_taken_for_one_without(tmp_path):
    path = tmp_path / "log.csv"
    ReviewLog(path, "Ann").append("a", "keep")
    path.write_bytes(path.read_bytes()[: -len('"Ann"\n')])
    log = ReviewLog(path)
    assert log.rows == []
    assert "truncated" in log.notices[0]


def test_two_processes_lose_and_reorder_nothing(tmp_path):
    code = (
        "import sys; from boneage.review.log import ReviewLog\n"
        "log = ReviewLog(sys.argv[1], sys.argv[2])\n"
        "for i in range(200): log.append(f'{sys.argv[2]}{i}', 'keep')"
    )
    path = tmp_path / "log.csv"
    runs = [subprocess.Popen([sys.executable, "-c", code, str(path), name]) for name in ("A", "B")]
    assert [run.wait(120) for run in runs] == [0, 0]
    rows = ReviewLog(path).rows
    for name in ("A", "B"):
        assert [r.case_id for r in rows if r.reviewer == name] == [f"{name}{i}" for i in range(200)]


def test_a_killed_writer_loses_at_most_the_row_being_written(tmp_path):
    code = (
        "import sys, itertools; from boneage.review.log import ReviewLog\n"
        "log = ReviewLog(sys.argv[1])\n"
        "for i in itertools.count():\n"
        "    log.append(f'c{i}', 'keep', note='x' * 500)\n"
        "    print(i, flush=True)"
    )
    path = tmp_path / "log.csv"
    for _ in range(3):
        path.unlink(missing_ok=True)
        with subprocess.Popen([sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE) as run:
            for _ in range(40):
                run.stdout.readline()
            run.kill()
            said = [int(line) for line in run.stdout]
        log = ReviewLog(path)
        case_ids = [row.case_id for row in log.rows]
        assert case_ids == [f"c{index}" for index in range(len(case_ids))]
        assert len(case_ids) > max(said, default=39)
        log.append("after", "keep")
        assert len(ReviewLog(path).rows) == len(case_ids) + 1


def test_decisions_that_zero_bytes_overwrote_are_not_lost_in_silence(tmp_path):
    log = ReviewLog(tmp_path / "log.csv")
    for case_id in "abcde":
        log.append(case_id, "keep")
    lines = log.path.read_bytes().splitlines(keepends=True)
    lost = lines[2][10:] + lines[3] + lines[4][:10]
    log.path.write_bytes(log.path.read_bytes().replace(lost, bytes(len(lost))))
    again = ReviewLog(log.path)
    assert [row.case_id for row in again.rows] == ["a", "d", "e"]
    assert "line 3 holds zero bytes" in again.notices[0]


def test_a_lock_held_by_another_process_is_one_line(tmp_path, monkeypatch):
    code = (
        "import sys; from filelock import FileLock\n"
        "with FileLock(sys.argv[1] + '.lock'): print('held', flush=True); sys.stdin.read()"
    )
    log = ReviewLog(tmp_path / "log.csv")
    monkeypatch.setattr(review, "_LOCK_SECONDS", 0.1)
    command = [sys.executable, "-c", code, str(log.path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        holder.stdout.readline()
        started = time.monotonic()
        with pytest.raises(BoneAgeError, match=r"locked by another board.*delete .*log\.csv\.lock"):
            log.append("a", "keep")
        assert time.monotonic() - started < 5
        holder.stdin.close()
    log.append("a", "keep")
    assert len(ReviewLog(log.path).rows) == 1


def test_a_really_full_disk_is_one_line_and_the_log_goes_on_once_there_is_room(tmp_path):
    with small_disk(tmp_path / "disk") as disk:
        log = ReviewLog(disk / "log.csv")
        log.append("a", "keep")
        ballast = fill(disk)
        with pytest.raises(BoneAgeError, match="disk is full"):
            log.append("b", "keep", note="x" * 5000)
        assert [row.case_id for row in log.rows] == ["a"]
        assert [row.case_id for row in ReviewLog(log.path).rows] == ["a"]
        ballast.unlink()
        log.append("b", "keep", note="x" * 5000)
        again = ReviewLog(log.path)
        assert [row.case_id for row in again.rows] == ["a", "b"]
        assert again.notices == []


def test_a_log_in_a_read_only_folder_opens_to_read(tmp_path):
    with small_disk(tmp_path / "disk") as disk:
        path = disk / "log.csv"
        ReviewLog(path).append("a", "keep")
        with open(path, "ab") as file:
            file.write(b"2026-01-01T00:00:00.000+00:00,b,ke")
        set_read_only(disk, True)
        log = ReviewLog(path)
        assert [row.case_id for row in log.rows] == ["a"]
        assert "read-only" in log.notices[0]
        with pytest.raises(BoneAgeError, match="read-only"):
            log.append("c", "keep")
        set_read_only(disk, False)
        log.append("c", "keep")
        assert [row.case_id for row in ReviewLog(path).rows] == ["a", "c"]


def test_the_folder_is_on_disk_too_once_the_log_is_made(tmp_path, monkeypatch):
    synced = []
    fsync = os.fsync
    monkeypatch.setattr(os, "fsync", lambda number: (synced.append(os.fstat(number).st_ino), fsync(number)))
    log = ReviewLog(tmp_path / "log.csv")
    log.append("a", "keep")
    assert synced == [log.path.stat().st_ino, tmp_path.stat().st_ino]


def test_appending_costs_no_more_the_longer_the_log(tmp_path, monkeypatch):
    log = ReviewLog(tmp_path / "log.csv")
    log.append("a", "keep")
    reads = []
    on_disk = ReviewLog._on_disk
    monkeypatch.setattr(ReviewLog, "_on_disk", lambda self: (reads.append(1), on_disk(self))[1])
    for index in range(50):
        log.append(f"c{index}", "keep")
    assert reads == []
    ReviewLog(log.path, "Bob").append("b", "keep")
    log.refresh()
    assert log.rows[-1].case_id == "b"


def test_a_full_disk_is_one_line_and_records_nothing(tmp_path, monkeypatch):
    log = ReviewLog(tmp_path / "log.csv")
    log.append("a", "keep")
    before = log.path.read_bytes()

    def full(_):
        raise OSError(errno.ENOSPC, "full")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(BoneAgeError, match="disk is full"):
            log.append("b", "keep")
    assert log.path.read_bytes() == before
    assert len(log.rows) == 1
    log.append("b", "keep")
    assert [row.case_id for row in ReviewLog(log.path).rows] == ["a", "b"]


def test_a_read_only_log_is_one_line(tmp_path, monkeypatch):
    log = ReviewLog(tmp_path / "log.csv")

    def denied(*_args, **_kwargs):
        raise PermissionError(errno.EACCES, "denied")

    monkeypatch.setattr("boneage.review.log.open", denied, raising=False)
    with pytest.raises(BoneAgeError, match="no permission"):
        log.append("a", "keep")
    assert log.rows == []


def test_a_folder_in_the_logs_place_and_a_deleted_log(tmp_path):
    log = ReviewLog(tmp_path / "log.csv")
    log.append("a", "keep")
    log.path.unlink()
    log.append("b", "keep")
    assert "deleted" in log.notices[0]
    assert [row.case_id for row in ReviewLog(log.path).rows] == ["a", "b"]
    log.path.unlink()
    log.path.mkdir()
    for use in (lambda: log.append("c", "keep"), lambda: ReviewLog(log.path)):
        with pytest.raises(BoneAgeError, match=r"log\.csv: .*folder is in its place.*move it away"):
            use()


def test_a_log_behind_a_link_is_mended_and_locked_where_it_lies(tmp_path):
    there = a_log(tmp_path / "drive" / "log.csv", (0, "Ann", "a", "keep"))
    link = tmp_path / "work" / "review.csv"
    link.parent.mkdir()
    link.symlink_to(there.path)
    with open(link, "ab") as file:
        file.write(b"2026,b,ke")
    log = ReviewLog(link, "Ann")
    log.append("c", "keep")
    assert link.is_symlink()
    assert [path.name for path in link.parent.iterdir()] == ["review.csv"]
    assert [row.case_id for row in ReviewLog(there.path).rows] == ["a", "c"]
    assert log.notices[0].startswith(f"{link}: ")
    assert (there.path.parent / "log.csv.torn").is_file()
    with pytest.raises(BoneAgeError, match="from itself"):
        log.fill_from(there)


def test_saved_by_a_spreadsheet_with_semicolons_it_opens_and_goes_on(tmp_path):
    log = ReviewLog(tmp_path / "log.csv", "Ann")
    log.append("a", "reject", "other", [{"name": "flip"}], ["rotate"], "=1+1; x\ny")
    pd.read_csv(log.path, dtype=str).to_csv(
        log.path, sep=";", index=False, encoding="utf-8-sig", lineterminator="\r\n"
    )
    again = ReviewLog(log.path, "Ann")
    assert again.rows == log.rows
    assert "repaired" in again.notices[0]
    again.append("b", "keep")
    assert ReviewLog(log.path, "Ann").rows == again.rows


@pytest.mark.parametrize("encoding", ["cp1252", "utf-16", "utf-16-be", "utf-8-sig", "utf-8"])
@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_other_encodings_of_spreadsheets_are_understood(encoding, separator, tmp_path):
    log = ReviewLog(tmp_path / "log.csv", "Zoë")
    log.append("a", "reject", "other", note="fractured é ü ’")
    log.append("b", "keep", corrections=[BOX])
    text = pd.read_csv(log.path, dtype=str).to_csv(sep=separator, index=False, lineterminator="\r\n")
    mark = b"\xfe\xff" if encoding == "utf-16-be" else b""
    log.path.write_bytes(mark + text.encode(encoding))
    again = ReviewLog(log.path, "Zoë")
    assert again.rows == log.rows
    again.append("c", "keep")
    assert ReviewLog(log.path).rows == again.rows


def test_an_encoding_that_cannot_be_told_is_refused_with_what_to_do(tmp_path):
    log = ReviewLog(tmp_path / "log.csv")
    log.append("a", "keep")
    data = log.path.read_bytes().decode().encode("utf-16-le")
    log.path.write_bytes(data)
    with pytest.raises(BoneAgeError, match="CSV UTF-8"):
        ReviewLog(log.path)
    assert log.path.read_bytes() == data


def test_one_line_in_another_encoding_is_read_and_told(tmp_path):
    log = ReviewLog(tmp_path / "log.csv")
    log.append("a", "keep")
    with open(log.path, "ab") as file:
        file.write('2026,b,reject,other,[],,"""fractür""",\n'.encode("cp1252"))
    log.refresh()
    assert log.rows[-1].note == "fractür"
    assert "line 3 is not UTF-8" in log.notices[0]


def test_sorted_by_a_spreadsheet_the_last_decision_still_wins(tmp_path):
    start = datetime(2026, 1, 1, tzinfo=UTC)
    seconds = iter(range(100))
    log = ReviewLog(tmp_path / "log.csv", "Ann", lambda: start + timedelta(seconds=next(seconds)))
    log.append("a", "keep")
    log.append("b", "keep")
    log.append("a", "reject", "ring")
    table = pd.read_csv(log.path, dtype=str).iloc[::-1]
    table.to_csv(log.path, index=False, lineterminator="\r\n")
    again = ReviewLog(log.path, "Ann")
    assert again.rows == log.rows
    assert any("sorted" in notice for notice in again.notices)


def a_log(path: Path, *decisions: tuple[int, str, str, str]) -> ReviewLog:
    """A log of decisions: seconds on the clock, reviewer, case and decision."""
    start, rows = datetime(2026, 1, 1, tzinfo=UTC), iter(decisions)
    for seconds, reviewer, case_id, decision in rows:
        log = ReviewLog(path, reviewer, lambda seconds=seconds: start + timedelta(seconds=seconds))
        log.append(case_id, decision, "ring" if decision == "reject" else "")
    return ReviewLog(path)


def saved_elsewhere(log: ReviewLog, order: list[int] | None = None, end: str = "\r\n") -> ReviewLog:
    """The log as another program saves it, with its rows in another order, and opened again."""
    table = pd.read_csv(log.path, dtype=str, keep_default_na=False)
    table.iloc[order or range(len(table))].to_csv(log.path, index=False, lineterminator=end)
    return ReviewLog(log.path)


def verdicts(log: ReviewLog) -> dict[str, str]:
    return {case_id: row.decision for case_id, row in log.final().items()}


def test_sorted_by_a_program_that_ends_its_lines_as_we_do_the_last_decision_still_wins(tmp_path):
    log = a_log(tmp_path / "log.csv", (0, "", "a", "keep"), (1, "", "b", "keep"), (2, "", "a", "reject"))
    again = saved_elsewhere(log, [2, 1, 0], "\n")
    assert verdicts(again)["a"] == "reject"
    assert again.rows == log.rows
    assert "saved and sorted" in again.notices[0]
    assert ReviewLog(log.path).notices == []


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_note_of_two_lines_typed_elsewhere_loses_no_rejection(end, tmp_path):
    log = a_log(tmp_path / "log.csv", (0, "Ann", "a", "keep"), (1, "Ann", "b", "reject"))
    table = pd.read_csv(log.path, dtype=str)
    table.loc[1, "note"] = 'she said "a ring"\nleft hand'
    table.to_csv(log.path, index=False, lineterminator=end)
    again = ReviewLog(log.path)
    assert verdicts(again) == {"a": "keep", "b": "reject"}
    assert again.rows[1].note == 'she said "a ring" left hand'
    assert "saved by another program" in again.notices[0]


def test_our_own_rows_stay_in_their_order_whatever_the_clock(tmp_path):
    rows = [(0, "", "x", "keep"), (600, "", "a", "keep"), (60, "", "a", "reject"), (30, "", "y", "keep")]
    log = a_log(tmp_path / "log.csv", *rows)
    assert [row.case_id for row in log.rows] == ["x", "a", "a", "y"]
    assert log.notices == []


@pytest.mark.parametrize("blank", [",,,,,,,", "a remark,,,,,,,"])
def test_rows_that_are_no_decisions_do_not_hide_that_a_log_was_sorted(blank, tmp_path):
    log = a_log(tmp_path / "log.csv", (0, "", "a", "keep"), (1, "", "b", "keep"), (2, "", "a", "reject"))
    header, *lines = log.path.read_text().splitlines()
    log.path.write_text("\r\n".join([header, lines[2], blank, *reversed(lines[:2]), ""]), newline="")
    again = ReviewLog(log.path)
    assert again.rows == log.rows
    assert "saved and sorted" in again.notices[0]


def test_sorted_by_reviewer_the_later_decision_of_another_still_wins(tmp_path):
    log = a_log(
        tmp_path / "log.csv",
        (0, "Bob", "a", "reject"),
        (60, "Bob", "b", "keep"),
        (3600, "Ann", "a", "keep"),
        (3660, "Ann", "b", "reject"),
    )
    again = saved_elsewhere(log, [2, 3, 0, 1])
    assert verdicts(again) == {"a": "keep", "b": "reject"}
    assert again.rows == log.rows
    assert "saved and sorted" in again.notices[0]


def test_clocks_of_two_reviewers_may_differ_by_minutes(tmp_path):
    log = a_log(
        tmp_path / "log.csv", (120, "Ann", "a", "keep"), (0, "Bob", "a", "reject"), (180, "Ann", "b", "keep")
    )
    again = saved_elsewhere(log)
    assert again.rows == log.rows
    assert verdicts(again)["a"] == "reject"
    assert "sorted" not in again.notices[0]


def test_a_clock_set_back_once_is_no_sorting(tmp_path):
    log = a_log(
        tmp_path / "log.csv",
        (0, "", "x", "keep"),
        (600, "", "a", "keep"),
        (60, "", "a", "reject"),
        (120, "", "y", "keep"),
    )
    again = saved_elsewhere(log)
    assert again.rows == log.rows
    assert verdicts(again)["a"] == "reject"
    assert "look again at a;" in again.notices[0]


@pytest.mark.parametrize("order", [[1, 0], [1, 2, 0], [2, 0, 1]])
def test_where_it_is_unsure_whether_rows_were_sorted_no_rejection_is_lost(order, tmp_path):
    rows = [(0, "", "a", "keep"), (60, "", "a", "reject"), (120, "", "b", "keep")]
    log = a_log(tmp_path / "log.csv", *rows[: len(order)])
    again = saved_elsewhere(log, order)
    assert verdicts(again)["a"] == "reject"
    assert len(again.rows) == len(order)


def test_what_is_no_log_is_left_alone(tmp_path):
    path = tmp_path / "log.csv"
    path.write_text("hello\nworld\n")
    with pytest.raises(BoneAgeError, match="not a review log"):
        ReviewLog(path)
    assert path.read_text() == "hello\nworld\n"


@pytest.mark.parametrize(
    "values",
    [
        ("../a", "keep"),
        ("a", "maybe"),
        ("a", "reject"),
        ("a", "keep", "ring"),
        ("a", "keep", "", [{"x": 1}]),
        ("a", "keep", "", [{"name": "swirl"}]),
        ("a", "keep", "", [{"name": "rotate", "degrees": 999}]),
        ("a", "keep", "", [3]),
        ("a", "keep", "", "flip"),
        ("a", "keep", "", [{"name": "rotate", "degrees": float("nan")}]),
    ],
)
def test_values_that_do_not_fit_are_refused(values, tmp_path):
    log = ReviewLog(tmp_path / "log.csv")
    with pytest.raises(BoneAgeError):
        log.append(*values)
    assert not log.path.exists()


def test_summary_and_applying_tell_disagreements_missing_cases_and_broken_corrections(tmp_path):
    path = tmp_path / "log.csv"
    ann, bob = ReviewLog(path, "Ann"), ReviewLog(path, "Bob")
    ann.append("a", "keep", corrections=[{"name": "flip"}])
    ann.append("b", "keep")
    bob.append("b", "reject", "ring", note="left")
    ann.append("gone", "keep")
    with open(path, "a") as file:
        file.write('2026,c,keep,,"[{",,,Ann\n2026,../x,keep,,[],,,Ann\n')
    ann.refresh()
    counts = summary(ann, ["a", "b", "c", "d"])
    assert (counts.accepted, counts.rejected, counts.undecided) == (2, {"ring": 1}, 1)
    assert counts.disagreements == ("b",)
    accepted, rejected, notices = apply_log(pd.DataFrame({"case_id": ["a", "b", "c", "d"]}), ann)
    assert accepted["case_id"].tolist() == ["a", "c", "d"]
    assert accepted["corrections"].tolist() == ['[{"name": "flip"}]', "[]", "[]"]
    assert rejected.iloc[0].tolist() == ["b", "ring", "left", "Bob"]
    text = "\n".join(notices)
    for words in (
        "not in the case table: 1;",
        "invalid corrections",
        "not a decision",
        "b: reviewers disagree",
        "1 cases",
    ):
        assert words in text


def test_corrections_that_cannot_be_are_left_out_by_name_and_the_decision_stands(tmp_path):
    path = tmp_path / "log.csv"
    ReviewLog(path).append("a", "keep")
    with open(path, "a") as file:
        file.write(
            """2026,b,keep,,"[{""name"": ""swirl""}, {""name"": ""flip""}]",,,\n"""
            """2026,c,keep,,"[{""name"": ""rotate"", ""degrees"": 999}]",,,\n"""
            """2026,d,keep,,"{""name"": ""flip""}",,,\n"""
        )
    log = ReviewLog(path)
    assert [(row.case_id, row.decision, row.corrections) for row in log.rows[1:]] == [
        ("b", "keep", '[{"name": "flip"}]'),
        ("c", "keep", "[]"),
        ("d", "keep", "[]"),
    ]
    for number, (notice, word) in enumerate(
        zip(log.notices, ("swirl", "degrees", "invalid"), strict=True), 3
    ):
        assert f"line {number}" in notice
        assert word in notice


@pytest.mark.parametrize(
    "corrections",
    ['[{""name"": ""blank""', '[{""name"": ""blank"", ""x"": 0, ""y"": 0, ""width"": 9, ""height"": 1}]'],
)
def test_an_image_whose_box_cannot_be_read_is_kept_out_until_decided_again(corrections, tmp_path):
    path = tmp_path / "log.csv"
    ReviewLog(path).append("a", "keep")
    with open(path, "a") as file:
        file.write(f'2026,b,keep,,"{corrections}",,,\n')
    log = ReviewLog(path)
    accepted, rejected, notices = apply_log(pd.DataFrame({"case_id": ["a", "b"]}), log)
    assert accepted["case_id"].tolist() == ["a"]
    assert rejected.iloc[0].tolist() == ["b", "other", UNREADABLE_BOX, ""]
    assert any(UNREADABLE_BOX in notice for notice in notices)
    log.append("b", "keep", corrections=[BOX])
    assert len(apply_log(pd.DataFrame({"case_id": ["a", "b"]}), log)[0]) == 2


def test_an_undo_takes_back_only_the_reviewers_own_decision(tmp_path):
    path = tmp_path / "log.csv"
    ann, bob = ReviewLog(path, "Ann"), ReviewLog(path, "Bob")
    ann.append("a", "keep")
    bob.refresh()
    assert bob.undo() is None
    assert bob.undo("a") is None
    assert len(ReviewLog(path).rows) == 1
    bob.append("a", "reject", "ring")
    cases = pd.DataFrame({"case_id": ["a"]})
    assert apply_log(cases, bob)[0].empty
    assert bob.undo() == "a"
    assert apply_log(cases, bob)[0]["case_id"].tolist() == ["a"]
    assert bob.state() == {}
    ann.refresh()
    assert list(ann.state()) == ["a"]


DECIDED = st.one_of(
    st.tuples(
        st.just("keep"), st.just(""), st.sampled_from([[], [BOX]]), st.sampled_from([None, [], ["flip"]])
    ),
    st.tuples(st.just("reject"), st.sampled_from(REASONS), st.just([]), st.none()),
    st.just("undo"),
    st.just("undo the last"),
)


@settings(max_examples=150, deadline=None)
@given(acts=st.lists(st.tuples(st.sampled_from(["", "Ann"]), st.sampled_from("ab"), DECIDED), max_size=25))
def test_undo_puts_back_what_stood_before_for_that_reviewer_and_case(acts, tmp_path_factory):
    path = tmp_path_factory.mktemp("log") / "log.csv"
    logs = {reviewer: ReviewLog(path, reviewer) for reviewer in ("", "Ann")}
    decided: dict[str, list[tuple]] = {"": [], "Ann": []}
    for reviewer, case_id, act in acts:
        ours = decided[reviewer]
        if isinstance(act, str):
            named = case_id if act == "undo" else None
            standing = [one for one in ours if named in (None, one[0])]
            # The last row in the log is the last that stands of its case, so a list without it is the truth.
            assert logs[reviewer].undo(named) == (standing[-1][0] if standing else None)
            if standing:
                ours.remove(standing[-1])
        else:
            decision, reason, corrections, names = act
            row = logs[reviewer].append(case_id, decision, reason, corrections, names)
            ours.append((case_id, row))
        # A board that is opened now sees the same.
        for who in logs:
            expected = {case_id: row for case_id, row in decided[who]}
            assert ReviewLog(path, who).state() == expected
            assert list(ReviewLog(path, who).state()) == sorted(
                expected, key=lambda one: decided[who].index((one, expected[one]))
            )


def test_kept_rejected_and_undone_it_is_kept_again_with_its_box(tmp_path):
    log = ReviewLog(tmp_path / "log.csv")
    kept = log.append("a", "keep", corrections=[BOX], augmentations=["rotate"], note="look")
    log.append("a", "reject", "ring")
    assert log.undo("a") == "a"
    assert log.state() == {"a": kept}
    accepted, _, _ = apply_log(pd.DataFrame({"case_id": ["a"]}), log)
    assert accepted["corrections"].tolist() == [format_corrections([BOX])]
    assert accepted["augmentations"].tolist() == ['["rotate"]']
    assert log.undo("a") == "a"
    assert log.undo("a") is None
    assert log.state() == {}


def test_augmentations_tell_no_choice_from_no_copies_and_a_faulty_name_is_told(tmp_path):
    log = ReviewLog(tmp_path / "log.csv")
    log.append("a", "keep")
    log.append("b", "keep", augmentations=[])
    log.append("c", "keep", augmentations=["gamma", "rotate", "gamma"])
    with open(log.path, "a") as file:
        file.write(
            """2026,d,keep,,[],"[""swirl"", ""tilt""]",,\n2026,e,keep,,[],"[""swirl""]",,\n"""
            """2026,f,keep,,[],flip,,\n"""
        )
    again = ReviewLog(log.path)
    assert [row.augmentations for row in again.rows] == ["", "[]", '["rotate", "gamma"]', '["tilt"]', "", ""]
    assert [word for notice in again.notices for word in ("swirl", "invalid") if word in notice] == [
        "swirl",
        "swirl",
        "invalid",
    ]
    with pytest.raises(BoneAgeError, match="swirl"):
        log.append("a", "keep", augmentations=["swirl"])
    with pytest.raises(BoneAgeError, match="list"):
        log.append("a", "keep", augmentations="flip")


def test_boxes_of_every_reviewer_are_blanked(tmp_path):
    path = tmp_path / "log.csv"
    ReviewLog(path, "Ann").append("a", "keep", corrections=[BOX, {"name": "flip"}])
    ReviewLog(path, "Bob").append("a", "keep", corrections=[{"name": "invert"}])
    accepted, _, _ = apply_log(pd.DataFrame({"case_id": ["a"]}), ReviewLog(path))
    assert accepted["corrections"].tolist() == [format_corrections([{"name": "invert"}, BOX])]


def test_a_recorded_log_fills_what_nobody_decided(tmp_path):
    recorded = ReviewLog(tmp_path / "recorded.csv", "Ann", lambda: datetime(2026, 1, 2, tzinfo=UTC))
    recorded.append("a", "reject", "ring", note="left; =1+1")
    recorded.append("b", "keep", corrections=[BOX])
    recorded.append("c", "keep")
    recorded.append("d", "keep")
    recorded.undo("d")
    ReviewLog(recorded.path, "Bob").append("c", "reject", "other")
    log = ReviewLog(tmp_path / "log.csv", "Eve")
    log.append("b", "reject", "bracelet")
    before = recorded.path.read_bytes()
    assert log.fill_from(recorded) == 3
    assert recorded.path.read_bytes() == before
    assert log.fill_from(recorded) == 0
    again = ReviewLog(log.path)
    assert again.rows == log.rows
    standing = {(row.case_id, row.reviewer): row for row in recorded.rows if row.decision != "undo"}
    assert again.rows[1:] == [standing["a", "Ann"], standing["c", "Ann"], standing["c", "Bob"]]
    assert again.rows[0].decision == "reject"


def test_what_a_person_took_back_is_not_filled_again(tmp_path):
    recorded = ReviewLog(tmp_path / "recorded.csv")
    recorded.append("a", "keep")
    log = ReviewLog(tmp_path / "log.csv")
    assert log.fill_from(recorded) == 1
    assert log.undo() == "a"
    assert log.fill_from(recorded) == 0
    assert log.state() == {}
    with pytest.raises(BoneAgeError, match="from itself"):
        log.fill_from(ReviewLog(log.path))


def test_a_note_too_long_to_be_read_back_is_refused_and_nothing_is_recorded(tmp_path):
    log = ReviewLog(tmp_path / "review.csv")
    with pytest.raises(BoneAgeError, match="shorten"):
        log.append("a", "reject", "other", note="x" * 200_000)
    assert not log.rows
    assert not log.path.exists()
    log.append("a", "reject", "other", note="x" * 100_000)
    assert ReviewLog(log.path).rows == log.rows


def test_a_box_misspelt_with_a_capital_is_a_lost_box_too(tmp_path):
    log = ReviewLog(tmp_path / "review.csv")
    box = {"name": "blank", "x": 0.0, "y": 0.0, "width": 0.5, "height": 0.25}
    log.append("a", "keep", corrections=[box])
    log.path.write_text(log.path.read_text().replace("blank", "Blank"))
    assert [row.decision for row in ReviewLog(log.path).rows] == ["reject"]


def test_a_log_opened_to_read_only_is_left_as_it_is(tmp_path):
    log = ReviewLog(tmp_path / "log.csv", "Ada")
    log.append("a", "keep")
    log.append("b", "reject", "ring")
    torn = log.path.read_bytes() + b"2026-01-01T00:00:00.000+00:00,c,ke"
    folder = tmp_path / "recorded"
    folder.mkdir()
    path = folder / "log.csv"
    path.write_bytes(torn)
    recorded = ReviewLog(path, read_only=True)
    assert [row.case_id for row in recorded.rows] == ["a", "b"]
    assert any("left as it is" in notice for notice in recorded.notices)
    for act in (lambda: recorded.append("c", "keep"), lambda: recorded.undo("a")):
        with pytest.raises(BoneAgeError, match="read-only"):
            act()
    assert ReviewLog(tmp_path / "ours.csv").fill_from(recorded) == 2
    assert path.read_bytes() == torn
    assert list(folder.iterdir()) == [path]


def test_a_decision_typed_with_capitals_and_spaces_is_one(tmp_path):
    log = ReviewLog(tmp_path / "log.csv", "Ann")
    log.append("a", "keep")
    with open(log.path, "a") as file:
        file.write("2026,a, Reject ,RING ,[],,,Ann\n2026,b,KEEP,,[],,,Ann\n")
    log.refresh()
    assert [(row.case_id, row.decision, row.reason) for row in log.rows[1:]] == [
        ("a", "reject", "ring"),
        ("b", "keep", ""),
    ]
    assert log.notices == []


def test_ids_that_lost_their_leading_zeros_keep_their_decisions_and_boxes(tmp_path):
    path = tmp_path / "log.csv"
    ReviewLog(path, "Ann").append("0012", "reject", "ring", note="left")
    ReviewLog(path, "Ann").append("0013", "keep", corrections=[BOX])
    path.write_bytes(path.read_bytes().replace(b",00", b","))
    log = ReviewLog(path, "Bob")
    log.append("0013", "keep")
    cases = pd.DataFrame({"case_id": ["0012", "0013", "0014"]})
    reviewed = apply_log(cases, log)
    assert reviewed.rejected.values.tolist() == [["0012", "ring", "left", "Ann"]]
    assert reviewed.accepted["case_id"].tolist() == ["0013", "0014"]
    assert reviewed.accepted["corrections"].tolist() == [format_corrections([BOX]), "[]"]
    assert reviewed.notices == ["1 cases are not reviewed yet and stay in"]
    counts = summary(log, cases["case_id"].tolist())
    assert (counts.accepted, counts.rejected, counts.undecided) == (1, {"ring": 1}, 1)
    # So does the case table.
    assert len(apply_log(pd.DataFrame({"case_id": ["12", "13"]}), a_log(tmp_path / "b.csv"))[0]) == 2


def test_an_id_that_may_mean_two_cases_means_none(tmp_path):
    log = a_log(tmp_path / "log.csv", (0, "", "12", "reject"))
    reviewed = apply_log(pd.DataFrame({"case_id": ["012", "0012"]}), log)
    assert len(reviewed.accepted) == 2
    assert "not in the case table: 1;" in reviewed.notices[0]
    assert len(apply_log(pd.DataFrame({"case_id": ["12", "0012"]}), log).accepted) == 1


def test_what_was_decided_under_an_id_without_its_zeros_is_undone_and_not_filled_in(tmp_path):
    recorded = a_log(tmp_path / "recorded.csv", (0, "Ann", "0012", "reject"), (1, "Ann", "0013", "keep"))
    log = a_log(tmp_path / "log.csv", (0, "Ann", "12", "keep"))
    assert log.fill_from(recorded) == 1
    ours = ReviewLog(log.path, "Ann")
    assert ours.undo("0012") == "12"
    assert ours.state().keys() == {"0013"}


def test_detectors_reject_nothing_that_is_decided_under_an_id_without_its_zeros(tmp_path):
    log = a_log(tmp_path / "log.csv", (0, "Ann", "12", "keep"))
    kind = next(iter(REJECTABLE))
    found = pd.DataFrame([(f"00{number}", kind, 0.9, "seen") for number in (12, 13)])
    reject_likely(log, found.set_axis(["case_id", "kind", "score", "why"], axis=1))
    assert [row.case_id for row in log.rows] == ["12", "0013"]
