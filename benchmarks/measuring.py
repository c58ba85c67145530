"""How benchmarks measure: two ways in turns, and what a command uses; and what a table has already."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

Seconds = Callable[[], float]


class InTurns(NamedTuple):
    """Medians over the rounds: seconds of each way, and how many times as fast ours is."""

    ours: float
    other: float
    times_as_fast: float


def in_turns(
    ours: Seconds, other: Seconds, rounds: int, least_rounds: int = 0, enough_seconds: float = np.inf
) -> InTurns:
    """Two ways, one after the other, in several rounds.

    A shared machine is slower or faster for seconds at a time, which both ways of a round see alike: in four
    times six rounds of preprocessing on one, the medians of the rounds' ratios lay within 0.03, the ratios of
    each way's fastest within 0.06.

    Args:
        ours: Does the work our way; returns its seconds.
        other: The same, the other way.
        rounds: How many.
        least_rounds: How many even if they take longer than ``enough_seconds``.
        enough_seconds: After these, no further round begins.
    """
    taken: list[tuple[float, float]] = []
    begun = time.perf_counter()
    while len(taken) < rounds:
        if len(taken) >= least_rounds and time.perf_counter() - begun > enough_seconds:
            break
        taken.append((ours(), other()))
    our, others = np.array(taken).T
    return InTurns(float(np.median(our)), float(np.median(others)), float(np.median(others / our)))


def timed(work: Callable[[], object]) -> float:
    """Seconds that it takes."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


class Use(NamedTuple):
    """What a command used: seconds by the clock and of processors, peak memory in MiB, what it printed."""

    seconds: float
    cpu_seconds: float
    peak_mib: float
    printed: str


# A process of its own, as a command's peak counts the memory of what it was started from (getrusage(2)).
_MEASURED = """
import json, os, resource, subprocess, sys
code = subprocess.call([sys.executable, *sys.argv[2:]])
used = resource.getrusage(resource.RUSAGE_CHILDREN)
os.write(int(sys.argv[1]), json.dumps([code, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024]).encode())
"""


def use_of(command: Sequence[str], environment: Mapping[str, str] | None = None) -> Use:
    """What a command of Python uses, given without the interpreter.

    Raises:
        SystemExit: It failed.
    """
    begun = time.perf_counter()
    read, write = os.pipe()
    with open(read) as told:
        done = subprocess.run(
            [sys.executable, "-c", _MEASURED, str(write), *command],
            pass_fds=[write],
            check=True,
            env={**os.environ, **(environment or {})},
            stdout=subprocess.PIPE,
            text=True,
        )
        os.close(write)
        code, cpu_seconds, peak = json.load(told)
    if code:
        raise SystemExit(f"{' '.join(command)}: ended with {code}")
    return Use(time.perf_counter() - begun, cpu_seconds, peak, done.stdout)


def is_there(table: Path, row: Mapping[str, object]) -> bool:
    """Whether a table has a row with these values."""
    return table.is_file() and bool((pd.read_csv(table)[list(row)] == row).all(axis=1).any())
