"""Safe unpacking of untrusted archives: all or nothing, and never outside the target folder."""

import errno
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
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from tqdm.auto import tqdm

from boneage.core.errors import BoneAgeError
from boneage.core.files import one_at_a_time, sha256_of, write_error, write_text, writing

T = TypeVar("T")

LARGEST_UNPACKED_BYTES = 64 * 2**30
"""The RSNA training archive, the largest of the manifest, unpacks to about 10 GiB."""
MOST_MEMBERS = 200_000
HIGHEST_RATIO = 200
"""Images hardly compress; bombs come near DEFLATE's limit of 1032."""

BY_HAND = "unpack it and give the resulting folder"
"""What to do with an unsupported archive."""

STAMP = ".unpacked.json"

_READ = ("zip", "tar.gz", "tar")
# Signatures of other formats.
_FOREIGN = {
    b"7z\xbc\xaf\x27\x1c": "7z",
    b"Rar!\x1a\x07": "rar",
    b"BZh": "bzip2",
    b"\xfd7zXZ\0": "xz",
    b"\x28\xb5\x2f\xfd": "zstd",
}
# The MS-DOS folder attribute, which Windows still writes.
_DOS_FOLDER = 0x10
_UTF8_NAMES = 0x800
# What macOS adds beside every file; never an image.
_MACOS_NOTES = "__macosx"

_SMALLEST_BOMB_BYTES = 16 * 2**20
_LONGEST_HEADER = 2 * 2**20
_BROKEN = (
    zipfile.BadZipFile,
    tarfile.TarError,
    EOFError,
    zlib.error,
    lzma.LZMAError,
    struct.error,
    NotImplementedError,
    RuntimeError,
    ValueError,
)


class Broken(BoneAgeError):
    """A damaged or truncated archive; fetching it again may help."""


def is_archive(path: Path | str) -> bool:
    """Whether a file begins like a zip, gzip or tar."""
    return _kind_of(Path(path)) in _READ


def foreign_archive(path: Path | str) -> str | None:
    """The kind of archive, if it is one that :func:`unpack` does not support."""
    kind = _kind_of(Path(path))
    return None if kind in _READ else kind


def unpack(archive: Path | str, folder: Path | str, largest_bytes: int = LARGEST_UNPACKED_BYTES) -> Path:
    """Unpacks a zip, tar or tar.gz into a folder and returns the folder.

    Members go to a temporary folder beside the target, which is renamed at the end, so an interrupted run
    leaves the target as it was. A target from the same archive (by size and SHA-256) is kept; one from
    another archive is replaced.

    Raises:
        Broken: Damaged or truncated.
        BoneAgeError: Not an archive, encrypted, over ``largest_bytes`` unpacked, a member that is a link or a
            device, leaves the folder or repeats a name; the folder holds something else; disk full or
            read-only.
    """
    archive, folder = Path(archive), Path(os.path.abspath(folder))
    stamp = _stamp(archive)
    with one_at_a_time(folder), writing(folder):
        found = _stamp_of(folder)
        if found == stamp:
            return folder
        if not found and folder.exists() and not (folder.is_dir() and not os.listdir(folder)):
            raise BoneAgeError(f"{folder}: holds something else; move it away or choose another work folder")
        fresh, old = (folder.with_name(f".{folder.name}.{word}") for word in ("unpacking", "old"))
        try:
            # Left by a killed run.
            for path in (fresh, old):
                shutil.rmtree(path, ignore_errors=True)
            _write_members(archive, fresh, largest_bytes)
            write_text(fresh / STAMP, stamp)
            if folder.exists():
                folder.rename(old)
            fresh.rename(folder)
        finally:
            for path in (fresh, old):
                shutil.rmtree(path, ignore_errors=True)
    return folder


def is_unpacked(archive: Path, folder: Path) -> bool:
    """Whether a folder is what :func:`unpack` made of this very archive."""
    found = _stamp_of(folder)
    return bool(found) and found == _stamp(archive)


def _stamp(archive: Path) -> str:
    return json.dumps({"sha256": sha256_of(archive), "bytes": archive.stat().st_size})


def _stamp_of(folder: Path) -> str:
    try:
        return (folder / STAMP).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return ""


def _kind_to_read(archive: Path) -> str:
    kind = _kind_of(archive)
    if kind is None:
        raise BoneAgeError(
            f"{archive}: not a zip or tar.gz archive (a web page saved under that name?); fetch it again"
        )
    if kind not in _READ:
        raise BoneAgeError(f"{archive}: a {kind} archive, which is not supported; {BY_HAND}")
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
    members = _Members(archive, largest_bytes)
    try:
        folder.mkdir(parents=True)
        if kind == "zip":
            _extract_zip(archive, folder, members)
        else:
            _extract_tar(archive, folder, members, kind)
    except _BROKEN as error:
        raise _broken(archive, members.name, error) from None
    except OSError as error:
        # Not a gzip, or a seek before the start of the file: these are OSErrors too.
        if error.errno in (None, errno.EINVAL):
            raise _broken(archive, members.name, error) from None
        raise write_error(folder / members.name, error) from None


@dataclass
class _Members:
    """Checks the members of an archive: unique names, all within the folder, total within the caps.

    Neither zipfile nor tarfile writes more of a member than its declared size.
    """

    archive: Path
    largest_bytes: int
    name: str = ""
    count: int = 0
    total: int = 0
    taken: dict[str, bool] = field(default_factory=dict)

    def place(self, name: str, size: int, is_folder: bool, is_other: bool) -> str:
        """The next member's path below the folder, "" if it is not wanted; ``size`` is the declared one, in
        bytes.

        Raises:
            BoneAgeError: Leaves the folder, absolute, a link or device, a repeated name, or too much in all.
        """
        self.name, self.count, self.total = name, self.count + 1, self.total + size
        where = _where(self.archive, name)
        if is_other:
            raise BoneAgeError(f"{where}: a link or a device; not unpacked, get the archive elsewhere")
        if self.count > MOST_MEMBERS:
            raise BoneAgeError(f"{self.archive}: more than {MOST_MEMBERS} members; not unpacked")
        if self.total > self.largest_bytes:
            most = f"{self.largest_bytes / 2**30:.3g} GiB"
            raise BoneAgeError(f"{where}: unpacks to more than {most}; not unpacked")
        if self.total > max(_SMALLEST_BOMB_BYTES, HIGHEST_RATIO * self.archive.stat().st_size):
            raise BoneAgeError(
                f"{where}: unpacks to more than {HIGHEST_RATIO} times its size, unlike images; not unpacked"
            )
        name = name.replace("\\", "/")
        parts = [part for part in name.split("/") if part not in ("", ".")]
        if re.match("/|[A-Za-z]:", name):
            raise BoneAgeError(
                f"{where}: has an absolute path; not unpacked, pack the folder itself again, or {BY_HAND}"
            )
        if ".." in parts or "\0" in name:
            raise BoneAgeError(f"{where}: leaves the folder; not unpacked, get the archive elsewhere")
        if not parts and not is_folder:
            raise BoneAgeError(f"{where}: has no name; not unpacked, get the archive elsewhere")
        self._take(parts, is_folder)
        return "" if not parts or parts[0].casefold() == _MACOS_NOTES else "/".join(parts)

    def _take(self, parts: list[str], is_folder: bool) -> None:
        """Registers a path and its parents, ignoring case."""
        for count in range(1, len(parts) + 1):
            key = unicodedata.normalize("NFC", "/".join(parts[:count])).casefold()
            is_one = is_folder or count < len(parts)
            if key in self.taken and not (is_one and self.taken[key]):
                where = _where(self.archive, self.name)
                raise BoneAgeError(
                    f"{where}: another member has this name (ignoring case); not unpacked, rename one of them"
                )
            self.taken[key] = is_one


def _extract_zip(archive: Path, folder: Path, members: _Members) -> None:
    with zipfile.ZipFile(archive) as file:
        for info in _bar(archive, file.infolist()):
            kind = stat.S_IFMT(info.external_attr >> 16)
            name = _zip_name(info)
            # Windows writes folders as "img\\", or marks them in the attributes only.
            is_folder = name.endswith(("/", "\\")) or bool(
                info.external_attr & _DOS_FOLDER and not info.file_size
            )
            is_other = kind not in (0, stat.S_IFREG, stat.S_IFDIR)
            place = members.place(name, info.file_size, is_folder, is_other)
            if info.flag_bits & 1:
                where = _where(archive, name)
                raise BoneAgeError(f"{where}: encrypted; unpack it with its password and give the folder")
            if place:
                info.filename = f"{place}/" if is_folder else place
                file.extract(info, folder)


def _extract_tar(archive: Path, folder: Path, members: _Members, kind: str) -> None:
    opener = _BoundedGzip if kind == "tar.gz" else _BoundedFile
    with opener(archive, "rb") as stream, tarfile.open(fileobj=stream, mode="r:") as file:
        # In Python since 3.11.4; Debian 12 has 3.11.2.
        file.extraction_filter = getattr(tarfile, "data_filter", None)
        for info in _bar(archive, file):
            # A sparse member's size says nothing about the space it takes in the archive.
            is_other = not (info.isdir() or info.isreg()) or info.issparse()
            if place := members.place(info.name, info.size, info.isdir(), is_other):
                info.name = place
                file.extract(info, folder)
        # tarfile takes a damaged header for the end; the true end is zeros.
        stream.seek(file.offset)
        rest = stream.read(tarfile.RECORDSIZE)
        if len(rest) < tarfile.BLOCKSIZE or rest.strip(b"\0"):
            raise tarfile.ReadError("it has no proper end")


def _bar(archive: Path, members: Iterable[T]) -> Iterable[T]:
    return tqdm(members, f"Unpacking {archive.name}", unit=" files", leave=False)


def _broken(archive: Path, name: str, error: Exception) -> BoneAgeError:
    reason = " ".join(str(error).split()) or type(error).__name__
    if isinstance(error, NotImplementedError):
        # Windows compresses files over 2 GiB with Deflate64, which Python does not support.
        return BoneAgeError(f"{_where(archive, name)}: unsupported compression ({reason}); {BY_HAND}")
    if "multiple disks" in reason:
        return BoneAgeError(f"{archive}: one part of a split zip; {BY_HAND}")
    return Broken(f"{_where(archive, name)}: broken or cut off ({reason}); fetch it again")


def _where(archive: Path, name: str) -> str:
    """The archive and, if given, the member, as one printable line."""
    return f"{archive}, member {name if name.isprintable() else ascii(name)}" if name else str(archive)


def _zip_name(info: zipfile.ZipInfo) -> str:
    """A member's name. macOS writes UTF-8 without the flag for it, which Python reads as cp437."""
    if info.flag_bits & _UTF8_NAMES:
        return info.orig_filename
    try:
        return info.orig_filename.encode("cp437").decode("utf-8")
    except UnicodeError:
        return info.orig_filename


class _Bounded:
    """Refuses to read a header that a hostile tar declares to be gigabytes long."""

    def read(self, size: int = -1) -> bytes:
        if not 0 <= size <= _LONGEST_HEADER:
            raise tarfile.ReadError("a header of impossible length")
        return super().read(size)


class _BoundedGzip(_Bounded, gzip.GzipFile):
    pass


class _BoundedFile(_Bounded, io.FileIO):
    pass
