"""Archives from elsewhere, unpacked whole or not at all, and never outside the folder they belong in."""

import contextlib
import gzip
import io
import json
import lzma
import os
import re
import shutil
import stat
import struct
import tarfile
import unicodedata
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from filelock import FileLock
from tqdm.auto import tqdm

from boneage.core.errors import BoneAgeError
from boneage.core.files import make_folder, sha256_of, write_error, write_text, writing

LARGEST_UNPACKED_BYTES = 64 * 2**30
"""The RSNA training archive, the largest of the manifest, unpacks to about 10 GiB."""
MOST_MEMBERS = 200_000
HIGHEST_RATIO = 200
"""Photos hardly compress; DEFLATE's own limit, which bombs come near, is 1032."""

BY_HAND = "unpack it and name the folder that comes out"
"""What to do with an archive that is not read."""

STAMP = ".unpacked.json"

_READ = ("zip", "tar.gz", "tar")
# How others begin, by the lists of signatures of their makers.
_FOREIGN = {
    b"7z\xbc\xaf\x27\x1c": "7z",
    b"Rar!\x1a\x07": "rar",
    b"BZh": "bzip2",
    b"\xfd7zXZ\0": "xz",
    b"\x28\xb5\x2f\xfd": "zstd",
}
# A folder's mark in the attributes of MS-DOS, which Windows still writes.
_DOS_FOLDER = 0x10
_UTF8_NAMES = 0x800
# What macOS adds beside every file; it holds no picture.
_MACOS_NOTES = "__macosx"

_SMALLEST_BOMB_BYTES = 16 * 2**20
_CHUNK = 2**20
_BROKEN = (
    zipfile.BadZipFile,
    tarfile.TarError,
    EOFError,
    zlib.error,
    lzma.LZMAError,
    struct.error,
    OSError,
    NotImplementedError,
    RuntimeError,
    ValueError,
)


class Broken(BoneAgeError):
    """An archive that is damaged or cut off: fetched again it may be whole."""


@dataclass(frozen=True)
class _Member:
    name: str
    is_folder: bool
    size: int
    open: Callable[[], IO[bytes]]


def is_archive(path: Path | str) -> bool:
    """Whether a file begins like a zip, a gzip or a tar; says nothing of what comes after."""
    return _kind_of(Path(path)) in _READ


def foreign_archive(path: Path | str) -> str | None:
    """The name of the kind of archive that a file is, where it is one that :func:`unpack` does not read."""
    kind = _kind_of(Path(path))
    return None if kind in _READ else kind


def unpack(archive: Path | str, folder: Path | str, largest_bytes: int = LARGEST_UNPACKED_BYTES) -> Path:
    """Unpacks a zip, tar or tar.gz into a folder.

    The members go to a temporary folder beside the target, which is renamed when all are there; an
    interrupted run leaves the target as it was. A target that the same archive was unpacked to before
    (by size and SHA-256) is left alone; one that another archive was unpacked to is replaced.

    Args:
        archive: The archive.
        folder: The folder to make; must be absent, empty, or made by this function.
        largest_bytes: The most that may come out.

    Returns:
        The folder.

    Raises:
        Broken: Damaged or truncated.
        BoneAgeError: Not an archive, encrypted, larger than allowed when unpacked, or a member
            that climbs out, is a link or a device, or has the name of another; the folder holds something
            else; the disk is full or read-only.
    """
    archive, folder = Path(archive), Path(os.path.abspath(folder))
    stamp = json.dumps({"sha256": sha256_of(archive), "bytes": archive.stat().st_size})
    make_folder(folder.parent)
    with _locked(folder):
        found = _stamp_of(folder)
        if found == stamp:
            return folder
        if not found and folder.exists() and not (folder.is_dir() and not os.listdir(folder)):
            raise BoneAgeError(f"{folder}: holds something else; move it away or choose another work folder")
        fresh, old = (folder.with_name(f".{folder.name}.{word}") for word in ("unpacking", "old"))
        try:
            # What a killed run left behind.
            _remove(fresh)
            _remove(old)
            _write_members(archive, fresh, largest_bytes)
            write_text(fresh / STAMP, stamp)
            if folder.exists():
                folder.rename(old)
            fresh.rename(folder)
        except OSError as error:
            raise write_error(folder, error) from None
        finally:
            for path in (fresh, old):
                with contextlib.suppress(OSError):
                    _remove(path)
    return folder


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Lets one process at a time unpack into a folder."""
    lock = FileLock(folder.with_name(f".{folder.name}.lock"))
    try:
        lock.acquire()
    except OSError as error:
        raise write_error(folder, error) from None
    try:
        yield
    finally:
        lock.release()


def _stamp_of(folder: Path) -> str:
    try:
        return (folder / STAMP).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return ""


def _remove(folder: Path) -> None:
    if folder.exists():
        shutil.rmtree(folder)


def _kind_to_read(archive: Path) -> str:
    kind = _kind_of(archive)
    if kind is None:
        raise BoneAgeError(
            f"{archive}: not a zip or tar.gz archive (a web page saved under that name?); fetch it again"
        )
    if kind not in _READ:
        raise BoneAgeError(f"{archive}: a {kind} archive, which is not read; {BY_HAND}")
    return kind


def _kind_of(archive: Path) -> str | None:
    try:
        with open(archive, "rb") as file:
            start = file.read(512)
    except OSError as error:
        raise BoneAgeError(f"{archive}: cannot be read ({error.strerror}); check the path") from None
    if start[:4] in (b"PK\x03\x04", b"PK\x05\x06"):
        return "zip"
    if start[:2] == b"\x1f\x8b":
        return "tar.gz"
    if start[257:262] == b"ustar":
        return "tar"
    return next((kind for sign, kind in _FOREIGN.items() if start.startswith(sign)), None)


def _write_members(archive: Path, folder: Path, largest_bytes: int) -> None:
    kind = _kind_to_read(archive)
    compressed = archive.stat().st_size
    taken: dict[str, bool] = {}
    total = 0
    name = ""
    with writing(folder):
        folder.mkdir(parents=True)
    try:
        with _opened(archive, kind) as (members, declared), _bar(archive, declared) as bar:
            _check_size(archive, "", declared, compressed, largest_bytes)
            for count, member in enumerate(members):
                name = member.name
                if count >= MOST_MEMBERS:
                    raise BoneAgeError(f"{archive}: more than {MOST_MEMBERS} members; not unpacked")
                parts = _safe_parts(archive, member, taken)
                if parts and parts[0].casefold() == _MACOS_NOTES:
                    continue
                path = folder.joinpath(*parts)
                total += member.size
                _check_size(archive, name, total, compressed, largest_bytes)
                with writing(path):
                    (path if member.is_folder else path.parent).mkdir(parents=True, exist_ok=True)
                if not member.is_folder:
                    _copy(archive, member, path, bar)
    except _BROKEN as error:
        raise _broken(archive, name, error) from None


def _copy(archive: Path, member: _Member, path: Path, bar: tqdm) -> None:
    """Writes one member, no more than it declared."""
    written = 0
    with writing(path), open(path, "xb") as file:
        for chunk in _chunks(archive, member):
            written += len(chunk)
            if written > member.size:
                raise BoneAgeError(f"{_where(archive, member.name)}: larger than it declares; not unpacked")
            file.write(chunk)
            bar.update(len(chunk))
    if written < member.size:
        raise EOFError(f"{written} of {member.size} bytes")


def _chunks(archive: Path, member: _Member) -> Iterator[bytes]:
    """The bytes of a member; what goes wrong in reading them is told apart from what does in writing."""
    try:
        with member.open() as source:
            while chunk := source.read(_CHUNK):
                yield chunk
    except _BROKEN as error:
        raise _broken(archive, member.name, error) from None


def _broken(archive: Path, name: str, error: Exception) -> BoneAgeError:
    reason = " ".join(str(error).split()) or type(error).__name__
    if isinstance(error, NotImplementedError):
        # Windows packs what is larger than 2 GiB by Deflate64, which Python does not know.
        return BoneAgeError(
            f"{_where(archive, name)}: packed in a way that is not read ({reason}); {BY_HAND}"
        )
    if "multiple disks" in reason:
        return BoneAgeError(f"{archive}: one part of a zip in several; {BY_HAND}")
    return Broken(f"{_where(archive, name)}: broken or cut off ({reason}); fetch it again")


def _where(archive: Path, name: str) -> str:
    """An archive, and the member if one is meant, as one line of plain text."""
    return f"{archive}, member {name if name.isprintable() else ascii(name)}" if name else str(archive)


def _check_size(archive: Path, name: str, total: int, compressed: int, largest_bytes: int) -> None:
    where = _where(archive, name)
    if total > largest_bytes:
        raise BoneAgeError(f"{where}: unpacks to more than {largest_bytes / 2**30:.3g} GiB; not unpacked")
    if total > _SMALLEST_BOMB_BYTES and total > HIGHEST_RATIO * compressed:
        raise BoneAgeError(
            f"{where}: unpacks to more than {HIGHEST_RATIO} times its size, as no photos do; not unpacked"
        )


def _safe_parts(archive: Path, member: _Member, taken: dict[str, bool]) -> list[str]:
    """The member's path below the folder as parts.

    Args:
        archive: For the error.
        member: The member.
        taken: The paths so far, without regard to case, and whether each is a folder; this one is added.

    Raises:
        BoneAgeError: It climbs out, is absolute, or its name is taken.
    """
    where = _where(archive, member.name)
    name = member.name.replace("\\", "/")
    parts = [part for part in name.split("/") if part not in ("", ".")]
    if re.match("/|[A-Za-z]:", name):
        raise BoneAgeError(
            f"{where}: named from the root of a disk, so it would not stay in its folder; not unpacked, pack "
            f"the folder itself anew, or {BY_HAND}"
        )
    if ".." in parts or "\0" in name:
        raise BoneAgeError(f"{where}: climbs out of its folder; not unpacked, get the archive elsewhere")
    if not parts and not member.is_folder:
        raise BoneAgeError(f"{where}: has no name; not unpacked, get the archive elsewhere")
    keys = [unicodedata.normalize("NFC", "/".join(parts[: i + 1])).casefold() for i in range(len(parts))]
    for index, key in enumerate(keys):
        is_folder = index < len(keys) - 1 or member.is_folder
        if key in taken and not (is_folder and taken[key]):
            raise BoneAgeError(
                f"{where}: another member has that name (capitals do not count); not unpacked, "
                "rename one of them"
            )
        taken[key] = is_folder
    return parts


@contextlib.contextmanager
def _opened(archive: Path, kind: str) -> Iterator[tuple[Iterator[_Member], int]]:
    """The members of an archive and the bytes they declare in all (0 where only reading on tells)."""
    if kind == "zip":
        with zipfile.ZipFile(archive) as file:
            infos = file.infolist()
            if sum(info.compress_size for info in infos) > archive.stat().st_size:
                raise BoneAgeError(f"{archive}: its members overlap, as in a zip bomb; not unpacked")
            yield (_zip_member(archive, file, info) for info in infos), sum(i.file_size for i in infos)
    else:
        opener = _BoundedGzip if kind == "tar.gz" else _BoundedFile
        with opener(archive, "rb") as stream, tarfile.open(fileobj=stream, mode="r:") as file:
            yield _tar_members(archive, file, stream), 0


def _zip_member(archive: Path, file: zipfile.ZipFile, info: zipfile.ZipInfo) -> _Member:
    where = _where(archive, info.orig_filename)
    kind = stat.S_IFMT(info.external_attr >> 16)
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise BoneAgeError(f"{where}: a link or a device; not unpacked, get the archive elsewhere")
    if info.flag_bits & 1:
        raise BoneAgeError(f"{where}: encrypted; unpack it with its password and name the folder")
    name = _zip_name(info)
    # Windows writes folders as "img\\", or says so in the attributes alone.
    is_folder = name.endswith(("/", "\\")) or (info.external_attr & _DOS_FOLDER and not info.file_size)
    return _Member(name, bool(is_folder), info.file_size, lambda: file.open(info))


def _zip_name(info: zipfile.ZipInfo) -> str:
    """A member's name; macOS writes UTF-8 without the mark that says so, and Python reads that as cp437."""
    if info.flag_bits & _UTF8_NAMES:
        return info.orig_filename
    try:
        return info.orig_filename.encode("cp437").decode("utf-8")
    except UnicodeError:
        return info.orig_filename


def _tar_members(archive: Path, file: tarfile.TarFile, stream: IO[bytes]) -> Iterator[_Member]:
    for info in file:
        yield _tar_member(archive, file, info)
    # tarfile takes a spoilt header for the end; the true end is zeros.
    stream.seek(file.offset)
    rest = stream.read(tarfile.RECORDSIZE)
    if len(rest) < tarfile.BLOCKSIZE or rest.strip(b"\0"):
        raise tarfile.ReadError("it does not end as a tar does")


def _tar_member(archive: Path, file: tarfile.TarFile, info: tarfile.TarInfo) -> _Member:
    # A sparse member's size is no measure of what it takes in the archive.
    if not (info.isdir() or info.isreg()) or info.issparse():
        where = _where(archive, info.name)
        raise BoneAgeError(f"{where}: a link or a device; not unpacked, get the archive elsewhere")
    return _Member(info.name, info.isdir(), info.size, lambda: file.extractfile(info))


class _Bounded:
    """Refuses the reading of a whole header at once that a hostile tar declares to be gigabytes long."""

    def read(self, size: int = -1) -> bytes:
        if not 0 <= size <= 2 * _CHUNK:
            raise tarfile.ReadError("a header of impossible length")
        return super().read(size)


class _BoundedGzip(_Bounded, gzip.GzipFile):
    pass


class _BoundedFile(_Bounded, io.FileIO):
    pass


def _bar(archive: Path, total: int) -> tqdm:
    return tqdm(total=total or None, desc=f"Unpacking {archive.name}", unit="B", unit_scale=True, leave=False)
