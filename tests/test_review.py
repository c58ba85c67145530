"""The review log: nothing decided is lost, whatever happens to the file."""

import errno
import os
import subprocess
import sys
from datetime import UTC, datetime

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from boneage.errors import BoneAgeError
from boneage.review import LOG_COLUMNS, ReviewLog, apply_log, summary


def test_reopening_resumes_at_the_first_undecided_and_undo_is_a_row(tmp_path):
    log = ReviewLog(tmp_path / "log.csv", "Ann", lambda: datetime(2026, 1, 2, 3, tzinfo=UTC))
    log.append("a", "keep", operators=[{"name": "rotate", "degrees": 5}])
    log.append("b", "reject", "ring")
    assert log.undo() == "b"
    again = ReviewLog(tmp_path / "log.csv", "Ann")
    assert again.first_undecided(["a", "b", "c"]) == "b"
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
    assert list(raw.columns) == list(LOG_COLUMNS)
    assert len(raw) == 1
    assert not any(cell.startswith(("=", "+", "-", "@", "\t", "\r")) for cell in raw.iloc[0])


@settings(max_examples=80, deadline=None)
@given(data=st.data(), notes=st.lists(st.text(max_size=8), min_size=1, max_size=5))
def test_cut_at_any_byte_it_loses_at_most_the_row_being_written(data, notes, tmp_path_factory):
    path = tmp_path_factory.mktemp("log") / "log.csv"
    log = ReviewLog(path)
    ends = []
    for index, note in enumerate(notes):
        log.append(f"c{index}", "reject", "other", note=note)
        ends.append(path.stat().st_size)
    whole = path.read_bytes()
    cut = data.draw(st.integers(0, len(whole)))
    path.write_bytes(whole[:cut])
    again = ReviewLog(path)
    assert again.rows == log.rows[: sum(end <= cut for end in ends)]
    again.append("next", "keep")
    assert [row.case_id for row in ReviewLog(path).rows][-1] == "next"


def test_a_torn_line_is_kept_aside_and_told(tmp_path):
    path = tmp_path / "log.csv"
    ReviewLog(path).append("a", "keep")
    with open(path, "ab") as file:
        file.write(b"2026,b,ke")
    log = ReviewLog(path)
    assert [row.case_id for row in log.rows] == ["a"]
    assert "cut short" in log.notices[0]
    assert (tmp_path / "log.csv.torn").read_bytes() == b"2026,b,ke\n"


def test_two_processes_lose_and_reorder_nothing(tmp_path):
    code = (
        "import sys; from boneage.review import ReviewLog\n"
        "log = ReviewLog(sys.argv[1], sys.argv[2])\n"
        "for i in range(200): log.append(f'{sys.argv[2]}{i}', 'keep')"
    )
    path = tmp_path / "log.csv"
    runs = [subprocess.Popen([sys.executable, "-c", code, str(path), name]) for name in ("A", "B")]
    assert [run.wait(120) for run in runs] == [0, 0]
    rows = ReviewLog(path).rows
    for name in ("A", "B"):
        assert [r.case_id for r in rows if r.reviewer == name] == [f"{name}{i}" for i in range(200)]


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

    monkeypatch.setattr("boneage.review.open", denied, raising=False)
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
    with pytest.raises(BoneAgeError, match="folder stands"):
        log.append("c", "keep")


def test_saved_by_a_spreadsheet_with_semicolons_it_opens_and_goes_on(tmp_path):
    log = ReviewLog(tmp_path / "log.csv", "Ann")
    log.append("a", "reject", "other", [{"name": "flip"}], "=1+1; x\ny")
    pd.read_csv(log.path, dtype=str).to_csv(
        log.path, sep=";", index=False, encoding="utf-8-sig", lineterminator="\r\n"
    )
    again = ReviewLog(log.path, "Ann")
    assert again.rows == log.rows
    assert "mended" in again.notices[0]
    again.append("b", "keep")
    assert ReviewLog(log.path, "Ann").rows == again.rows


def test_what_is_no_log_is_left_alone(tmp_path):
    path = tmp_path / "log.csv"
    path.write_text("hello\nworld\n")
    with pytest.raises(BoneAgeError, match="no review log"):
        ReviewLog(path)
    assert path.read_text() == "hello\nworld\n"


@pytest.mark.parametrize(
    "values",
    [("../a", "keep"), ("a", "maybe"), ("a", "reject"), ("a", "keep", "ring"), ("a", "keep", "", [{"x": 1}])],
)
def test_values_that_do_not_fit_are_refused(values, tmp_path):
    log = ReviewLog(tmp_path / "log.csv")
    with pytest.raises(BoneAgeError):
        log.append(*values)
    assert not log.path.exists()


def test_summary_and_applying_tell_disagreements_missing_cases_and_broken_operators(tmp_path):
    path = tmp_path / "log.csv"
    ann, bob = ReviewLog(path, "Ann"), ReviewLog(path, "Bob")
    ann.append("a", "keep", operators=[{"name": "flip"}])
    ann.append("b", "keep")
    bob.append("b", "reject", "ring", note="left")
    ann.append("gone", "keep")
    with open(path, "a") as file:
        file.write('2026,c,keep,,"[{",,Ann\n2026,../x,keep,,[],,Ann\n')
    ann.refresh()
    counts = summary(ann, ["a", "b", "c", "d"])
    assert (counts.accepted, counts.rejected, counts.undecided) == (2, {"ring": 1}, 1)
    assert counts.disagreements == ("b",)
    accepted, rejected, notices = apply_log(pd.DataFrame({"case_id": ["a", "b", "c", "d"]}), ann)
    assert accepted["case_id"].tolist() == ["a", "c", "d"]
    assert accepted["operators"].tolist() == ['[{"name": "flip"}]', "[]", "[]"]
    assert rejected.iloc[0].tolist() == ["b", "ring", "left", "Bob"]
    text = "\n".join(notices)
    for words in ("gone: decided", "broken operators", "no decision", "b: reviewers disagree", "1 cases"):
        assert words in text
