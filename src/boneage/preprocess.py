"""Any photo of a radiograph (JPEG, PNG, DICOM) to a grey square, with a report of what came in.

A photo is looked at in three steps, each cheaper than the next: its size on disk, its header (so that a
small file that declares a huge picture is refused before anything is decoded), and its structure (so that
a file cut short is refused, which decoders do not do by themselves). Only then is it decoded.

All of it is streamed: a fixed number of photos is under way at any moment, and what is kept of each is
one row of the report.
"""

import contextlib
import dataclasses
import hashlib
import io
import os
import re
import stat
import struct
import time
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
from PIL import ExifTags, Image, ImageDraw, ImageFont, ImageOps

from boneage.errors import BoneAgeError
from boneage.files import atomic_write, make_folder, write_error
from boneage.runtime import on_all_cores
from boneage.settings import PADS
from boneage.tables import is_safe_id, read_table, skipped_table, write_table

PHOTO_FOLDER = "photos"
REPORT_NAME = "preprocess.csv"
SKIPPED_NAME = "skipped-preprocess.csv"

REPORT_COLUMNS = (
    "case_id",
    "status",
    "reason",
    "format",
    "width",
    "height",
    "bit_depth",
    "mode",
    "bytes",
    "sha256",
    "doubled_of",
    "note",
    # What a later run compares to know whether the photo has to be made again.
    "photo",
    "modified",
    "photo_size",
    "pad",
    "made_bytes",
)
_NUMBERS = ("width", "height", "bit_depth", "bytes", "modified", "photo_size", "made_bytes")

LARGEST_FILE_BYTES = 256 * 2**20
LARGEST_PIXELS = 100_000_000
SMALLEST_SIDE = 32

ROBUST_RANGE = (0.001, 0.999)
"""Shares of a 16-bit photo's pixels that become black and white; a few hot or dead pixels fall outside."""

# Level 1 with run-length strategy: on radiographs smaller and faster than the default strategy.
PNG_ENCODING = (cv2.IMWRITE_PNG_COMPRESSION, 1, cv2.IMWRITE_PNG_STRATEGY, cv2.IMWRITE_PNG_STRATEGY_RLE)

SECONDS_BETWEEN_SAVES = 5.0
_LEFTOVER = re.compile(r"\.[A-Za-z0-9][A-Za-z0-9_-]*-\w{8}\.png")
_LEFTOVER_SECONDS = 60.0

# What is told apart by name; only the first two are read.
_FORMATS = ("JPEG", "PNG", "GIF", "TIFF", "BMP", "WEBP")
_SUFFIXES = {"JPEG": (".jpg", ".jpeg", ".jpe", ".jfif"), "PNG": (".png",), "DICOM": (".dcm", ".dicom", "")}
_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_PNG_DEPTH_OFFSET = 24
_JPEG_START_OF_SCAN = 0xDA
_JPEG_END = b"\xff\xd9"
# 0xFF followed by what cannot stand after the first scan has begun. A stuffed zero can, and fill, restarts,
# and what comes between the scans of a progressive file (DHT, SOS, DQT, DNL, DRI, COM).
_JPEG_STRAY_MARKER = re.compile(rb"\xff[^\x00\xc4\xd0-\xd7\xda-\xdd\xfe\xff]")


@dataclass(frozen=True)
class PhotoFacts:
    """What a photo was when it came in.

    Attributes:
        format: JPEG, PNG or DICOM.
        width: Pixels, as seen (turned by EXIF where it says so).
        height: Pixels, as seen.
        bit_depth: Bits a channel.
        mode: Pillow's name of the colour layout (L, RGB, P, CMYK ...), or DICOM's photometric interpretation.
        bytes: Size of the file.
        sha256: Hash of the file, 64 hexadecimal digits.
        note: What was done to make it grey, or what looks odd; often empty.
    """

    format: str
    width: int
    height: int
    bit_depth: int
    mode: str
    bytes: int
    sha256: str
    note: str


def read_grey(data: bytes, name: str) -> tuple[np.ndarray, PhotoFacts]:
    """Decodes a photo of any kind to grey, turned upright by its EXIF tag, at its own bit depth.

    Colour becomes luma (ITU-R BT.601), CMYK goes through RGB, and what is transparent becomes black.

    Args:
        data: The file's bytes.
        name: How an error names the file; its suffix is compared with what the file is.

    Returns:
        The grey photo, uint8 or uint16 of shape (height, width), and the facts about the file.

    Raises:
        BoneAgeError: Empty, too big, not a picture, a kind that is not read, animated, fewer than 32
            pixels a side, more than 100 megapixels, cut short or damaged. Damage inside a JPEG's coded
            data is found only where it breaks the structure of the file.
    """
    if not data:
        raise BoneAgeError(f"{name}: empty file; fetch it again")
    if len(data) > LARGEST_FILE_BYTES:
        raise _too_many_bytes(name, len(data))
    if data[128:132] == b"DICM":
        grey, mode, bit_depth, notes = _read_dicom(data, name)
        kind = "DICOM"
    else:
        header = _open_header(data, name)
        kind, mode = str(header.format), header.mode
        bit_depth = data[_PNG_DEPTH_OFFSET] if kind == "PNG" else 8
        _check_whole(kind, data, name)
        grey, notes = _decode(data, header, bit_depth, name)
    if Path(name).suffix.lower() not in _SUFFIXES[kind]:
        notes.append(f"a {kind} by its content, not by its name")
    height, width = grey.shape
    digest = hashlib.sha256(data).hexdigest()
    return grey, PhotoFacts(kind, width, height, bit_depth, mode, len(data), digest, ", ".join(notes))


def _too_many_bytes(name: str, count: int) -> BoneAgeError:
    return BoneAgeError(
        f"{name}: {count / 2**20:.0f} MiB, more than the {LARGEST_FILE_BYTES // 2**20} MiB a photo may have;"
        " save it smaller"
    )


def _open_header(data: bytes, name: str) -> Image.Image:
    """Reads the header alone (Pillow decodes no pixel on opening) and refuses what should not be decoded."""
    try:
        header = Image.open(io.BytesIO(data), formats=_FORMATS)
        kind, size, frames = str(header.format), header.size, getattr(header, "n_frames", 1)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise _too_many_pixels(name) from None
    except Exception:  # A hostile header can trip a parser in any way; whatever the way, it is no photo.
        raise BoneAgeError(
            f"{name}: not a photo (text, a web page, or a damaged header); fetch it again or save it as PNG"
        ) from None
    if kind == "MPO" or frames > 1:
        raise BoneAgeError(
            f"{name}: holds several pictures (animated or MPO); save the one to use as JPEG or PNG"
        )
    if kind not in ("JPEG", "PNG"):
        raise BoneAgeError(f"{name}: {kind} is not read; save it as PNG")
    _check_size(*size, name)
    return header


def _check_size(width: int, height: int, name: str) -> None:
    if width * height > LARGEST_PIXELS:
        raise _too_many_pixels(name)
    if min(width, height) < SMALLEST_SIDE:
        raise BoneAgeError(
            f"{name}: {width} x {height} pixels, too small to show a hand; fetch the photo itself,"
            " not a thumbnail"
        )


def _too_many_pixels(name: str) -> BoneAgeError:
    return BoneAgeError(
        f"{name}: declares more than {LARGEST_PIXELS // 10**6} megapixels, which no radiograph has;"
        " save it smaller"
    )


def _check_whole(kind: str, data: bytes, name: str) -> None:
    fault = _jpeg_fault(data) if kind == "JPEG" else _png_fault(data)
    if fault:
        raise BoneAgeError(f"{name}: {fault}; fetch it again")


def _jpeg_fault(data: bytes) -> str:
    """What is broken in a JPEG's structure (ITU-T T.81, annex B); empty where nothing is.

    Decoders fill what is missing with grey and say nothing; here it is found without decoding.
    """
    position = 2
    marker = 0
    while marker != _JPEG_START_OF_SCAN:
        while data[position : position + 2] == b"\xff\xff":
            position += 1
        if len(data) < position + 4:
            return "cut short before its picture begins"
        start, marker, length = struct.unpack_from(">BBH", data, position)
        if start != 0xFF or length < 2:
            return "damaged in its header"
        position += 2 + length
    end = data.find(_JPEG_END, position)
    if end < 0:
        return "cut short (the end of the JPEG is missing)"
    return "damaged inside its picture" if _JPEG_STRAY_MARKER.search(data, position, end) else ""


def _png_fault(data: bytes) -> str:
    """What is broken in a PNG's chunks (each has a CRC-32); empty where nothing is."""
    position = len(_PNG_SIGNATURE)
    view = memoryview(data)
    kind = b""
    while kind != b"IEND":
        if len(data) < position + 12:
            return "cut short (the end of the PNG is missing)"
        length, kind = struct.unpack_from(">I4s", data, position)
        end = position + 8 + length
        if len(data) < end + 4:
            return "cut short (the end of the PNG is missing)"
        if zlib.crc32(view[position + 4 : end]) != struct.unpack_from(">I", data, end)[0]:
            return "damaged (a checksum inside the PNG does not fit)"
        position = end + 4
    return ""


def _decode(data: bytes, header: Image.Image, bit_depth: int, name: str) -> tuple[np.ndarray, list[str]]:
    """The grey photo, and what was done to make it grey."""
    notes = []
    try:
        if header.mode == "CMYK":
            # OpenCV assumes one of the two polarities of CMYK; Pillow asks the file.
            grey = np.asarray(ImageOps.exif_transpose(header).convert("RGB").convert("L"))
            notes.append("CMYK made grey")
        else:
            grey = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_GRAYSCALE | cv2.IMREAD_ANYDEPTH)
            if grey is None:
                raise ValueError
            if header.mode in ("RGB", "RGBA", "P", "PA"):
                notes.append("colour made grey")
        if "A" in header.mode or ("transparency" in header.info and bit_depth <= 8):
            alpha = np.asarray(ImageOps.exif_transpose(header.convert("RGBA")).getchannel("A"))
            if alpha.min() < 255:
                grey = cv2.multiply(grey, alpha.astype(grey.dtype), scale=1 / 255)
                notes.append("transparent parts made black")
        if "exif" in header.info and header.getexif().get(ExifTags.Base.Orientation, 1) != 1:
            notes.append("turned by its EXIF tag")
    except Exception:  # As for the header: whatever the decoder trips over, the photo is damaged.
        raise BoneAgeError(f"{name}: damaged, it cannot be decoded; fetch it again") from None
    return grey, notes


def _read_dicom(data: bytes, name: str) -> tuple[np.ndarray, str, int, list[str]]:
    """One frame of a grey DICOM file as uint16, its modality values rescaled and bone always bright."""
    try:
        import pydicom
        from pydicom.pixels import apply_modality_lut
    except ImportError:
        raise BoneAgeError(f"{name}: a DICOM file; pip install pydicom (3 or later) and run again") from None
    try:
        dataset = pydicom.dcmread(io.BytesIO(data))
        width, height, mode = int(dataset.Columns), int(dataset.Rows), str(dataset.PhotometricInterpretation)
        frames = int(dataset.get("NumberOfFrames") or 1)
    except Exception:
        raise BoneAgeError(f"{name}: a DICOM file without a picture; leave it out") from None
    _check_size(width, height, name)
    if frames > 1 or mode not in ("MONOCHROME1", "MONOCHROME2"):
        raise BoneAgeError(f"{name}: {frames} frames of {mode}; save the one to use as grey PNG")
    try:
        values = np.asarray(apply_modality_lut(dataset.pixel_array, dataset), np.float64)
    except Exception:
        raise BoneAgeError(f"{name}: its pixels are damaged or packed; save it as PNG") from None
    if mode == "MONOCHROME1":
        values = -values
    values -= values.min()
    grey = np.rint(values * (65535.0 / (values.max() or 1.0))).astype(np.uint16)
    return grey, mode, int(dataset.BitsStored), ["inverted"] if mode == "MONOCHROME1" else []


def to_uint8(photo: np.ndarray) -> np.ndarray:
    """A photo at 8 bits; 16 bits are used to their full depth.

    A detector writes 10 to 14 bits into 16, so that the high byte alone would come out nearly black and in
    bands. The range between the 0.1 and 99.9 percentiles is mapped to 0 to 255 instead.

    Args:
        photo: uint8 or uint16, of shape (height, width).

    Returns:
        uint8 of the same shape; a uint8 photo as it is.
    """
    if photo.dtype == np.uint8:
        return photo
    counts = cv2.calcHist([photo], [0], None, [65536], [0, 65536]).ravel()
    share = np.cumsum(counts, dtype=np.float64) / photo.size
    low, high = np.searchsorted(share, ROBUST_RANGE)
    if low == high:
        low, high = int(photo.min()), int(photo.max())
    if low == high:
        return (photo >> 8).astype(np.uint8)
    steps = (np.arange(65536) - low) / (high - low)
    return np.rint(255 * np.clip(steps, 0, 1)).astype(np.uint8)[photo]


def square(photo: np.ndarray, size: int, pad: str = "background") -> np.ndarray:
    """Fits a photo into the middle of a square, its aspect kept.

    Area interpolation where it gets smaller, cubic where it gets larger.

    Args:
        photo: uint8, of shape (height, width).
        size: Side of the square in pixels.
        pad: Shade of the two bars: "background" is that of the photo's own, "black" is 0, "white" 255.

    Returns:
        uint8 of shape (size, size).
    """
    scale = size / max(photo.shape)
    height, width = (max(1, round(side * scale)) for side in photo.shape)
    interpolation = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    scaled = cv2.resize(photo, (width, height), interpolation=interpolation)
    top, left = (size - height) // 2, (size - width) // 2
    canvas = np.full((size, size), _bar_shade(scaled, pad), np.uint8)
    canvas[top : top + height, left : left + width] = scaled
    return canvas


def _bar_shade(photo: np.ndarray, pad: str) -> int:
    """0, 255, or the median of a frame one twelfth of the short side deep.

    The frame is deeper than the bright line that a collimator or the film's rim leaves along an edge, and
    it takes in all four sides, since one side alone may be blank film, a ruler, or the forearm.
    """
    if pad != "background":
        return {"black": 0, "white": 255}[pad]
    depth = max(1, min(photo.shape) // 12)
    frame = (photo[:depth], photo[-depth:], photo[:, :depth], photo[:, -depth:])
    counts = np.sum([cv2.calcHist([side], [0], None, [256], [0, 256]) for side in frame], axis=0)
    return int(np.searchsorted(np.cumsum(counts), counts.sum() / 2))


def read_file(path: Path) -> np.ndarray:
    """A photo file, such as preprocessing makes, as uint8, (height, width).

    Raises:
        BoneAgeError: It is gone, or as in :func:`read_grey`.
    """
    try:
        return to_uint8(read_grey(path.read_bytes(), path.name)[0])
    except OSError as error:
        raise BoneAgeError(f"{path.name}: cannot be read ({error.strerror}); run preprocess again") from None


@dataclass(frozen=True)
class _Job:
    """One case whose photo is to be made."""

    index: int
    case_id: str
    photo: str
    source: Path
    output: Path
    size: int
    pad: str


def preprocess(
    cases: pd.DataFrame, work: Path | str, size: int = 928, pad: str = "background"
) -> pd.DataFrame:
    """Makes ``photos/<case_id>.png`` in the work folder for every case whose photo can be read.

    Run again, it makes only what is new or changed (another path, size, date, target size or shade, or an
    output that is gone), and it goes on where it was interrupted or killed. A photo once made stays good
    when its source is no longer there. The outputs of cases that have left the table, or whose photo is
    now refused, are removed; nothing else is.

    Args:
        cases: The case table; ``case_id`` and ``photo`` (absolute, or relative to the work folder) are read.
        work: The work folder; ``preprocess.csv`` and ``skipped-preprocess.csv`` are written there too.
        size: Side of the square photos in pixels.
        pad: Shade of the bars, as in :func:`square`.

    Returns:
        The report: a row a case, in the order of the cases, with the columns ``REPORT_COLUMNS``; status is
        ``ok`` or ``skipped``, and ``doubled_of`` names the first case whose file has the same bytes.

    Raises:
        BoneAgeError: A missing column, an unknown shade, a full disk or a read-only folder.
    """
    for column in ("case_id", "photo"):
        if column not in cases.columns:
            raise BoneAgeError(f"case table: column {column} is missing; make the table again")
    if pad not in PADS:
        raise BoneAgeError(f"pad: {pad!r} must be one of {', '.join(PADS)}")
    work = Path(work)
    folder = make_folder(work / PHOTO_FOLDER)
    before = _rows_before(work)
    rows, jobs = _plan(cases, work, before, size, pad)

    # A row is taken back before its photo is touched: whatever the report lists is there and current.
    _save(work, rows)
    _remove_leftovers(folder)
    _remove_outputs(folder, before.keys() - set(cases["case_id"]))
    try:
        saved = time.monotonic()
        for index, row in on_all_cores(_make, jobs, "Preprocess"):
            rows[index] = row
            if row["status"] == "skipped" and row["case_id"] in before:
                _remove_outputs(folder, [row["case_id"]])
            if time.monotonic() - saved > SECONDS_BETWEEN_SAVES:
                _save(work, rows)
                saved = time.monotonic()
    except BaseException:
        # Interrupted, or the disk is full: what was made is kept on record where that is still possible.
        with contextlib.suppress(BoneAgeError):
            _save(work, rows)
        raise
    return _save(work, rows)


def read_report(work: Path | str) -> pd.DataFrame:
    """Reads the report that :func:`preprocess` wrote, with its numbers as nullable whole numbers.

    Raises:
        BoneAgeError: There is none, or it cannot be read.
    """
    return _typed(read_table(Path(work) / REPORT_NAME, REPORT_COLUMNS))


def _rows_before(work: Path) -> dict[str, dict[str, Any]]:
    """The rows of photos that an earlier run made, by case id; none where its report cannot be read."""
    try:
        report = read_report(work)
    except BoneAgeError:
        return {}
    made = report[(report["status"] == "ok") & report["case_id"].map(is_safe_id)]
    return {row["case_id"]: row for row in made.to_dict("records")}


def _typed(report: pd.DataFrame) -> pd.DataFrame:
    for name in _NUMBERS:
        report[name] = pd.to_numeric(report[name], errors="coerce").astype("Int64")
    return report


def _plan(
    cases: pd.DataFrame, work: Path, before: Mapping[str, Mapping[str, Any]], size: int, pad: str
) -> tuple[list[dict[str, Any] | None], list[_Job]]:
    """Rows that are settled without reading a photo (None for the others), and the photos to make."""
    folder = (work / PHOTO_FOLDER).resolve()
    # Some file systems hold "A1.png" and "a1.png" for the same file.
    doubled = cases["case_id"].astype(str).str.casefold().duplicated(keep=False)
    rows: list[dict[str, Any] | None] = []
    jobs = []
    for index, (case_id, photo, twice) in enumerate(
        zip(cases["case_id"], cases["photo"], doubled, strict=True)
    ):
        row = None
        if not is_safe_id(case_id):
            row = _skipped_row(
                case_id, photo, "this case id cannot name a file; use 1 to 64 letters, digits, _ and -"
            )
        elif twice:
            row = _skipped_row(case_id, photo, "two photos have this case id; keep one in the case table")
        elif not isinstance(photo, str) or not photo:
            row = _skipped_row(
                case_id, photo, "the case table names no photo; name one or leave the case out"
            )
        else:
            job = _Job(index, case_id, photo, work / photo, folder / f"{case_id}.png", size, pad)
            if case_id in before and _is_current(job, before[case_id]):
                row = dict(before[case_id])
            else:
                jobs.append(job)
        rows.append(row)
    return rows, jobs


def _is_current(job: _Job, row: Mapping[str, Any]) -> bool:
    """Whether what an earlier run made of a case is still what this run would make."""
    if (row["photo"], row["photo_size"], row["pad"]) != (job.photo, job.size, job.pad):
        return False
    try:
        if job.output.stat().st_size != row["made_bytes"]:
            return False
    except OSError:
        return False
    try:
        source = job.source.stat()
    except (OSError, ValueError):
        # A Colab machine forgets the source and Drive keeps the work: what was made stays good.
        return True
    return bool((source.st_size, source.st_mtime_ns) == (row["bytes"], row["modified"]))


def _make(job: _Job) -> tuple[int, dict[str, Any]]:
    """Makes one photo; what is wrong with its source becomes a skipped row, a failed write is raised."""
    try:
        data, source = _read_source(job)
        grey, facts = read_grey(data, job.photo)
    except BoneAgeError as error:
        return job.index, _skipped_row(job.case_id, job.photo, str(error))
    fitted = square(to_uint8(grey), job.size, job.pad)
    encoded = cv2.imencode(".png", fitted, PNG_ENCODING)[1]
    with atomic_write(job.output, sync=False) as file:
        file.write(encoded)
    made = {
        "case_id": job.case_id,
        "status": "ok",
        "photo": job.photo,
        "modified": source.st_mtime_ns,
        "photo_size": job.size,
        "pad": job.pad,
        "made_bytes": encoded.size,
    }
    return job.index, made | dataclasses.asdict(facts)


def _read_source(job: _Job) -> tuple[bytes, os.stat_result]:
    try:
        # Asked before reading: a file that changes meanwhile looks changed to the next run.
        status = job.source.stat()
        # A pipe or a device would keep the reader waiting for ever.
        if not stat.S_ISREG(status.st_mode):
            raise BoneAgeError(f"{job.photo}: not a file; name the photo itself in the case table")
        if status.st_size > LARGEST_FILE_BYTES:
            raise _too_many_bytes(job.photo, status.st_size)
        if job.source.resolve().parent == job.output.parent:
            raise BoneAgeError(
                f"{job.photo}: lies in the folder this stage writes to; move the photos elsewhere"
            )
        return job.source.read_bytes(), status
    except FileNotFoundError:
        raise BoneAgeError(f"{job.photo}: no such file; put it there or leave the case out") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise BoneAgeError(f"{job.photo}: cannot be read ({reason}); check the file") from None


def _skipped_row(case_id: object, photo: object, reason: str) -> dict[str, Any]:
    return {"case_id": case_id, "status": "skipped", "reason": " ".join(reason.split()), "photo": photo}


def _save(work: Path, rows: Sequence[Mapping[str, Any] | None]) -> pd.DataFrame:
    """Writes the report of the rows that are settled so far, and what of them was skipped."""
    report = pd.DataFrame([row for row in rows if row is not None], columns=list(REPORT_COLUMNS))
    report = _typed(report)
    report["doubled_of"] = _doubled_of(report)
    text = [name for name in REPORT_COLUMNS if name not in _NUMBERS]
    report[text] = report[text].fillna("")
    skipped = report[report["status"] == "skipped"]
    write_table(work / REPORT_NAME, report)
    write_table(work / SKIPPED_NAME, skipped_table(zip(skipped["case_id"], skipped["reason"], strict=True)))
    return report


def _doubled_of(report: pd.DataFrame) -> pd.Series:
    """For each photo the first case whose file has the same bytes; empty for that first one."""
    first: dict[str, str] = {}
    doubles = [
        first.setdefault(digest, case_id) if status == "ok" else case_id
        for case_id, status, digest in zip(report["case_id"], report["status"], report["sha256"], strict=True)
    ]
    return pd.Series(doubles, report.index, dtype=object).where(lambda ids: ids != report["case_id"], "")


def _remove_outputs(folder: Path, case_ids: Iterable[str]) -> None:
    """Removes photos that an earlier run made and that this one no longer stands by."""
    for case_id in case_ids:
        path = folder / f"{case_id}.png"
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise write_error(path, error) from None


def _remove_leftovers(folder: Path) -> None:
    """Removes temporary files of a run that was killed; a living run's are younger."""
    for path in folder.iterdir():
        with contextlib.suppress(OSError):
            if _LEFTOVER.fullmatch(path.name) and time.time() - path.stat().st_mtime > _LEFTOVER_SECONDS:
                path.unlink()


def summary(report: pd.DataFrame) -> pd.DataFrame:
    """What came in, for a person to read: a row for all photos, each kind, the doubled and the skipped.

    Args:
        report: What :func:`preprocess` or :func:`read_report` returned.

    Returns:
        Columns ``what``, ``photos``, ``smallest``, ``median``, ``largest`` (width × height in pixels, by
        number of pixels; the median of width and of height each).
    """
    made = report[report["status"] == "ok"]
    rows = [_summary_row("all that were read", made)]
    for (kind, bit_depth, mode), group in made.groupby(["format", "bit_depth", "mode"]):
        rows.append(_summary_row(f"{kind}, {bit_depth} bit, {mode}", group))
    rows.append(_summary_row("doubled (the bytes of an earlier case)", made[made["doubled_of"] != ""]))
    rows.append(_summary_row("skipped (see the reasons)", report[report["status"] == "skipped"]))
    return pd.DataFrame(rows)


def _summary_row(what: str, photos: pd.DataFrame) -> dict[str, Any]:
    row: dict[str, Any] = {"what": what, "photos": len(photos), "smallest": "", "median": "", "largest": ""}
    sizes = photos[["width", "height"]].dropna().astype(int)
    if len(sizes):
        pixels = sizes["width"] * sizes["height"]
        row["smallest"] = "{} × {}".format(*sizes.loc[pixels.idxmin()])
        row["median"] = "{:.0f} × {:.0f}".format(*sizes.median())
        row["largest"] = "{} × {}".format(*sizes.loc[pixels.idxmax()])
    return row


def contact_sheet(
    photos: Sequence[tuple[str, np.ndarray | Path | str]], columns: int = 8, thumb: int = 160
) -> np.ndarray:
    """Small copies of photos in rows, each with its caption beneath.

    Args:
        photos: (caption, photo) pairs; a photo is a uint8 or uint16 array of shape (height, width) or a path.
        columns: Photos in a row.
        thumb: Side of a small copy in pixels.

    Returns:
        uint8 of shape (height, width).

    Raises:
        BoneAgeError: A path that cannot be read as a photo.
    """
    gap, line = max(2, thumb // 32), max(10, thumb // 9)
    rows = max(1, -(-len(photos) // columns))
    width, height = gap + columns * (thumb + gap), gap + rows * (thumb + line + gap)
    sheet = Image.new("L", (width, height), _SHEET_SHADE)
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(line * 0.8)
    for index, (caption, photo) in enumerate(photos):
        row, column = divmod(index, columns)
        left, top = gap + column * (thumb + gap), gap + row * (thumb + line + gap)
        grey = photo if isinstance(photo, np.ndarray) else read_file(Path(photo))
        sheet.paste(Image.fromarray(square(to_uint8(grey), thumb)), (left, top))
        while caption and draw.textlength(caption, font) > thumb:
            caption = caption[:-1]
        draw.text((left + thumb / 2, top + thumb + line / 2), caption, 255, font, anchor="mm")
    return np.asarray(sheet)


_SHEET_SHADE = 48


def write_contact_sheet(
    path: Path | str,
    cases: pd.DataFrame,
    report: pd.DataFrame,
    work: Path | str,
    count: int = 48,
    columns: int = 8,
    thumb: int = 160,
) -> Path:
    """Writes a contact sheet of the preprocessed photos, drawn evenly over age, as PNG.

    Args:
        path: Where the sheet belongs.
        cases: The case table.
        report: What :func:`preprocess` returned.
        work: The work folder that holds the photos.
        count: Photos on the sheet at most.
        columns: Photos in a row.
        thumb: Side of a small copy in pixels.

    Returns:
        The path.

    Raises:
        BoneAgeError: A photo is gone, or the sheet cannot be written.
    """
    made = cases[cases["case_id"].isin(report.loc[report["status"] == "ok", "case_id"])]
    ages = pd.to_numeric(made.get("bone_age"), errors="coerce")
    groups = pd.to_numeric(made.get("age_group"), errors="coerce")
    captions = ages.map("{:.1f} years".format).where(
        ages.notna(), groups.map("year {:.0f}".format).where(groups.notna(), "age unknown")
    )
    by_age = made.assign(age=ages.fillna(groups), caption=captions).sort_values(["age", "case_id"])
    drawn = by_age.iloc[
        np.unique(np.linspace(0, len(by_age) - 1, min(count, len(by_age))).round().astype(int))
    ]
    photos = [
        (f"{case_id} · {caption}", Path(work) / PHOTO_FOLDER / f"{case_id}.png")
        for case_id, caption in zip(drawn["case_id"], drawn["caption"], strict=True)
    ]
    with atomic_write(path) as file:
        file.write(cv2.imencode(".png", contact_sheet(photos, columns, thumb))[1])
    return Path(path)
