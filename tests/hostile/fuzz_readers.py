"""Fuzzes the readers of images: files that are valid but for some bytes.

    PYTHONPATH=src:tests python tests/hostile/fuzz_readers.py --minutes 10 --keep FOLDER

Each input follows from its number alone, and is read by a process of its own with little memory. It must come
to an image or a BoneAgeError, within seconds; inputs that do anything else are told, and kept in the folder.
"""

import argparse
import contextlib
import multiprocessing
import os
import random
import resource
import struct
import sys
import time
import warnings
import zlib
from collections import Counter
from pathlib import Path

import pydicom
from seeds import seeds

from boneage.core.errors import BoneAgeError
from boneage.images.reading import read_grey

LARGEST_SEED_BYTES = 300_000
MEMORY_BYTES = 4 * 2**30
LONGEST_SECONDS = 8.0
# Above what the process has when it starts.
MOST_RESIDENT_KIB = 700 * 2**10

_TELLING = (0, 1, 0x7F, 0x80, 0xFE, 0xFF)
_TELLING_WORDS = (0, 1, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)
_PNG = b"\x89PNG\r\n\x1a\n"


def valid_files() -> list[tuple[str, bytes]]:
    """Our own small files, and those of pydicom's tests that are read: kinds that nothing here can write."""
    found = sorted(seeds().items())
    for path in sorted(Path(pydicom.__file__).parent.glob("data/test_files/*.dcm")):
        data = path.read_bytes()
        with contextlib.suppress(BoneAgeError):
            if len(data) <= LARGEST_SEED_BYTES:
                read_grey(data, path.name)
                found.append((path.name, data))
    return found


def fuzzed(number: int, valid: list[tuple[str, bytes]]) -> tuple[str, bytes]:
    """The input of a number: name and bytes."""
    rng = random.Random(number)
    name, whole = valid[number % len(valid)]
    data = bytearray(whole)
    for _ in range(1 + int(rng.expovariate(0.5))):
        if not data:
            break
        # Headers decide more than pixels do.
        reach = len(data) if rng.random() < 0.5 else min(len(data), 600)
        _change(data, rng.randrange(reach), rng, valid)
    changed = bytes(data)
    return name, _with_checksums(changed) if changed.startswith(_PNG) and rng.random() < 0.7 else changed


def _change(data: bytearray, at: int, rng: random.Random, valid: list[tuple[str, bytes]]) -> None:
    kind = rng.randrange(9)
    length = min(1 + int(rng.expovariate(0.1)), len(data) - at)
    if kind == 0:
        data[at] ^= 1 << rng.randrange(8)
    elif kind == 1:
        data[at] = rng.choice(_TELLING)
    elif kind == 2:
        data[at] = rng.randrange(256)
    elif kind == 3:
        word = rng.choice(_TELLING_WORDS)
        order, width = rng.choice("<>"), rng.choice("HI")
        packed = struct.pack(order + width, word & (0xFFFF if width == "H" else 0xFFFFFFFF))
        data[at : at + len(packed)] = packed
    elif kind == 4:
        del data[at : at + length]
    elif kind == 5:
        data[at:at] = data[at : at + length] * rng.choice((1, 1, 1, 50))
    elif kind == 6:
        data[at:at] = rng.randbytes(length)
    elif kind == 7:
        other = rng.choice(valid)[1]
        start = rng.randrange(len(other))
        data[at : at + length] = other[start : start + length]
    elif rng.random() < 0.3:
        del data[at:]


def _with_checksums(data: bytes) -> bytes:
    """A PNG whose checksums are right, so that it is read further."""
    out, at = [_PNG], len(_PNG)
    while at + 12 <= len(data):
        length = int.from_bytes(data[at : at + 4], "big")
        chunk = data[at + 4 : at + 8 + length]
        out.append(data[at : at + 4] + chunk + zlib.crc32(chunk).to_bytes(4, "big"))
        at += 12 + length
    return b"".join([*out, data[at:]])


def _read_some(start: int, stop: int, valid: list, at: object, said: object) -> None:
    """Reads the inputs from a number on, as long as nothing falls out."""
    warnings.simplefilter("ignore")
    for name, data in valid:
        read_grey(data, name)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resident = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    counts: Counter[str] = Counter()
    for number in range(start, stop):
        at.value = number
        name, data = fuzzed(number, valid)
        fault = ""
        try:
            grey, _ = read_grey(data, name)
            counts["read"] += 1
            if grey.ndim != 2 or grey.dtype.name not in ("uint8", "uint16") or min(grey.shape) < 1:
                fault = f"an image of {grey.dtype} {grey.shape}"
        except BoneAgeError as error:
            counts["refused"] += 1
            if "\n" in str(error) or not str(error).startswith(f"{name}: "):
                fault = f"an error that does not name the file, or is of several lines: {error}"
        except BaseException as error:
            fault = f"{type(error).__name__}: {error}"
        more = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - resident
        if more > MOST_RESIDENT_KIB:
            fault = fault or f"{more // 2**10} MiB of memory"
        if fault or number % 2000 == 1999 or number + 1 == stop:
            said.put((number, dict(counts), fault))
            counts.clear()
        if fault:
            break


def _seconds_used(process: int) -> float:
    """Processor time of a process, which on a busy machine is less than what has passed."""
    try:
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--first", type=int, default=0, help="number of the first input")
    parser.add_argument(
        "--keep", type=Path, default=Path("work/fuzzed"), help="where inputs go that fall out"
    )
    parser.add_argument("--only", default="", help="only seeds whose name holds this text")
    given = parser.parse_args()
    valid = [one for one in valid_files() if given.only in one[0]]
    counts: Counter[str] = Counter()
    context = multiprocessing.get_context("spawn")
    number, until, failures = given.first, time.monotonic() + 60 * given.minutes, 0
    while time.monotonic() < until:
        at, said = context.Value("q", number, lock=False), context.Queue()
        worker = context.Process(target=_read_some, args=(number, 2**62, valid, at, said), daemon=True)
        worker.start()
        fault, last, since, begun = "", -1, 0.0, False
        while time.monotonic() < until and not fault:
            worker.join(0.2)
            while not said.empty():
                _, some, fault = said.get()
                counts.update(some)
            if at.value != last:
                begun, last, since = begun or at.value > number, at.value, _seconds_used(worker.pid)
            elif begun and _seconds_used(worker.pid) - since > LONGEST_SECONDS:
                fault = fault or f"no answer in {LONGEST_SECONDS:.0f} seconds"
            if not worker.is_alive() and not fault:
                fault = f"the process ended with {worker.exitcode}"
        done = at.value
        if worker.is_alive():
            worker.kill()
            worker.join()
        counts["inputs"] += done - number + bool(fault)
        if fault:
            failures += 1
            name, data = fuzzed(done, valid)
            given.keep.mkdir(parents=True, exist_ok=True)
            (given.keep / f"{done}-{name}").write_bytes(data)
            print(f"{done} {name}: {fault}", flush=True)
        number = done + 1
    print(
        f"{counts['inputs']} inputs from {len(valid)} seeds ({counts['read']} or more read, "
        f"{counts['refused']} or more refused), {failures} fell out"
    )
    return bool(failures)


if __name__ == "__main__":
    sys.exit(main())
