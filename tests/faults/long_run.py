"""The stages over and over, with faults at random (``make long-run``): nothing is lost, and nothing piles up.

One process, as a notebook's kernel does, takes every stage of a small set after the other, again and again.
At random a stage is stopped by Ctrl-C, finds the disk full, a file damaged or a folder gone; or another
process that does it is killed. A person decides before each review, and is killed at it, too. After each
round every file must be, but for times, what it is without a fault; and of the process that does the stages
the memory, open files and mapped files are counted, so that what grows is seen.
"""

import argparse
import contextlib
import csv
import itertools
import multiprocessing
import os
import random
import re
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from multiprocessing.connection import Connection
from pathlib import Path

import matrix

if __name__ == "__main__" and matrix.AS_CHILD not in os.environ:
    matrix.in_a_world_of_its_own()

from arena import LONGEST_SECONDS, Arena, Ended, Watch, differences
from faults import FAULTS, Case, Fault, Skipped
from stages import STAGES, Stage, arguments

from boneage.review.log import ReviewLog

FAULTY = 0.5
"""The share of the stages that a fault strikes."""

_STAGES = [stage for stage in STAGES if ":" not in stage.name and stage.name != "pretrain"]
_NAMES = ("kill -9", "Ctrl-C", "disk full", "work folder gone", "cache gone", "input damaged")
_FAULTS = [fault for fault in FAULTS if fault.name in _NAMES]

# What tells when a file was written, or how long a training took.
_OF_ITS_TIME = re.compile(r"made/|/anomalies\.npz$|/augment\.csv$|/details\.csv$|/report\.html$")

COLUMNS = (
    *("minutes", "rounds", "stages", *_NAMES, "decisions", "memory_mib", "open_files", "mapped_files"),
    *("threads", "temporary_files", "lost_decisions", "wrong"),
)


class Kernel:
    """A process that does one verb after the other, each in the way of :class:`arena.Process`."""

    def __init__(self, arena: Arena):
        self.arena = arena
        self._output = arena.root / "kernel-output"
        self._pipe, theirs = multiprocessing.Pipe()
        self.pid = os.fork()
        if not self.pid:
            try:
                self._serve(theirs)
            except BaseException:
                traceback.print_exc()
            finally:
                os._exit(1)
        theirs.close()

    def _serve(self, pipe: Connection) -> None:
        _put_temporary_files_into(self.arena.root / "tmp")
        watch = Watch(self.arena.watched)
        sys.addaudithook(watch)
        from boneage.__main__ import main

        def wait() -> None:
            pipe.send("struck")
            pipe.recv()

        def interrupt() -> None:
            pipe.send("struck")
            os.kill(os.getpid(), signal.SIGINT)

        signal.signal(signal.SIGINT, signal.default_int_handler)
        while True:
            words, at, is_interrupt = pipe.recv()
            file = os.open(self._output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            os.dup2(file, 1)
            os.dup2(file, 2)
            os.close(file)
            watch.count, watch.at, watch.strike = 0, at, interrupt if is_interrupt else wait
            try:
                code = main(words)
            except BaseException:
                traceback.print_exc()
                code = 1
            watch.at = 0
            sys.stdout.flush()
            pipe.send((code, watch.count))

    def start(self, words: list[str], at: int = 0, is_interrupt: bool = False) -> None:
        self._began, self._said, self._is_struck = time.monotonic(), "", False
        self._pipe.send((words, at, is_interrupt))

    def wait_until_struck(self) -> bool:
        """Whether it came to the event; False if it ended before."""
        self._said = self._receive()
        self._is_struck = self._said == "struck"
        return self._is_struck

    def _receive(self) -> object:
        """What it says next; None if it has ended, or hangs."""
        if not self._pipe.poll(LONGEST_SECONDS):
            os.kill(self.pid, signal.SIGKILL)
        try:
            return self._pipe.recv()
        except (EOFError, ConnectionResetError):
            return None

    def go_on(self) -> None:
        with contextlib.suppress(BrokenPipeError):
            self._pipe.send("go on")

    def end(self) -> Ended:
        if self._said == "":
            self.wait_until_struck()
        if self._is_struck:
            self._said = self._receive()
        if self._said is None:
            code, events = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1]), 0
        else:
            code, events = self._said
        said = self._output.read_text(errors="replace")
        return Ended(code, said, self._is_struck, time.monotonic() - self._began, events)

    def do(self, words: list[str]) -> Ended:
        self.start(words)
        return self.end()

    def facts(self) -> dict[str, int]:
        """Memory in MiB, open files and threads, and files of the arena that are mapped."""
        own = Path("/proc") / str(self.pid)
        status = dict(line.split(":", 1) for line in (own / "status").read_text().splitlines())
        maps = {line.split(None, 5)[-1] for line in (own / "maps").read_text().splitlines()}
        return {
            "memory_mib": int(status["VmRSS"].split()[0]) // 1024,
            "threads": int(status["Threads"]),
            "open_files": len(list((own / "fd").iterdir())),
            "mapped_files": sum(one.startswith(str(self.arena.root)) for one in maps),
        }


@dataclass
class InKernel(Case):
    """A case whose stage is done by the kernel, which outlives it."""

    kernel: Kernel | None = None

    def start(self, strike: Callable[[], None] | None = None, at: int | None = None) -> Kernel:
        words = arguments(self.stage, self.arena)
        self.kernel.start(words, self.at if at is None else at, is_interrupt=strike is not None)
        return self.kernel


@dataclass
class LongRun:
    """What the rounds have in common, and what came of them."""

    arena: Arena
    draw: random.Random
    kernel: Kernel
    undisturbed: dict[str, Ended] = field(default_factory=dict)
    expected: dict[str, str] = field(default_factory=dict)
    counts: Counter = field(default_factory=Counter)

    def first_round(self) -> None:
        """Does every stage undisturbed, to know what comes of it."""
        self.arena.begin("round")
        for stage in _STAGES:
            self.undisturbed[stage.name] = self.kernel.do(arguments(stage, self.arena))
            if self.undisturbed[stage.name].code:
                raise SystemExit(f"{stage.name}: {self.undisturbed[stage.name].said}")
        self.expected = self._made()

    def _made(self) -> dict[str, str]:
        return {name: one for name, one in self.arena.contents().items() if not _OF_ITS_TIME.search(name)}

    def round(self) -> None:
        self.arena.begin("round")
        for stage in _STAGES:
            if stage.name == "review":
                self._decide()
            decided = self.arena.decisions()
            self._do(stage)
            if not self.arena.decisions().startswith(decided):
                self._complain("lost_decisions", f"{stage.name}: the review log no longer begins as it did")
        for one in differences(self.expected, self._made()):
            self._complain("temporary_files" if one.endswith("left over") else "wrong", one)
        self.counts["rounds"] += 1

    def _do(self, stage: Stage) -> None:
        """Does a stage, perhaps with a fault first."""
        faults = [fault for fault in _FAULTS if fault.applies(stage)]
        if self.draw.random() < FAULTY:
            self._strike(stage, self.draw.choice(faults))
        self.arena.an_hour_later()
        ended = self.kernel.do(arguments(stage, self.arena))
        self.counts["stages"] += 1
        if ended.code:
            self._complain("wrong", f"{stage.name}: ended with {ended.code}: {ended.said[-2000:]}")
        self._revive(ended)

    def _revive(self, ended: Ended) -> None:
        """Starts the process again where it died, which it should not."""
        if ended.code < 0:
            self.kernel = Kernel(self.arena)

    def _strike(self, stage: Stage, fault: Fault) -> None:
        self.arena.keep(stage.begins or stage.name)
        undisturbed = self.undisturbed[stage.name]
        at = self.draw.randrange(1, undisturbed.events + 1)
        common = (stage, self.arena, undisturbed, at, self.draw.randrange(9), self.draw, self.expected)
        case = Case(*common) if fault.is_violent else InKernel(*common, kernel=self.kernel)
        with contextlib.suppress(Skipped):
            for ended in fault.do(case):
                self.counts[fault.name] += fault.name == "input damaged" or ended.struck or ended.code != 0
                if not ended.is_clean and not (fault.is_violent and ended.is_killed):
                    self._complain("wrong", f"{stage.name}, {fault.name} at {at}: {ended.said[-2000:]}")
                if not fault.is_violent:
                    self._revive(ended)

    def _decide(self) -> None:
        """A person decides some cases as the recorded log does, and is killed at it; what they were told is
        recorded must stand in the log."""
        recorded = ReviewLog(self.arena.cache / "atlas/review.csv", read_only=True).rows
        told, tell = os.pipe()
        pid = os.fork()
        if not pid:
            try:
                log = ReviewLog(self.arena.work / "review.csv", "recorded", lambda: _RECORDED)
                for row in recorded:
                    log.append(row.case_id, row.decision, row.reason)
                    os.write(tell, b".")
            finally:
                os._exit(0)
        os.close(tell)
        heard = os.read(told, 1)
        time.sleep(self.draw.uniform(0.0, 0.5))
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        while piece := os.read(told, 64):
            heard += piece
        os.close(told)
        self.counts["decisions"] += len(heard)
        found = ReviewLog(self.arena.work / "review.csv").rows[: len(heard)]
        if found != recorded[: len(heard)]:
            self._complain("lost_decisions", f"{len(heard)} decisions were recorded, {len(found)} found")
        # The person whose last row was torn is told so by the file beside the log.
        (self.arena.work / "review.csv.torn").unlink(missing_ok=True)

    def _complain(self, kind: str, words: str) -> None:
        self.counts[kind] += 1
        print(f"round {self.counts['rounds'] + 1}: {words}", file=sys.stderr, flush=True)

    def row(self, minutes: float) -> dict[str, object]:
        """Where it stands: a row of the table."""
        counts = {name: self.counts[name] for name in COLUMNS}
        counts["temporary_files"] += sum(1 for _ in (self.arena.root / "tmp").iterdir())
        return {**counts, "minutes": round(minutes), **self.kernel.facts()}


def _put_temporary_files_into(folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    tempfile.tempdir = os.environ["TMPDIR"] = str(folder)


_RECORDED = datetime(2026, 1, 1, tzinfo=UTC)


def main() -> int:
    """Goes round for the time given, and writes a row every few minutes; 1 if anything is wrong."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=120.0, help="how long (default: 120)")
    parser.add_argument("--every", type=float, default=10.0, help="minutes between rows (default: 10)")
    parser.add_argument("--seed", type=int, default=matrix.SEED)
    parser.add_argument("--out", type=Path, help="CSV to write the rows into")
    given = parser.parse_args()
    matrix.warm_up()
    with tempfile.TemporaryDirectory() as root:
        arena = Arena(Path(root).resolve())
        arena.work.mkdir(parents=True)
        matrix.draw_atlas(arena)
        matrix.lay_out_hands(arena)
        arena.keep("round")
        # Those that a killed process leaves in the system's folder are the system's to clear.
        _put_temporary_files_into(arena.root / "tmp-of-the-killed")
        run = LongRun(arena, random.Random(given.seed), Kernel(arena))
        began, rows = time.monotonic(), []
        run.first_round()
        for due in itertools.count(1):
            while (minutes := (time.monotonic() - began) / 60) < min(due * given.every, given.minutes):
                run.round()
            rows.append(run.row(minutes))
            print(re.sub(r"[{}']", "", str(rows[-1])), flush=True)
            if given.out:
                _write(given.out, rows)
            if minutes >= given.minutes:
                os.kill(run.kernel.pid, signal.SIGKILL)
                return int(any(rows[-1][name] for name in ("temporary_files", "lost_decisions", "wrong")))


def _write(path: Path, rows: list[dict[str, object]]) -> None:
    with open(path, "w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


if __name__ == "__main__":
    sys.exit(main())
