"""Atomic file writes and hashes."""

import contextlib
import errno
import glob
import hashlib
import io
import os
import shutil
import tempfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO

import numpy as np
from filelock import FileLock, Timeout

from boneage.core.errors import BoneAgeError

_ADVICE = {
    errno.ENOSPC: "the disk is full; free some space and run the same again",
    errno.EDQUOT: "the quota is used up; free some space and run the same again",
    errno.EROFS: "the folder is read-only; choose another folder",
    errno.EACCES: "no permission to write there; choose another folder",
    errno.EPERM: "no permission to write there; choose another folder",
    errno.ENOTDIR: "part of that path is a file, not a folder; choose another folder",
    errno.EEXIST: "part of that path is a file, not a folder; choose another folder",
    errno.EISDIR: "a folder is in its place; move it away",
    errno.ENAMETOOLONG: "the name is too long; shorten it",
}


_ABANDONED_SECONDS = 3600

LIVING_SECONDS = 60.0
"""A temporary file of an image that was not written to for so long belongs to no living run."""

# Read once: it can only be read by changing it, which is not thread-safe.
_UMASK = os.umask(0)
os.umask(_UMASK)


def write_error(path: Path | str, error: OSError) -> BoneAgeError:
    """The one-line error for a failed write: what happened and what to do."""
    advice = _ADVICE.get(error.errno or 0) or f"{error.strerror or error}; choose another folder"
    return BoneAgeError(f"{path}: cannot be written: {advice}")


@contextlib.contextmanager
def writing(path: Path | str) -> Iterator[None]:
    """Turns an OSError in the block into the one-line error for a failed write to ``path``."""
    try:
        yield
    except OSError as error:
        raise write_error(path, error) from None


def make_folder(path: Path | str) -> Path:
    """Creates a folder and its parents if absent.

    Raises:
        BoneAgeError: It cannot be created, or a file is in the way.
    """
    with writing(path):
        Path(path).mkdir(parents=True, exist_ok=True)
    return Path(path)


@contextlib.contextmanager
def atomic_write(path: Path | str, sync: bool = True) -> Iterator[IO[bytes]]:
    """Opens a temporary file beside ``path`` and renames it to ``path`` at the end.

    If the block fails, ``path`` is unchanged. The file object's ``name`` is the temporary path, for libraries
    that write by name.

    Args:
        path: The target; its folder is created if absent.
        sync: Whether to fsync before the rename. Turn it off only for many small files that can be made
            again.

    Raises:
        BoneAgeError: The folder is read-only, or the disk is full.
    """
    path = Path(path)
    make_folder(path.parent)
    prefix = f".{path.stem[:40]}-"
    if sync:
        pattern = f"{glob.escape(prefix)}????????{glob.escape(path.suffix)}"
        remove_leftovers(path.parent, _ABANDONED_SECONDS, pattern)
    temporary = None
    try:
        with tempfile.NamedTemporaryFile(
            dir=path.parent, prefix=prefix, suffix=path.suffix, delete=False
        ) as file:
            temporary = file.name
            yield file
            file.flush()
            if sync:
                os.fsync(file.fileno())
        # Temporary files are created private to their owner; the final file follows the umask.
        os.chmod(temporary, 0o666 & ~_UMASK)
        os.replace(temporary, path)
        temporary = None
    except OSError as error:
        raise write_error(path, error) from None
    finally:
        if temporary is not None:
            with contextlib.suppress(OSError):
                os.unlink(temporary)


@contextlib.contextmanager
def one_at_a_time(path: Path) -> Iterator[None]:
    """Waits until no other process is at work on a file or folder, and keeps others waiting.

    Raises:
        BoneAgeError: The folder of ``path`` cannot be created or written.
    """
    make_folder(path.parent)
    lock = FileLock(path.with_name(f".{path.name}.lock"))
    with writing(path), contextlib.suppress(Timeout):
        lock.acquire(timeout=0)
    if not lock.is_locked:
        print(f"{path}: another process is at work on it; waiting for it")
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def remove_leftovers(folder: Path, older_than: float = 0.0, pattern: str = ".*-????????.???") -> None:
    """Removes temporary files of :func:`atomic_write` left by killed runs.

    Args:
        older_than: Seconds since the last write; a living run's files are younger.
    """
    for left in folder.glob(pattern):
        with contextlib.suppress(OSError):
            if time.time() - left.stat().st_mtime > older_than:
                left.unlink()


@contextlib.contextmanager
def folder_for_now(purpose: str) -> Iterator[Path]:
    """An empty folder among the system's temporary ones that is gone after the block.

    First removes what killed processes left in theirs for the same purpose: it may show a child.
    """
    prefix = f"boneage-{purpose}-"
    for left in Path(tempfile.gettempdir()).glob(f"{prefix}*"):
        with contextlib.suppress(OSError, Timeout):
            if not left.is_symlink() and time.time() - left.stat().st_mtime > LIVING_SECONDS:
                # A living process holds the lock.
                with FileLock(left / ".lock", timeout=0):
                    shutil.rmtree(left)
    with tempfile.TemporaryDirectory(prefix=prefix) as folder, FileLock(Path(folder) / ".lock"):
        yield make_folder(Path(folder) / "files")


def write_bytes(path: Path | str, data: bytes) -> Path:
    """Writes bytes atomically; see :func:`atomic_write`."""
    with atomic_write(path) as file:
        file.write(data)
    return Path(path)


def write_text(path: Path | str, text: str) -> Path:
    """Writes UTF-8 text atomically; see :func:`atomic_write`."""
    return write_bytes(path, text.encode("utf-8"))


def write_arrays(path: Path | str, **arrays: np.ndarray) -> Path:
    """Writes arrays as one ``.npz`` file, atomically; see :func:`atomic_write`."""
    # In memory, because NumPy would leave a traceback on the terminal where the disk is full.
    file = io.BytesIO()
    np.savez(file, **arrays)
    return write_bytes(path, file.getvalue())


def sha256_of(path: Path | str) -> str:
    """The SHA-256 of a file as 64 hexadecimal digits.

    Raises:
        BoneAgeError: The file cannot be read.
    """
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise BoneAgeError(f"{path}: cannot be read ({error.strerror})") from None


def digest_of_source(packages: Iterable[str]) -> str:
    """The SHA-256 of the modules of some of this project's packages."""
    source = Path(__file__).parents[1]
    modules = [path for package in packages for path in sorted((source / package).glob("*.py"))]
    return hashlib.sha256(b"".join(path.read_bytes() for path in modules)).hexdigest()
