"""A generator run apart: what it yields, how it ends, and that an interrupt ends it."""

import threading

import pytest

from boneage.errors import BoneAgeError
from boneage.runtime import interruptible


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
