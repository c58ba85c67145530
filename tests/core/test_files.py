"""Files are whole or absent, and a failure says what to do."""

import errno
import gc
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from small_disk import small_disk

from boneage.core.errors import BoneAgeError
from boneage.core.files import (
    atomic_write,
    folder_for_now,
    make_folder,
    one_at_a_time,
    sha256_of,
    write_arrays,
    write_text,
)


def test_writes_text_in_a_new_folder(tmp_path):
    path = write_text(tmp_path / "a" / "b.txt", "né")
    assert path.read_bytes() == "né".encode()
    assert [one.name for one in path.parent.iterdir()] == ["b.txt"]


def test_a_failure_in_the_middle_keeps_the_old_file_and_leaves_nothing_else(tmp_path):
    path = write_text(tmp_path / "a.txt", "old")

    def fail_half_way():
        with atomic_write(path) as file:
            file.write(b"new, but half")
            raise RuntimeError("boom")

    with pytest.raises(RuntimeError, match="boom"):
        fail_half_way()
    assert path.read_text() == "old"
    assert [one.name for one in tmp_path.iterdir()] == ["a.txt"]


@pytest.mark.parametrize(
    ("number", "advice"),
    [(errno.ENOSPC, "disk is full"), (errno.EROFS, "read-only"), (errno.EACCES, "no permission")],
)
def test_a_full_or_closed_disk_is_one_line_that_names_the_file(tmp_path, monkeypatch, number, advice):
    def refuse(*_):
        raise OSError(number, os.strerror(number))

    path = write_text(tmp_path / "a.txt", "old")
    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(BoneAgeError, match=advice) as caught:
        write_text(path, "new")
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert path.read_text() == "old"
    assert len(list(tmp_path.iterdir())) == 1


def test_arrays_that_do_not_fit_on_the_disk_leave_no_traceback(tmp_path, monkeypatch):
    traces = []
    monkeypatch.setattr(sys, "unraisablehook", traces.append)
    with small_disk(tmp_path / "disk") as disk:
        path = write_arrays(disk / "looks.npz", keys=np.array(["1000"]), looks=np.zeros((1, 64)))
        with pytest.raises(BoneAgeError, match="disk is full"):
            write_arrays(path, looks=np.zeros(2**18))
        with np.load(path) as kept:
            assert kept["keys"].tolist() == ["1000"]
    gc.collect()
    assert traces == []


def test_a_file_in_the_place_of_a_folder_is_said(tmp_path):
    write_text(tmp_path / "work", "a file")
    with pytest.raises(BoneAgeError, match="is a file, not a folder"):
        make_folder(tmp_path / "work")
    with pytest.raises(BoneAgeError, match="is a file, not a folder"):
        make_folder(tmp_path / "work" / "runs")


def test_a_folder_in_the_place_of_a_file_is_said(tmp_path):
    (tmp_path / "cases.csv" / "inner").mkdir(parents=True)
    with pytest.raises(BoneAgeError, match="a folder is in its place"):
        write_text(tmp_path / "cases.csv", "text")


def test_what_a_killed_process_left_is_swept_and_what_a_living_one_writes_is_not(tmp_path):
    abandoned, living = tmp_path / ".a-abcd1234.txt", tmp_path / ".a-efgh5678.txt"
    other = tmp_path / ".ab-abcd1234.txt"
    for path in (abandoned, living, other):
        path.write_text("half")
    for path in (abandoned, other):
        os.utime(path, (0, 0))
    write_text(tmp_path / "a.txt", "whole")
    assert sorted(one.name for one in tmp_path.iterdir()) == [living.name, other.name, "a.txt"]


UNTIL_KILLED = """
import time
from boneage.core.files import folder_for_now
with folder_for_now("estimate") as folder:
    (folder / "radiograph.png").write_bytes(b"")
    print(folder, flush=True)
    time.sleep(100)
"""


def test_what_a_killed_process_had_for_now_is_gone_with_the_next_and_a_living_one_keeps_it(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    environment = {
        **os.environ,
        "TMPDIR": str(tmp_path),
        "PYTHONPATH": str(Path(__file__).parents[2] / "src"),
    }
    process = subprocess.Popen(
        [sys.executable, "-c", UNTIL_KILLED], stdout=subprocess.PIPE, text=True, env=environment
    )
    radiograph = Path(process.stdout.readline().strip()) / "radiograph.png"

    def next_one(purpose, later):
        with monkeypatch.context() as patch:
            patch.setattr(time, "time", lambda: radiograph.stat().st_mtime + later)
            with folder_for_now(purpose) as folder:
                assert list(folder.iterdir()) == []
                (folder / "other.png").write_bytes(b"")
            assert not folder.exists()

    next_one("estimate", 3600)
    assert radiograph.exists()
    process.send_signal(signal.SIGKILL)
    process.communicate()
    next_one("another", 3600)
    # It may just be about to take its lock.
    next_one("estimate", 1)
    assert radiograph.exists()
    next_one("estimate", 3600)
    assert list(tmp_path.iterdir()) == []


def test_written_files_follow_the_umask(tmp_path):
    path = write_text(tmp_path / "a.txt", "text")
    (tmp_path / "plain.txt").write_text("text")
    assert path.stat().st_mode == (tmp_path / "plain.txt").stat().st_mode


def test_sha256(tmp_path):
    path = write_text(tmp_path / "a.txt", "abc")
    assert sha256_of(path) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    with pytest.raises(BoneAgeError, match="absent"):
        sha256_of(tmp_path / "absent")


def test_who_finds_another_at_work_says_so_and_waits(tmp_path, capsys):
    done, said = [], ""

    def second():
        with one_at_a_time(tmp_path / "film.zip"):
            done.append("second")

    with one_at_a_time(tmp_path / "film.zip"):
        waiting = threading.Thread(target=second)
        waiting.start()
        while not said and waiting.is_alive():
            waiting.join(0.01)
            said = capsys.readouterr().out
        done.append("first")
    waiting.join()
    assert done == ["first", "second"]
    assert said == f"{tmp_path / 'film.zip'}: another process is at work on it; waiting for it\n"
