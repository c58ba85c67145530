"""How the benchmarks measure: in turns, and a command's own memory, not that of what started it."""

import importlib
from pathlib import Path

import numpy as np
import pytest


@pytest.fixture
def measuring(monkeypatch):
    monkeypatch.syspath_prepend(Path(__file__).parents[1] / "benchmarks")
    return importlib.import_module("measuring")


def test_a_machine_that_slows_down_changes_no_ratio(measuring):
    slowness = iter([1.0, 1.0, 3.0, 3.0, 2.0, 2.0])
    paces = measuring.in_turns(lambda: 2.0 * next(slowness), lambda: 1.0 * next(slowness), 3)
    assert paces == (4.0, 2.0, 0.5)


def test_rounds_end_early_where_they_take_long(measuring):
    done = []
    measuring.in_turns(lambda: done.append(1) or 1.0, lambda: 1.0, 9, least_rounds=2, enough_seconds=0.0)
    assert len(done) == 2


def test_the_peak_is_the_commands_own(measuring):
    held = np.ones(600 * 2**20, np.uint8)
    small, large = (
        measuring.use_of(["-c", f"held = bytearray(b'1' * {size} * 2**20); print('done')"])
        for size in (1, 200)
    )
    assert small.peak_mib < 100 < held.nbytes / 2**20
    # The bytes and their copy.
    assert 400 < large.peak_mib < 500
    assert small.printed == "done\n"
    assert small.cpu_seconds > 0
    assert small.seconds > 0


def test_a_command_that_fails_is_named(measuring):
    with pytest.raises(SystemExit, match="-c exit\\(3\\): ended with 3"):
        measuring.use_of(["-c", "exit(3)"])
