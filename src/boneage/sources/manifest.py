"""Verified downloads from ``data_manifest.csv``: fetched once, resumable, unpacked safely."""

import datetime
import os
import re
import shutil
from pathlib import Path

import pandas as pd

from boneage.core.columns import Column, Table
from boneage.core.errors import BoneAgeError
from boneage.core.files import make_folder, one_at_a_time, sha256_of, write_text, writing
from boneage.core.tables import read_table, write_table
from boneage.sources import drive, kinds
from boneage.sources.archives import Broken
from boneage.sources.local import local_data, put_aside, unpack_beside
from boneage.sources.web import Refused, Web, check_url

MANIFEST = Path(__file__).resolve().parents[3] / "data_manifest.csv"
"""The checkout's manifest."""

MANIFEST_TABLE = Table(
    "Data manifest",
    [
        Column("name", "Name of the file."),
        Column("source", "Link, or id on Google Drive."),
        Column("licence", "Licence."),
        Column("sha256", "SHA-256 of the file; empty if unknown."),
        Column("bytes", "Size.", ",.0f"),
        Column("rows", "Number of rows, if it is a table.", ",.0f"),
        Column("used_by", "What it is for."),
    ],
    "data_manifest.csv",
    "In the repository: one row per file to fetch.",
)
FETCHED_TABLE = Table(
    "Fetched files",
    [
        Column("name", "Name in the manifest."),
        Column("file", "Where it is."),
        Column("sha256", "SHA-256 of the file."),
        Column("bytes", "Size of the file.", ",.0f"),
        Column("time", "When it was fetched, UTC."),
    ],
    "fetched.csv",
    "One row per fetched file.",
)

ARTEFACTS = {
    "dha": ("dha_atlas.zip", "la_dha.csv"),
    "rsna": ("rsna_training.zip", "rsna_training_labels.zip"),
}
"""The manifest rows of each source."""

COLUMNS = {"la_dha.csv": ("patient_ID", "sex", "bone_age")}
"""Required columns of a table in the manifest, so that another one in its place is noticed."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}(\.[A-Za-z0-9]{1,8}){0,2}")
_DRIVE = re.compile(r"drive:([A-Za-z0-9_-]{10,100})?")
_SHA256 = re.compile(r"[0-9a-f]{64}")


def read_manifest(path: Path | str = MANIFEST) -> pd.DataFrame:
    """Reads and checks a manifest.

    Returns:
        ``MANIFEST_TABLE``: text, but ``bytes`` and ``rows`` are nullable integers; ``sha256`` in lower case,
        empty if unknown.

    Raises:
        BoneAgeError: Not a table, an unsafe or repeated name, a source that is neither https nor
            ``drive:<id>``, or a malformed hash or number.
    """
    table = read_table(path, MANIFEST_TABLE)[list(MANIFEST_TABLE)]
    table["sha256"] = table["sha256"].str.lower()
    for row in table.itertuples(index=False):
        if fault := _row_fault(row):
            raise BoneAgeError(f"{path}: row {row.name!r}: {fault}")
    doubled = table["name"][table["name"].duplicated()]
    if len(doubled):
        raise BoneAgeError(f"{path}: name {doubled.iloc[0]} appears twice; remove one row")
    for column in ("bytes", "rows"):
        table[column] = pd.to_numeric(table[column].replace("", None)).astype("Int64")
    return table


def fetch(
    name: str,
    folder: Path | str,
    manifest_path: Path | str = MANIFEST,
    record: Path | str | None = None,
    web: Web | None = None,
    largest_bytes: int = drive.LARGEST_BYTES,
) -> Path:
    """Fetches one row of the manifest, verifies it, and unpacks it if it is an archive.

    An existing file is verified and not fetched again, unless it is faulty; an interrupted download resumes.
    If the manifest has no hash, the one found is printed and recorded.

    Args:
        name: Name of the row and the file.
        folder: The target; an archive is unpacked to a folder beside it.
        record: CSV of what was fetched (``FETCHED_TABLE``); by default ``fetched.csv`` in ``folder``.
        web: By default one with retries.

    Returns:
        The file, or the folder it was unpacked to.

    Raises:
        BoneAgeError: No such row, no Drive id given, no connection, wrong hash, size or kind (the file is
            kept as ``.wrong``), full disk, or unsafe archive.
    """
    folder = make_folder(folder)
    row = _row(name, manifest_path)
    path = folder / name
    # Two downloads into one file would mix; the second waits, and finds it there.
    with one_at_a_time(path):
        return _fetch(row, path, manifest_path, record or folder / "fetched.csv", web, largest_bytes)


def _fetch(
    row: object,
    path: Path,
    manifest_path: Path | str,
    record: Path | str,
    web: Web | None,
    largest_bytes: int,
) -> Path:
    is_fresh = False
    while True:
        if not _is_good(path, row):
            if row.source.startswith("drive:"):
                part = _fetch_drive(row, path, largest_bytes)
            else:
                part = path.with_name(path.name + ".part")
                _fetch_https(row, part, web or Web(), largest_bytes)
            sha256 = _verified(row, part, path, manifest_path, largest_bytes)
            _record(record, row, part.stat().st_size, sha256)
            _settle(part, path)
            is_fresh = True
        try:
            return unpack_beside(path) if path.suffix.lower() in kinds.ARCHIVES else path
        except Broken as error:
            # The next attempt, now or in a later run, must not take it for a good one.
            put_aside(path, str(error))
            if is_fresh:
                raise


def source_of(name: str) -> str:
    """The address of a row of the checkout's manifest."""
    return _row(name, MANIFEST).source


def data_for(source: str, data: str | Path, work: Path | str, manifest_path: Path | str = MANIFEST) -> Path:
    """The folder with a source's files: ``data`` if given, else fetched below ``work/data``.

    What was fetched is recorded in ``work/fetched.csv``.

    Raises:
        BoneAgeError: As :func:`local.local_data` and :func:`fetch`.
    """
    if str(data):
        return local_data(data, work)
    if source not in ARTEFACTS:
        raise BoneAgeError(f"{source}: the manifest has nothing for this source; give a folder or a zip")
    folder = Path(work) / "data" / source
    for name in ARTEFACTS[source]:
        fetch(name, folder, manifest_path, record=Path(work) / "fetched.csv")
    return folder


def _row_fault(row: object) -> str | None:
    if not _NAME.fullmatch(row.name):
        return "name must be a plain file name of letters, digits, _ and -"
    if not row.source.startswith("drive:"):
        try:
            check_url(row.source)
        except BoneAgeError as error:
            return str(error)
    elif not _DRIVE.fullmatch(row.source):
        return "write drive: and the file's id, the long part of its sharing link"
    if row.sha256 and not _SHA256.fullmatch(row.sha256):
        return "sha256 must be 64 hexadecimal digits or empty"
    for column in ("bytes", "rows"):
        if not re.fullmatch(r"[0-9]{0,15}", getattr(row, column)):
            return f"{column} must be a whole number or empty"
    return None


def _row(name: str, manifest_path: Path | str) -> object:
    table = read_manifest(manifest_path)
    for row in table.itertuples(index=False):
        if row.name == name:
            return row
    raise BoneAgeError(f"{manifest_path}: no row {name!r}; it has {', '.join(table['name'])}")


def _is_good(path: Path, row: object) -> bool:
    """Whether the file is there and matches the manifest; one that does not is put aside."""
    if not path.is_file():
        return False
    fault = _fault(path, row)
    if fault:
        put_aside(path, f"{path}: {fault}")
    return not fault


def _fault(path: Path, row: object) -> str | None:
    """How a file differs from its row of the manifest, or None."""
    kind = kinds.fault_of(path, row.name, COLUMNS.get(row.name, ()), None if pd.isna(row.rows) else row.rows)
    if kind:
        return kind
    if row.sha256 and (sha256 := sha256_of(path)) != row.sha256:
        return f"its SHA-256 is {sha256}, the manifest says {row.sha256}"
    size = path.stat().st_size
    if not pd.isna(row.bytes) and size != row.bytes:
        return f"it has {size} bytes, the manifest says {row.bytes}"
    return None


def _fetch_drive(row: object, path: Path, largest_bytes: int) -> Path:
    """Fetches a file from Google Drive into its own folder, where gdown finds what it left."""
    drive_id = row.source.removeprefix("drive:")
    if not drive_id:
        raise BoneAgeError(
            f"{row.name}: not redistributable; give your own copy as data: a folder, a zip, or the "
            "sharing link of a zip on your Google Drive"
        )
    part = make_folder(path.with_name(f".{path.name}.drive")) / path.name
    drive.download(drive_id, part, row.name, largest_bytes)
    return part


def _fetch_https(row: object, part: Path, web: Web, largest_bytes: int) -> None:
    """Fetches an address into the part file, resuming an earlier attempt."""
    tag = part.with_name(part.name + ".tag")

    def seen(total: int | None, validator: str) -> None:
        if total is not None and not pd.isna(row.bytes) and total != row.bytes:
            raise Refused(
                f"{row.source}: has {total} bytes, the manifest says {row.bytes}; correct the manifest"
            )
        _check_room(part, (total or 0) - part.stat().st_size)
        write_text(tag, f"{row.source}\n{validator}\n")

    with writing(part):
        known = tag.read_text(encoding="utf-8", errors="replace") if tag.is_file() else ""
        source, _, validator = known.strip().partition("\n")
        # Otherwise the part may not be the beginning of this file.
        with open(part, "a+b" if source == row.source else "w+b") as file:
            web.download(row.source, file, largest_bytes, validator, seen, row.name)
            file.flush()
            os.fsync(file.fileno())


def _check_room(path: Path, needed: int) -> None:
    free = shutil.disk_usage(path.parent).free
    if needed > free:
        raise BoneAgeError(
            f"{path.parent}: {needed / 2**30:.1f} GiB needed, {free / 2**30:.1f} GiB free; "
            "free some space or choose another work folder"
        )


def _verified(row: object, part: Path, path: Path, manifest_path: Path | str, largest_bytes: int) -> str:
    """The SHA-256 of a download that matches the manifest; any other is put aside."""
    size = part.stat().st_size
    fault = _fault(part, row)
    if not fault and size > largest_bytes:
        fault = f"it is larger than {largest_bytes / 2**30:.3g} GiB"
    if fault:
        aside = path.with_name(path.name + ".wrong")
        _settle(part, aside)
        raise BoneAgeError(
            f"{path}: {fault}; not used, kept as {aside.name}: fetch it again, or correct {manifest_path} "
            "if you trust the file"
        )
    sha256 = row.sha256 or sha256_of(part)
    if not row.sha256:
        print(f"{row.name}: not verified, as the manifest has no SHA-256; its own is {sha256} ({size} bytes)")
    return sha256


def _settle(part: Path, path: Path) -> None:
    """Moves a finished download into place and removes its temporary files."""
    with writing(path):
        os.replace(part, path)
        part.with_name(part.name + ".tag").unlink(missing_ok=True)
        if part.parent != path.parent:
            shutil.rmtree(part.parent, ignore_errors=True)


def _record(record: Path | str, row: object, size: int, sha256: str) -> None:
    """Adds a row to the table of fetched files, replacing one of the same name."""
    time = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    new = pd.DataFrame([(row.name, row.name, sha256, size, time)], columns=list(FETCHED_TABLE))
    if Path(record).is_file():
        old = read_table(record, FETCHED_TABLE)[list(FETCHED_TABLE)]
        new = pd.concat([old[old["name"] != row.name], new.astype(str)], ignore_index=True)
    write_table(record, new)
