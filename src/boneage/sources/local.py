"""The user's folder of radiographs, or the archives it comes in."""

import glob
import os
import re
import zipfile
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from boneage.core.errors import BoneAgeError
from boneage.core.files import writing
from boneage.core.objects import bucket_address
from boneage.sources import buckets, drive, kinds
from boneage.sources.archives import BY_HAND, STAMP, Broken, foreign_archive, is_archive, is_unpacked, unpack

_DRIVE_PART = re.compile(r"(.+-[0-9]{8}T[0-9]{6}Z)(?:-[0-9]+)?-[0-9]{3}\.zip", re.IGNORECASE)


def local_data(path: Path | str, work: Path | str) -> Path:
    """The folder given or, below ``work/data``, one for a bucket or with what an archive or Drive link holds.

    If Google Drive split a folder into several zips (``atlas-20261129T083000Z-001.zip`` and so on), all of
    them beside the given one are unpacked.

    Raises:
        BoneAgeError: No such path or bucket, not an archive, an unsafe one, or one that is not shared.
    """
    drive_id = None
    if address := bucket_address(str(path)):
        path = buckets.fetch(address, work)
    elif drive_id := drive.file_id(str(path)):
        path = drive.fetch_zip(drive_id, Path(work) / "data")
    path = Path(path)
    if path.is_dir():
        return path
    if not path.exists():
        raise BoneAgeError(f"{path}: no such folder or zip; check the path (is the Drive mounted?)")
    if not is_archive(path):
        raise BoneAgeError(f"{path}: {_no_data(path)}")
    try:
        if len(parts := _parts_of(path)) > 1:
            return _unpack_parts(parts, Path(work) / "data" / _DRIVE_PART.fullmatch(path.name)[1])
        folder = Path(work) / "data" / _stem(path.name)
        unpack_all(path, folder)
        return folder
    except Broken as error:
        if drive_id:
            # It arrived truncated, and must not be taken for complete by the next run.
            put_aside(path, str(error))
        raise


def absolute(data: str, base: Path | str = ".") -> str:
    """What :func:`local_data` is given, so that it means the same from any folder.

    Raises:
        BoneAgeError: A web address that is neither on Drive nor of a bucket, or one with credentials.
    """
    return bucket_address(data) or drive.absolute(data, base)


def unpack_below(folder: Path, work: Path | str) -> dict[Path, Path | str]:
    """Unpacks the archives in a folder of radiographs below ``work/data``.

    Returns:
        For each archive, and those in it, the folder with its contents, or why it was not unpacked.
    """
    folder = Path(os.path.abspath(folder))
    below = Path(work) / "data" / f"{folder.name}-archives"
    found: dict[Path, Path | str] = {}
    bucket = buckets.bucket_of(folder)
    for path, namesakes in _with_namesakes(_archives(bucket.sizes if bucket else folder.rglob("*"), folder)):
        try:
            beside = _folder_of(path, path.parent, namesakes)
            if (beside / STAMP).exists():
                found[path] = beside
            elif not is_archive(path):
                found[path] = _no_data(path)
            elif _lies_beside(path, bucket.sizes if bucket else _sizes_below(folder)):
                found[path] = "an archive, already unpacked beside itself"
            else:
                mirrored = below / path.relative_to(folder).parent
                found |= unpack_all(path, _folder_of(path, mirrored, namesakes))
        except BoneAgeError as error:
            found[path] = str(error).removeprefix(f"{path}: ")
    return found


def _archives(files: Iterable[Path], folder: Path) -> list[Path]:
    """The archives among files of a folder that are not hidden, in path order."""
    archives = []
    for path in sorted(path for path in files if path.suffix.lower() in kinds.ARCHIVES):
        hidden = any(part.startswith((".", "__MACOSX")) for part in path.relative_to(folder).parts)
        if not hidden and path.is_file() and not path.is_symlink():
            archives.append(path)
    return archives


def _sizes_below(folder: Path) -> dict[Path, int]:
    return {path: path.stat().st_size for path in folder.rglob("*") if path.is_file()}


def _lies_beside(archive: Path, sizes: Mapping[Path, int]) -> bool:
    """Whether all files of a zip, by name and size, are among those of a folder."""
    try:
        with zipfile.ZipFile(archive) as file:
            held = {
                (info.filename.replace("\\", "/").rsplit("/", 1)[-1], info.file_size)
                for info in file.infolist()
                if info.file_size and "__MACOSX" not in info.filename
            }
    except (zipfile.BadZipFile, OSError, NotImplementedError, ValueError):
        return False
    return bool(held) and held <= {(path.name, size) for path, size in sizes.items()}


def _parts_of(path: Path) -> list[Path]:
    """All zips of one split Drive download, or just the given archive."""
    part = _DRIVE_PART.fullmatch(path.name)
    if not part:
        return [path]
    beside = sorted(path.parent.glob(f"{glob.escape(part[1])}-*.zip"))
    return [one for one in beside if (other := _DRIVE_PART.fullmatch(one.name)) and other[1] == part[1]]


def _unpack_parts(parts: list[Path], folder: Path) -> Path:
    print(f"{len(parts)} zips of one download: {', '.join(part.name for part in parts)}")
    for part in parts:
        unpack_all(part, folder / _stem(part.name))
    return folder


def unpack_all(archive: Path, folder: Path) -> dict[Path, Path]:
    """Unpacks an archive and those in it: RSNA's validation images are two zips within a zip.

    Returns:
        For each of these archives the folder with its contents.
    """
    unpack(archive, folder)
    inner = []
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() not in kinds.ALL_ARCHIVES or not path.is_file():
            continue
        if kind := foreign_archive(path):
            print(f"{path}: a {kind} archive, which is not supported; {BY_HAND}")
        above = path.parents[: len(path.relative_to(folder).parts) - 1]
        deeper = any((parent / STAMP).exists() for parent in above)
        if not deeper and not path.name.startswith(".") and is_archive(path):
            inner.append(path)
    folders = {archive: folder}
    for path, namesakes in _with_namesakes(inner):
        folders[path] = _folder_of(path, path.parent, namesakes)
        unpack(path, folders[path])
    return folders


def unpack_beside(archive: Path) -> Path:
    """Unpacks an archive and those in it to a folder of its name beside it."""
    files = archive.parent.iterdir()
    archives = [path for path in files if path.suffix.lower() in kinds.ARCHIVES and path.is_file()]
    folder = _folder_of(archive, archive.parent, dict(_with_namesakes(archives))[archive])
    unpack_all(archive, folder)
    return folder


def _with_namesakes(archives: Sequence[Path]) -> Iterator[tuple[Path, list[Path]]]:
    """Each archive with the others beside it of the same stem: ``images.zip`` and ``images.tar.gz``."""
    named = defaultdict(list)
    for archive in archives:
        named[archive.parent, _stem(archive.name).casefold()].append(archive)
    for archive in archives:
        namesakes = named[archive.parent, _stem(archive.name).casefold()]
        yield archive, [other for other in namesakes if other != archive]


def _folder_of(archive: Path, below: Path, namesakes: Iterable[Path]) -> Path:
    """The folder below another for an archive: its stem or, where a namesake is unpacked, its whole name.

    An archive that is unpacked stays where it is.
    """
    by_stem, by_name = below / _stem(archive.name), below / f"{archive.name}_unpacked"
    if is_unpacked(archive, by_name):
        return by_name
    taken = any(is_unpacked(other, by_stem) for other in namesakes) and not is_unpacked(archive, by_stem)
    return by_name if taken else by_stem


def put_aside(path: Path, fault: str) -> Path:
    """Renames a faulty file to ``.wrong``, prints why, and returns the new path."""
    aside = path.with_name(path.name + ".wrong")
    print(f"{fault}; kept as {aside.name}")
    with writing(path):
        return path.replace(aside)


def _stem(name: str) -> str:
    """An archive's name without its suffixes; never the name itself."""
    stem = re.sub(r"(\.(zip|tar|tgz|gz))+$", "", name, flags=re.IGNORECASE).lstrip(".") or "archive"
    return stem if stem != name else f"{name}_unpacked"


def _no_data(path: Path) -> str:
    """What a file that is not an archive is, with what to do."""
    fault = kinds.fault_of(path, "data.zip")
    return f"neither a folder nor a zip, as {fault}; give the folder with the radiographs"
