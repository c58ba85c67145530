"""A generator run apart: what it yields, how it ends, and that an interrupt ends it."""

import os
import sys
import threading

import pytest

from boneage.core import parallel, runtime
from boneage.core.errors import BoneAgeError
from boneage.core.parallel import interruptible, on_all_cores


def test_what_is_yielded_comes_in_order_and_from_another_thread():
    def numbers():
        for number in range(100):
            yield number, threading.current_thread()

    found = list(interruptible(numbers()))
    assert [number for number, _ in found] == list(range(100))
    assert threading.current_thread() not in {thread for _, thread in found}


def test_it_goes_no_further_than_asked():
    reached = []

    def numbers():
        for number in range(100):
            reached.append(number)
            yield number

    some = interruptible(numbers())
    assert [next(some), next(some)] == [0, 1]
    some.close()
    assert reached == [0, 1]


def test_an_error_arrives_as_itself_after_what_came_before():
    def numbers():
        yield 1
        raise BoneAgeError("disk: full")

    some = interruptible(numbers())
    assert next(some) == 1
    with pytest.raises(BoneAgeError, match="disk: full"):
        next(some)


def test_whoever_stops_asking_closes_it():
    closed = []

    def numbers():
        try:
            yield from range(100)
        finally:
            closed.append(threading.current_thread())

    some = interruptible(numbers())
    next(some)
    with pytest.raises(KeyboardInterrupt):
        some.throw(KeyboardInterrupt)
    assert len(closed) == 1
    assert not closed[0].is_alive()


def test_all_jobs_are_done_on_all_cores_and_only_a_few_at_a_time(monkeypatch):
    pool = parallel.ThreadPoolExecutor
    submitted, futures = [], []

    class Counting(pool):
        def submit(self, *arguments):
            submitted.append(sum(not future.done() for future in futures))
            futures.append(super().submit(*arguments))
            return futures[-1]

    monkeypatch.setattr(parallel, "ThreadPoolExecutor", Counting)
    assert sorted(on_all_cores(lambda number: number**2, range(200), "squares", progress=False)) == [
        number**2 for number in range(200)
    ]
    assert max(submitted) < (os.cpu_count() or 1) * 4 < 200


def test_what_a_job_raises_ends_all_of_them():
    done = []

    def work(number):
        if number == 5:
            raise OSError(28, "No space left on device")
        done.append(number)

    with pytest.raises(OSError, match="No space"):
        list(on_all_cores(work, range(1000), "jobs", progress=False))
    assert len(done) < 100


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("raise ImportError('no such symbol')", "broken: cannot be imported (no such symbol); mend it"),
        ("raise RuntimeError('built for\\nanother')", "(RuntimeError: built for another); mend it"),
        (
            "class NotFoundError(Exception): pass\nraise NotFoundError('x.so: undefined symbol')",
            "(NotFoundError: x",
        ),
        ("1 / 0", "(ZeroDivisionError: division by zero)"),
        ("raise AttributeError", "(AttributeError)"),
        ("import absent_from_everywhere", "(No module named 'absent_from_everywhere')"),
    ],
)
def test_a_package_that_fails_in_any_way_is_one_line_with_what_to_do(tmp_path, monkeypatch, code, said):
    (tmp_path / "broken.py").write_text(code)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(BoneAgeError) as caught:
        runtime.package("broken", "mend it")
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_package_that_is_sound_is_itself():
    assert runtime.package("json", "mend it") is sys.modules["json"]
