"""Where the stages of the fault matrix run: a work folder, a cache, and real processes to be struck."""

import contextlib
import csv
import hashlib
import io
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
import traceback
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import h5py

from boneage.dataset.same_picture import CACHE_NAME

LONGEST_SECONDS = 900
"""After which a process counts as hanging."""

# What is done to files, each told by Python's audit hook just before it happens.
_WATCHED = ("open", "os.chmod", "os.mkdir", "os.remove", "os.rename", "os.truncate", "shutil.rmtree")

# What tells when something was made, and how fast, differs between any two runs.
_TIMES = {
    "made": ("at",),
    "record.json": ("started", "finished", "seconds_per_epoch", "images_per_second"),
    "history.csv": ("seconds", "training_seconds"),
    "fetched.csv": ("time",),
}

# What a run may leave beside what it makes, on purpose.
_KEPT_ASIDE = re.compile(r"runs-aside/|-corrected-\d+\.csv$|unlisted-preprocess\.csv$|\.(wrong|torn)$")


@dataclass(frozen=True)
class Ended:
    """How a process ended: its exit status (minus a signal), what it printed, if it was struck, how long
    it took, and how many events on files there were."""

    code: int
    said: str
    struck: bool
    seconds: float = 0.0
    events: int = 0

    @property
    def is_clean(self) -> bool:
        """Whether a person was told in plain words, if at all."""
        return self.code in (0, 2, 130) and "Traceback" not in self.said and "Error:" not in self.said

    @property
    def is_killed(self) -> bool:
        """Whether it was ended without a word, and not because it hung."""
        return self.code < 0 and self.code != -signal.SIGALRM


class Watch:
    """Counts what a process does to the files of the arena, and does something at a certain event."""

    def __init__(self, folders: tuple[str, ...], at: int = 0, strike: Callable[[], None] | None = None):
        self.count, self._folders, self.at, self.strike = 0, folders, at, strike

    def __call__(self, event: str, arguments: tuple) -> None:
        if event in _WATCHED and str(arguments[0]).startswith(self._folders):
            self.count += 1
            if self.count == self.at and self.strike is not None:
                self.strike()


class Process:
    """A verb of ``python -m boneage`` in a process of its own, forked from this one to save the imports.

    Args:
        arena: Where it runs.
        arguments: The words after ``python -m boneage``.
        at: The number of the event on files before which it is struck; 0 for never.
        strike: What it does to itself then; by default it waits for :meth:`go_on`.
        prepare: What it does first.
    """

    def __init__(
        self,
        arena: "Arena",
        arguments: list[str],
        at: int = 0,
        strike: Callable[[], None] | None = None,
        prepare: Callable[[], None] | None = None,
    ):
        self._output = arena.root / f"output-{random.getrandbits(40):x}"
        self._tell, told = os.pipe()
        answered, self._answer = os.pipe()
        self.began = time.monotonic()
        self.pid = os.fork()
        if self.pid:
            os.close(told)
            os.close(answered)
            return
        code = 1
        try:
            os.close(self._tell)
            os.close(self._answer)
            file = os.open(self._output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            os.dup2(file, 1)
            os.dup2(file, 2)
            signal.signal(signal.SIGINT, signal.default_int_handler)
            signal.alarm(LONGEST_SECONDS)

            def struck() -> None:
                os.write(told, b"s")
                strike() if strike else os.read(answered, 1)

            if prepare:
                prepare()
            watch = Watch(arena.watched, at, struck)
            sys.addaudithook(watch)
            from boneage.__main__ import main

            code = main(arguments)
            sys.stdout.flush()
            os.write(told, f"e{watch.count}".encode())
        except BaseException:
            traceback.print_exc()
            sys.stderr.flush()
        finally:
            os._exit(code)

    def wait_until_struck(self) -> bool:
        """Whether it came to the event; False if it ended before."""
        self._struck = os.read(self._tell, 1) == b"s"
        return self._struck

    def go_on(self) -> None:
        with contextlib.suppress(BrokenPipeError):
            os.write(self._answer, b"g")

    def wait(self, seconds: float) -> None:
        """Waits for its end, but no longer than that."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            if os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT):
                return
            time.sleep(0.05)

    def end(self) -> Ended:
        code = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        seconds = time.monotonic() - self.began
        told = b""
        while piece := os.read(self._tell, 64):
            told += piece
        os.close(self._tell)
        os.close(self._answer)
        said = self._output.read_text(errors="replace")
        self._output.unlink()
        struck = getattr(self, "_struck", False) or told.startswith(b"s")
        events = re.search(rb"(\d+)$", told)
        return Ended(code, said, struck, seconds, int(events[1]) if events else 0)


class Arena:
    """A work folder and its cache, always at the same place, as paths are written into tables.

    Attributes:
        root: What is beside them: what is kept, outputs, and the source's files.
        box: What holds both.
    """

    def __init__(self, root: Path):
        self.root, self.box, self.kept = root, root / "box", root / "kept"
        self.work, self.cache, self.data = self.box / "work", self.box / "cache", root / "data"
        self.watched = (f"{self.box}{os.sep}", f"{self.data}{os.sep}")

    def run(self, arguments: list[str], **how: object) -> Ended:
        """Does a verb to its end, undisturbed unless told otherwise."""
        return Process(self, arguments, **how).end()

    def keep(self, name: str) -> None:
        """Keeps everything as it stands, to begin again from it."""
        copy(self.box, self.kept / name)

    def begin(self, name: str) -> None:
        """Puts everything as it was kept."""
        copy(self.kept / name, self.box)

    @contextlib.contextmanager
    def small_disk(self, name: str, spare_bytes: int) -> Iterator[bool]:
        """The box on a disk of its own, with little to spare; yields whether it could be mounted."""
        remove(self.box)
        self.box.mkdir()
        size = disk_usage(self.kept / name) + spare_bytes
        options = ["-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(self.box)]
        mount = shutil.which("mount")
        if mount is None or subprocess.run([mount, *options], capture_output=True).returncode:
            yield False
            return
        try:
            subprocess.run(["cp", "-a", f"{self.kept / name}/.", str(self.box)], check=True)
            yield True
            copy(self.box, self.root / "from-disk")
        finally:
            subprocess.run(["umount", "--lazy", str(self.box)], check=True)
        copy(self.root / "from-disk", self.box)

    def an_hour_later(self) -> None:
        """Leftovers of a killed process are removed when no living one can be at work on them."""
        for path in self.box.rglob(".*"):
            with contextlib.suppress(OSError):
                os.utime(path, (time.time() - 7200,) * 2)

    def contents(self) -> dict[str, str]:
        """What every file holds but for times, by its path in the box."""
        # What was seen of the images that were last asked for decides nothing, and is made again where it
        # lacks one.
        files = sorted(one for one in self.box.rglob("*") if one.is_file() and one.name != CACHE_NAME)
        return {path.relative_to(self.box).as_posix(): content(path) for path in files}

    def decisions(self) -> bytes:
        """The review log as it lies there."""
        log = self.work / "review.csv"
        return log.read_bytes() if log.is_file() else b""

    def epochs(self) -> set[tuple[str, int, str]]:
        """Every finished epoch of every run, told from one trained again by its seconds."""
        found = set()

        def name_of(run: Path) -> str:
            # A run that was trained on other labels, such as damaged ones, is kept with a number.
            return run.name.rpartition("-")[0] if run.parent.name == "runs-aside" else run.name

        for path in self.box.rglob("checkpoint/*.json"):
            if path.name in ("state.json", "before.json"):
                with contextlib.suppress(ValueError, KeyError):
                    rows = json.loads(path.read_text())["history"]
                    found |= {(name_of(path.parents[1]), row["epoch"], repr(row["seconds"])) for row in rows}
        for path in self.box.rglob("history.csv"):
            for row in csv.DictReader(io.StringIO(path.read_text())):
                found.add((name_of(path.parent), int(row["epoch"]), repr(float(row["seconds"]))))
        return found


def copy(source: Path, target: Path) -> None:
    """Copies a folder with the times of its files."""
    remove(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    subprocess.run(["cp", "-a", str(source), str(target)], check=True)


def remove(folder: Path) -> None:
    subprocess.run(["rm", "-rf", str(folder)], check=True)


def disk_usage(folder: Path) -> int:
    # What a disk in memory needs: whole pages.
    return sum(-(-path.lstat().st_size // 4096) * 4096 + 4096 for path in folder.rglob("*"))


def content(path: Path) -> str:
    """A digest of a file's bytes; of those that tell times, of the rest."""
    if path.suffix == ".keras":
        return hashlib.sha256(repr(_weights(path)).encode()).hexdigest()
    data = path.read_bytes()
    times = _TIMES.get(path.name) or _TIMES.get(path.parent.name)
    if times and path.suffix == ".json":
        known = json.loads(data)
        data = json.dumps({name: value for name, value in known.items() if name not in times}).encode()
    elif times and path.suffix == ".csv":
        rows = list(csv.DictReader(io.StringIO(data.decode())))
        data = repr([{k: v for k, v in row.items() if k not in times} for row in rows]).encode()
    elif path.name == "card.md":
        data = re.sub(rb"\d{4}-\d\d-\d\dT[\d:+]+", b"", data)
    elif path.name == "index.json":
        # What was packed is known by when it was written.
        data = re.sub(rb'"of":"\w*"', b"", data)
    return hashlib.sha256(data).hexdigest()


def _weights(model: Path) -> list[tuple[str, bytes]]:
    """Every array of a model; the rest tells dates, and how often layers were built before."""
    found = []

    def add(name: str, one: h5py.Dataset | h5py.Group) -> None:
        if isinstance(one, h5py.Dataset):
            found.append((name, one[()].tobytes()))

    with zipfile.ZipFile(model) as parts, h5py.File(io.BytesIO(parts.read("model.weights.h5"))) as file:
        file.visititems(add)
    return sorted(found)


def differences(expected: dict[str, str], found: dict[str, str]) -> list[str]:
    """In words, the files that are missing, differ, or should not be there."""
    words = [f"{name} is missing" for name in expected if name not in found]
    words += [f"{name} differs" for name in expected if name in found and found[name] != expected[name]]
    extra = [name for name in found if name not in expected and not _KEPT_ASIDE.search(name)]
    return words + [f"{name} is left over" for name in extra]
