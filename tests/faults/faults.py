"""The faults of the matrix: each is done to a stage while it runs, or to what it reads.

A fault is given the arena as the stage begins with it, and leaves it as a person would who takes away its
cause: with room on the disk, the folder back in its place. It returns how the processes ended.
"""

import contextlib
import datetime
import os
import random
import re
import resource
import shutil
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from arena import Arena, Ended, Process, differences
from stages import Stage, arguments

_SPARE_BYTES = 64 * 2**20
_DAY = 24 * 3600.0
_PATIENCE = 12.0


@dataclass
class Case:
    """A stage, an arena that is ready for it, and the moment at which the fault strikes.

    Attributes:
        undisturbed: How the stage ended by itself.
        at: The number of the event on files at which the fault strikes.
        number: Which try it is.
        draw: Where random choices come from.
        expected: What every file holds after an undisturbed run.
        complaints: What was wrong, in words.
    """

    stage: Stage
    arena: Arena
    undisturbed: Ended
    at: int
    number: int
    draw: random.Random
    expected: dict[str, str]
    complaints: list[str] = field(default_factory=list)

    def start(self, strike: Callable[[], None] | None = None, at: int | None = None) -> Process:
        prepare = self.stage.prepare
        return Process(
            self.arena,
            arguments(self.stage, self.arena),
            self.at if at is None else at,
            strike,
            (lambda: prepare(self.arena)) if prepare else None,
        )

    def struck(self, do: Callable[[Process], None]) -> Ended:
        """Runs the stage, and does something to it when it comes to the moment."""
        process = self.start()
        if process.wait_until_struck():
            do(process)
            process.go_on()
        return process.end()


class Skipped(Exception):
    """This machine does not permit the fault."""


@dataclass(frozen=True)
class Fault:
    """A fault.

    Attributes:
        name: As the table shows it.
        do: Does it; returns the processes' ends.
        tries: How often it is done to a stage.
        is_violent: Whether a process may be ended by it without a word.
        applies: Whether it can happen to a stage.
        changes: Whether the stage's input is another afterwards.
    """

    name: str
    do: Callable[[Case], list[Ended]]
    tries: int = 2
    is_violent: bool = False
    applies: Callable[[Stage], bool] = field(default=lambda stage: True)
    changes: bool = False


def _kill(case: Case) -> list[Ended]:
    """Kill -9: every other time before something is done to a file, else at any time."""
    if case.number % 2:
        return [case.start(lambda: os.kill(os.getpid(), signal.SIGKILL)).end()]
    seconds = case.draw.uniform(0.0, case.undisturbed.seconds)
    while True:
        process = case.start(at=0)
        process.wait(seconds)
        os.kill(process.pid, signal.SIGKILL)
        ended = process.end()
        if ended.code < 0:
            return [ended]
        # It was faster this time.
        seconds /= 2
        case.arena.begin(case.stage.begins or case.stage.name)


def _interrupt(case: Case) -> list[Ended]:
    return [case.start(lambda: os.kill(os.getpid(), signal.SIGINT)).end()]


def _full_disk(case: Case) -> list[Ended]:
    with case.arena.small_disk(case.stage.begins or case.stage.name, _SPARE_BYTES) as mounted:
        if not mounted:
            raise Skipped("mounting is not permitted")
        ballast = case.arena.box / "ballast"
        ended = case.struck(lambda process: _fill(ballast))
        ballast.unlink(missing_ok=True)
    return [ended]


def _fill(ballast: Path) -> None:
    with open(ballast, "ab", buffering=0) as file, contextlib.suppress(OSError):
        while file.write(bytes(2**16)):
            pass
    with open(ballast, "ab", buffering=0) as file, contextlib.suppress(OSError):
        while file.write(b"\0"):
            pass


def _read_only(case: Case) -> list[Ended]:
    if os.access(_unwritable(case.arena), os.W_OK):
        raise Skipped("the superuser may write anywhere")

    def turn(process: Process) -> None:
        for one in (case.arena.box, *case.arena.box.rglob("*")):
            with contextlib.suppress(OSError):
                one.chmod(one.stat().st_mode & ~0o222)

    ended = case.struck(turn)
    for folder, _, files in os.walk(case.arena.box):
        for one in (Path(folder), *(Path(folder) / name for name in files)):
            one.chmod(one.stat().st_mode | stat.S_IWUSR)
    return [ended]


def _unwritable(arena: Arena) -> Path:
    folder = arena.root / "unwritable"
    folder.mkdir(mode=0o555, exist_ok=True)
    return folder


def _gone(name: str) -> Callable[[Case], list[Ended]]:
    def gone(case: Case) -> list[Ended]:
        """What an unmounted Drive, or a reset machine, leaves: an empty folder."""
        folder, away = case.arena.box / name, case.arena.root / "away"

        def take(process: Process) -> None:
            folder.rename(away)
            folder.mkdir()

        ended = case.struck(take)
        if away.exists():
            subprocess.run(["rm", "-rf", str(folder)], check=True)
            away.rename(folder)
        return [ended]

    return gone


def _clock_back(case: Case) -> list[Ended]:
    return [case.start(_set_back).end()]


def _set_back() -> None:
    """The clock of this process jumps back by a day."""
    now, real = time.time, datetime.datetime

    class Behind(real):
        @classmethod
        def now(cls, tz: datetime.tzinfo | None = None) -> datetime.datetime:
            return real.now(tz) - datetime.timedelta(seconds=_DAY)

    time.time = lambda: now() - _DAY
    for name, module in list(sys.modules.items()):
        if name.startswith("boneage") and getattr(module, "datetime", None) is real:
            module.datetime = Behind


def _out_of_memory(case: Case) -> list[Ended]:
    """From the moment on there is a little memory left, or none."""
    spare = case.draw.choice((0, 2**20, 2**23, 2**25, 2**27))

    def limit() -> None:
        file = os.open("/proc/self/statm", os.O_RDONLY)
        taken = int(os.read(file, 100).split()[0]) * resource.getpagesize()
        os.close(file)
        resource.setrlimit(resource.RLIMIT_AS, (taken + spare, resource.RLIM_INFINITY))

    return [case.start(limit).end()]


def _changed(case: Case) -> list[Ended]:
    return [case.struck(lambda process: case.stage.change(case.arena))]


def _twice(case: Case) -> list[Ended]:
    """The same stage is started again: while the first stands still in the middle, or both at once."""
    first = case.start()
    is_struck = first.wait_until_struck()
    second = case.start(at=0)
    if not case.number % 2:
        # If the second waits for the first, the first has to go on.
        second.wait(_PATIENCE)
    if is_struck:
        first.go_on()
    return [first.end(), second.end()]


def _damaged(case: Case) -> list[Ended]:
    """A file of the stage before is cut in half, empty, or has zeros in its middle."""
    patterns = case.stage.reads
    pattern = patterns[case.number // 3 % len(patterns)]
    # A JPEG has no checksum: with zeros in its middle it is another picture.
    kinds = 2 if pattern.endswith(".jpg") else 3
    found = sorted(case.arena.box.glob(pattern))
    path = found[len(found) // 2]
    kept = case.arena.root / "undamaged"
    shutil.copy2(path, kept)
    data = path.read_bytes()
    half = len(data) // 2
    damages = (data[:half], b"", data[:half] + bytes(len(data) // 4) + data[half + len(data) // 4 :])
    path.write_bytes(damages[case.number % kinds])
    ended = case.start(at=0).end()
    shutil.copy2(kept, path)
    harmless = not differences(case.expected, case.arena.contents())
    if not ended.code and not harmless and lines(ended) == lines(case.undisturbed):
        case.complaints.append(f"{path.name} was damaged, and nothing was said")
    return [ended]


def lines(ended: Ended) -> set[str]:
    """What was said, without progress bars."""
    return {line for line in re.split(r"[\r\n]", ended.said) if line.strip() and "%|" not in line}


def _link_down(case: Case) -> list[Ended]:
    """The network goes down, for good or for a second."""
    if not shutil.which("ip") or not case.arena.has_own_network:
        raise Skipped("a network of its own is not permitted")

    def cut(process: Process) -> None:
        _link("down")
        if case.number % 2:
            process.go_on()
            time.sleep(1.0)
            _link("up")

    ended = case.struck(cut)
    _link("up")
    return [ended]


def _link(state: str) -> None:
    subprocess.run(["ip", "link", "set", "lo", state], check=True)


FAULTS = (
    Fault("kill -9", _kill, 10, is_violent=True),
    Fault("Ctrl-C", _interrupt),
    Fault("disk full", _full_disk),
    Fault("folder read-only", _read_only),
    Fault("work folder gone", _gone("work")),
    Fault("cache gone", _gone("cache")),
    Fault("clock back a day", _clock_back),
    Fault("out of memory", _out_of_memory, 4, is_violent=True),
    Fault("input changed", _changed, applies=lambda stage: stage.change is not None, changes=True),
    Fault("started twice", _twice),
    Fault("input damaged", _damaged, 9, applies=lambda stage: bool(stage.reads)),
    Fault("network down", _link_down, applies=lambda stage: stage.asks_network),
)
