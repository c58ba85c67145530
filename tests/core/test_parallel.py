"""Jobs on all cores: each once, few at a time, and an end by Ctrl-C or an error leaves nothing running."""

import os
import signal
import subprocess
import sys
import time
import warnings
from pathlib import Path

import pytest

import boneage
from boneage.core.parallel import on_all_cores


class Jobs(list):
    """Jobs that know how many were taken and not yet done."""

    def __init__(self, count: int):
        super().__init__(range(count))
        self.taken = self.done = self.most = 0

    def __iter__(self):
        for job in super().__iter__():
            self.taken += 1
            self.most = max(self.most, self.taken - self.done)
            yield job


def test_all_jobs_are_done_once_and_only_a_few_at_a_time():
    jobs = Jobs(200)

    def work(number):
        jobs.done += 1
        return number**2

    assert sorted(on_all_cores(work, jobs, "squares", progress=False)) == [n**2 for n in range(200)]
    assert jobs.most <= 4 * (os.cpu_count() or 1) < 200


def test_results_come_in_order_where_that_is_asked_for():
    def work(number):
        time.sleep(0.001 * (number % 3))
        return number

    assert list(on_all_cores(work, range(50), "jobs", progress=False, in_order=True)) == list(range(50))


def test_no_job_is_nothing_to_do():
    assert list(on_all_cores(str, [], "nothing", progress=False)) == []


def test_what_a_job_raises_ends_all_of_them():
    done = []

    def work(number):
        if number == 5:
            raise OSError(28, "No space left on device")
        done.append(number)

    with pytest.raises(OSError, match="No space"):
        list(on_all_cores(work, range(1000), "jobs", progress=False))
    assert len(done) < 100


@pytest.mark.parametrize("in_order", [True, False])
def test_what_has_begun_is_done_before_an_error_is_raised(monkeypatch, in_order):
    monkeypatch.setattr("joblib.cpu_count", lambda: 4)
    begun, done = [], []

    def work(number):
        if number == 0:
            time.sleep(0.05)
            raise OSError(28, "No space left on device")
        begun.append(number)
        time.sleep(0.2)
        done.append(number)

    with pytest.raises(OSError, match="No space"):
        list(on_all_cores(work, range(100), "jobs", progress=False, in_order=in_order))
    assert begun
    assert sorted(done) == sorted(begun)


def test_whoever_stops_early_is_told_nothing_and_no_more_is_begun():
    begun = []

    def work(number):
        begun.append(number)
        time.sleep(0.001)
        return number

    results = on_all_cores(work, range(10_000), "jobs", progress=False)
    next(results)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        results.close()
    time.sleep(0.05)
    so_far = len(begun)
    time.sleep(0.05)
    assert len(begun) == so_far < 1000


PROGRAM = """
import signal
import time
from boneage.core.parallel import on_all_cores
# What is run in the background of a shell is born deaf to Ctrl-C.
signal.signal(signal.SIGINT, signal.default_int_handler)
try:
    for number in on_all_cores(lambda job: time.sleep(0.0005 * (job % 7)) or job, range(10**6), "", False):
        if number == 50:
            print("under way", flush=True)
except KeyboardInterrupt:
    print("stopped", flush=True)
"""


@pytest.mark.parametrize("wait", [0, 0.03, 0.11])
def test_ctrl_c_ends_it_soon(wait):
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM],
        env=os.environ | {"PYTHONPATH": str(Path(boneage.__file__).parents[1])},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "under way\n"
    time.sleep(wait)
    process.send_signal(signal.SIGINT)
    said, _ = process.communicate(timeout=20)
    assert said == "stopped\n"
    assert process.returncode == 0
