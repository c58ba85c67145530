"""Makes the square images of a case table, and a report of what came in and what was made.

Images are streamed: memory holds a fixed number of them and one row of the report for each.
"""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from boneage.core.columns import Column, Table
from boneage.core.errors import BoneAgeError
from boneage.core.files import LIVING_SECONDS, atomic_write, make_folder, remove_leftovers, writing
from boneage.core.objects import Object, Unanswered, bucket_address, look_up
from boneage.core.parallel import fill_rows
from boneage.core.settings import PADS
from boneage.core.tables import is_safe_id, read_table, skipped_table, write_table
from boneage.images.square import square_of_file

IMAGE_FOLDER = "images"
REPORT_NAME = "preprocess.csv"
SKIPPED_NAME = "skipped-preprocess.csv"
UNLISTED_NAME = "unlisted-preprocess.csv"
SOURCE_GONE = "source not found now; image kept"

REPORT_TABLE = Table(
    "Preprocess report",
    [
        Column("case_id", "Name of the case."),
        Column("status", "ok or skipped."),
        Column("reason", "Why it was skipped, and what to do."),
        Column("format", "Format of the file: JPEG, PNG, TIFF, DICOM."),
        Column("width", "Width of the radiograph.", ",.0f", unit="pixels"),
        Column("height", "Height of the radiograph.", ",.0f", unit="pixels"),
        Column("bit_depth", "Bits per pixel.", ".0f"),
        Column("mode", "Colour mode of the file."),
        Column("bytes", "Size of the file.", ",.0f"),
        Column("sha256", "SHA-256 of the file."),
        Column("doubled_of", "The first case with the same file, if any."),
        Column("note", "Conversions and oddities."),
        # Compared by later runs to decide whether the image must be made again.
        Column("image", "The file, as in the case table."),
        Column("modified", "When the file was last changed.", ".0f", unit="nanoseconds"),
        Column("image_size", "Side of the square image.", ".0f", unit="pixels"),
        Column("pad", "Grey level of the bars that make it square."),
        Column("made_bytes", "Size of the square image's file.", ",.0f"),
    ],
    "preprocess.csv",
    "One row per case.",
)
_WHOLE = r"^(-?[1-8]?[0-9]{1,18})(?:[.,]0+)?$"
_NUMBERS = ("width", "height", "bit_depth", "bytes", "modified", "image_size", "made_bytes")


@dataclass(frozen=True)
class _Job:
    case_id: str
    image: str
    source: Path | Object | None
    output: Path
    size: int
    pad: str


def preprocess(
    cases: pd.DataFrame, work: Path | str, size: int = 928, pad: str = "background"
) -> pd.DataFrame:
    """Makes ``images/<case_id>.png`` in the work folder for every case with a readable image.

    A later run makes only what is new or changed (path, file size, date, target size, padding, or a missing
    output), and continues after an interruption. An image stays valid while its source cannot be found, with
    a note. If its case leaves the table, the image stays on disk, listed in ``unlisted-preprocess.csv``, and
    is reused if the case returns. An output is removed only if its source is there and refused.

    Args:
        cases: The case table; ``case_id`` and ``image`` (absolute, relative to the work folder, or the
            address of an object in a bucket) are read.
        work: The work folder; the report and the list of skipped cases go there too.
        size: Side of the square images in pixels.
        pad: Grey level of the bars, as in :func:`boneage.images.square.square`.

    Returns:
        The report, ``REPORT_TABLE``, in the order of the cases; ``status`` is ``ok`` or ``skipped``.

    Raises:
        BoneAgeError: Missing column, unknown padding, full disk or read-only folder, or a bucket of which
            nothing can be read.
    """
    for column in ("case_id", "image"):
        if column not in cases.columns:
            raise BoneAgeError(f"case table: column {column} is missing; make the table again")
    if pad not in PADS:
        raise BoneAgeError(f"pad: {pad!r} must be one of {', '.join(PADS)}")
    work = Path(work)
    folder = make_folder(work / IMAGE_FOLDER)
    before = _rows_before(work)
    rows, jobs = _plan(cases, work, before, size, pad)

    def make(job: _Job) -> dict[str, Any]:
        row = _make(job)
        if row["status"] == "skipped" and job.case_id in before and not _lies_among_images(job):
            remove_images(folder, [job.case_id])
        return row

    listed = set(cases["case_id"])
    _write_rows(work / UNLISTED_NAME, [row for case_id, row in before.items() if case_id not in listed])
    remove_leftovers(folder, LIVING_SECONDS)
    # Rows to redo are dropped before their images are touched: what the report lists is there and current.
    return fill_rows(rows, make, jobs, lambda rows: _save(work, rows), "Preprocess")


def read_report(work: Path | str) -> pd.DataFrame:
    """Reads the report of :func:`preprocess`, its numbers as nullable integers.

    Raises:
        BoneAgeError: It is absent or cannot be read.
    """
    return _typed(read_table(Path(work) / REPORT_NAME, REPORT_TABLE))


def _rows_before(work: Path) -> dict[str, dict[str, Any]]:
    """Rows of the images that earlier runs made, by case id; empty without a readable report."""
    rows: dict[str, dict[str, Any]] = {}
    for name in (UNLISTED_NAME, REPORT_NAME):
        try:
            report = _typed(read_table(work / name, REPORT_TABLE))
        except BoneAgeError:
            continue
        made = report[(report["status"] == "ok") & report["case_id"].map(is_safe_id)]
        rows |= {row["case_id"]: row for row in made.to_dict("records")}
    return rows


def _typed(report: pd.DataFrame) -> pd.DataFrame:
    for name in _NUMBERS:
        # What no run writes is taken for missing, and the image is made again.
        whole = report[name].astype("string").str.extract(_WHOLE, expand=False)
        report[name] = pd.to_numeric(whole, dtype_backend="numpy_nullable").astype("Int64")
    return report


def _plan(
    cases: pd.DataFrame, work: Path, before: Mapping[str, Mapping[str, Any]], size: int, pad: str
) -> tuple[list[dict[str, Any] | None], dict[int, _Job]]:
    """Rows known without reading an image (None for the others), and the images to make, by row."""
    folder = (work / IMAGE_FOLDER).resolve()
    # Some file systems do not tell "A1.png" from "a1.png".
    doubled = cases["case_id"].astype(str).str.casefold().duplicated(keep=False)
    addresses, misspelt = _addresses(cases["image"])
    objects = look_up(addresses.values())
    rows: list[dict[str, Any] | None] = []
    jobs = {}
    described = zip(cases["case_id"], cases["image"], doubled, strict=True)
    for index, (case_id, image, twice) in enumerate(described):
        fault, row = "", None
        if not is_safe_id(case_id):
            fault = "this case id cannot name a file; use 1 to 64 letters, digits, _ and -"
        elif twice:
            fault = "two images have this case id; keep one in the case table"
        elif not isinstance(image, str) or not image:
            fault = "the case table names no image; name one or leave the case out"
        elif image in misspelt:
            # Not repeated in tables: it may hold credentials.
            image, fault = "", misspelt[image]
        else:
            source = objects.get(addresses[image]) if image in addresses else work / image
            job = _Job(case_id, image, source, folder / f"{case_id}.png", size, pad)
            row = _kept_row(job, before[case_id]) if case_id in before else None
            if row is None:
                jobs[index] = job
        rows.append(_skipped_row(case_id, image, fault) if fault else row)
    return rows, jobs


def _addresses(images: Iterable[object]) -> tuple[dict[str, str], dict[str, str]]:
    """The addresses of those images that are objects in a bucket, and what is wrong with others."""
    addresses, misspelt = {}, {}
    for image in images:
        try:
            if isinstance(image, str) and (address := bucket_address(image)):
                addresses[image] = address
        except BoneAgeError as error:
            misspelt[image] = str(error)
    return addresses, misspelt


def _kept_row(job: _Job, row: Mapping[str, Any]) -> dict[str, Any] | None:
    """An earlier run's row if its image is still valid, or cannot be made again; else None."""
    notes = [note for note in row["note"].split(", ") if note and note != SOURCE_GONE]
    made_of = (_undefused(row["image"]), *(row[name] for name in ("image_size", "pad", "bytes", "modified")))
    try:
        if job.output.stat().st_size != row["made_bytes"]:
            return None
    except OSError:
        return None
    if (source := _size_and_date(job.source)) is None:
        # A Colab machine loses the source while Drive keeps the work folder, or a spreadsheet changed the
        # paths: the image stays valid.
        return {**row, "note": ", ".join([*notes, SOURCE_GONE])}
    is_sized = all(pd.notna(row[side]) and row[side] > 0 for side in ("width", "height"))
    if made_of != (_undefused(job.image), job.size, job.pad, *source) or not is_sized:
        return None
    return {**row, "image": job.image, "note": ", ".join(notes)}


def _undefused(image: str) -> str:
    # Tables have an apostrophe before what a spreadsheet would run as a formula.
    return image.removeprefix("'")


def _size_and_date(source: Path | Object | None) -> tuple[int, int] | None:
    """Bytes, and nanoseconds since 1970, of a file or object; None where it is not there."""
    if isinstance(source, Object):
        return source.size, source.modified
    try:
        status = source.stat() if source else None
    except (OSError, ValueError):
        return None
    return (status.st_size, status.st_mtime_ns) if status else None


def _make(job: _Job) -> dict[str, Any]:
    """Makes one image. A fault of the source becomes a skipped row; no room or no connection is raised."""
    try:
        if job.source is None:
            raise BoneAgeError(f"{job.image}: no such object; put it there or leave the case out")
        png, facts, modified = square_of_file(job.source, job.image, job.size, job.pad)
        if _lies_among_images(job):
            raise BoneAgeError(
                f"{job.image}: is in the folder this stage writes to; move the images elsewhere"
            )
    except Unanswered:
        raise
    except BoneAgeError as error:
        return _skipped_row(job.case_id, job.image, str(error))
    with atomic_write(job.output, sync=False) as file:
        file.write(png)
    made = {
        "case_id": job.case_id,
        "status": "ok",
        "image": job.image,
        "modified": modified,
        "image_size": job.size,
        "pad": job.pad,
        "made_bytes": len(png),
    }
    return made | dataclasses.asdict(facts)


def _lies_among_images(job: _Job) -> bool:
    """Whether the source lies in the folder of the images that are made, perhaps in the image's place."""
    return isinstance(job.source, Path) and job.source.resolve().parent == job.output.parent


def _skipped_row(case_id: object, image: object, reason: str) -> dict[str, Any]:
    return {"case_id": case_id, "status": "skipped", "reason": " ".join(reason.split()), "image": image}


def _save(work: Path, rows: Sequence[Mapping[str, Any] | None]) -> pd.DataFrame:
    """Writes the report so far, and the list of skipped cases."""
    report = _write_rows(work / REPORT_NAME, [row for row in rows if row is not None])
    skipped = report[report["status"] == "skipped"]
    write_table(work / SKIPPED_NAME, skipped_table(zip(skipped["case_id"], skipped["reason"], strict=True)))
    return report


def _write_rows(path: Path, rows: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    # Beside an empty cell pandas would make floats of numbers, which cannot hold a time in nanoseconds.
    report = _typed(pd.DataFrame(rows, columns=list(REPORT_TABLE), dtype=object))
    report["doubled_of"] = _doubled_of(report)
    text = [name for name in REPORT_TABLE if name not in _NUMBERS]
    report[text] = report[text].fillna("")
    write_table(path, report)
    return report


def _doubled_of(report: pd.DataFrame) -> pd.Series:
    """For each image the first case whose file has the same bytes; empty for the first itself."""
    made = report[report["status"] == "ok"]
    first = made.groupby("sha256")["case_id"].transform("first")
    return first[first != made["case_id"]].reindex(report.index, fill_value="")


def remove_images(folder: Path, case_ids: Iterable[str]) -> None:
    """Removes ``<id>.png`` of earlier runs.

    Raises:
        BoneAgeError: One cannot be removed.
    """
    for case_id in case_ids:
        path = folder / f"{case_id}.png"
        with writing(path):
            path.unlink(missing_ok=True)


def summary(report: pd.DataFrame) -> pd.DataFrame:
    """Summary of a report: a row for all images, one for each kind, for duplicates and for skipped files.

    Returns:
        Columns ``what``, ``images``, ``smallest``, ``median``, ``largest``: width × height in pixels, ordered
        by number of pixels; the medians of width and height are taken separately.
    """
    made = report[report["status"] == "ok"]
    rows = [_summary_row("all images read", made)]
    for (kind, bit_depth, mode), group in made.groupby(["format", "bit_depth", "mode"]):
        rows.append(_summary_row(f"{kind}, {bit_depth} bit, {mode}", group))
    rows.append(_summary_row("duplicates (same bytes as an earlier case)", made[made["doubled_of"] != ""]))
    rows.append(_summary_row("skipped (see the reasons)", report[report["status"] == "skipped"]))
    return pd.DataFrame(rows)


def _summary_row(what: str, images: pd.DataFrame) -> dict[str, Any]:
    row: dict[str, Any] = {"what": what, "images": len(images), "smallest": "", "median": "", "largest": ""}
    sizes = images[["width", "height"]].dropna().astype(int)
    if len(sizes):
        pixels = sizes["width"] * sizes["height"]
        row["smallest"] = "{} × {}".format(*sizes.loc[pixels.idxmin()])
        row["median"] = "{:.0f} × {:.0f}".format(*sizes.median())
        row["largest"] = "{} × {}".format(*sizes.loc[pixels.idxmax()])
    return row
