"""Two people decide at once on one review log, one of them on a folder that stalls and fails as a mounted
Drive does; by hand: ``python tests/review/two_people.py 10000``.

Whoever is told that a decision could not be recorded makes it again, as a person would.
"""

import argparse
import contextlib
import errno
import io
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from itertools import groupby
from pathlib import Path

from boneage.core.errors import BoneAgeError
from boneage.review import log as review
from boneage.review.log import ReviewLog

CALM, ON_DRIVE = "Ann", "Bob"
"""The two people; the folder of the second stalls and fails."""

_STALLS, _FAILS = 0.02, 0.01
_LONGEST_STALL = 0.2
_ERRORS = (errno.EIO, errno.ENOTCONN, errno.ETIMEDOUT)


def decisions_of(person: str, count: int) -> list[tuple[str, str, str]]:
    """What a person decides: case, decision and reason. Each tenth is taken back."""
    made = []
    for number in range(count):
        if number % 10 == 9:
            made.append((made[-1][0], "undo", ""))
        elif number % 3:
            made.append((f"{person}{number}", "keep", ""))
        else:
            made.append((f"{person}{number}", "reject", "other"))
    return made


def stall(seed: int, path: Path) -> None:
    """From here on, whatever this process does to files beside ``path`` may take long, or fail half done."""
    draw, folder = random.Random(seed), str(path.parent)
    fsync, ftruncate = os.fsync, os.ftruncate

    def may_fail(*_: object) -> None:
        if draw.random() < _STALLS:
            time.sleep(draw.uniform(0.0, _LONGEST_STALL))
        if draw.random() < _FAILS:
            code = draw.choice(_ERRORS)
            raise OSError(code, os.strerror(code))

    class Stalling(io.FileIO):
        def write(self, data: bytes) -> int:
            try:
                may_fail()
            except OSError:
                super().write(data[: draw.randrange(len(data))])
                raise
            return super().write(data)

    def after_it_may_fail(do: Callable) -> Callable:
        def done(*given: int) -> None:
            may_fail()
            do(*given)

        return done

    def hook(event: str, given: tuple) -> None:
        if event == "open" and str(given[0]).startswith(folder):
            may_fail()

    review.open = lambda name, mode, buffering=-1: Stalling(name, mode.removesuffix("b"))  # type: ignore[attr-defined]
    os.fsync, os.ftruncate = after_it_may_fail(fsync), after_it_may_fail(ftruncate)
    sys.addaudithook(hook)


def decide(path: Path, person: str, count: int) -> dict[str, float]:
    """Makes every decision of a person, each until it is recorded."""
    if person == ON_DRIVE:
        stall(count, path)
    log, refused, slowest = None, 0, 0.0
    for case_id, decision, reason in decisions_of(person, count):
        began = time.monotonic()
        while True:
            try:
                log = log or ReviewLog(path, person)
                if decision == "undo":
                    log.undo(case_id)
                else:
                    log.append(case_id, decision, reason)
                break
            except BoneAgeError:
                refused += 1
        slowest = max(slowest, time.monotonic() - began)
    return {"refused": refused, "slowest": round(slowest, 2), "cpu": round(time.process_time(), 1)}


def both_decide(path: Path, count: int) -> dict[str, dict[str, float]]:
    """Has both decide at once, in a process each; returns how that went for each."""
    line = [sys.executable, __file__, str(count), "--log", str(path), "--person"]
    people = {
        person: subprocess.Popen([*line, person], stdout=subprocess.PIPE, text=True)
        for person in (CALM, ON_DRIVE)
    }
    said = {person: process.communicate()[0] for person, process in people.items()}
    return {person: json.loads(text) for person, text in said.items()}


def faults_of(path: Path, count: int) -> list[str]:
    """In words, who does not find every decision in the log, in the order made.

    One whose writing failed to the end, and that could not be taken back, may stand there twice.
    """
    rows = ReviewLog(path, read_only=True).rows
    wrong = [] if {row.reviewer for row in rows} == {CALM, ON_DRIVE} else ["somebody else decided"]
    for person in (CALM, ON_DRIVE):
        found = [(row.case_id, row.decision, row.reason) for row in rows if row.reviewer == person]
        if [one for one, _ in groupby(found)] != decisions_of(person, count):
            wrong.append(f"{person}: {len(found)} rows of {count} decisions, or in another order")
    return wrong


def main() -> int:
    """Decides as one person, or has both decide and prints what came of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("count", type=int, help="decisions of both together, or of the one person")
    parser.add_argument("--log", type=Path)
    parser.add_argument("--person", choices=(CALM, ON_DRIVE))
    given = parser.parse_args()
    if given.person:
        print(json.dumps(decide(given.log, given.person, given.count)))
        return 0
    with contextlib.ExitStack() as stack:
        path = given.log or Path(stack.enter_context(tempfile.TemporaryDirectory())) / "review.csv"
        began = time.monotonic()
        print(json.dumps(both_decide(path, given.count // 2), indent=1))
        wrong = faults_of(path, given.count // 2)
        print(f"{time.monotonic() - began:.0f} s, {len(path.read_bytes()):,} bytes", *wrong, sep="\n")
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
