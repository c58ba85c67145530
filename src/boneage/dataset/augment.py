"""Makes the images of an augmentation plan, each from its row alone.

The same plan gives the same bytes, in any order and on any number of cores.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any

import pandas as pd
from filelock import FileLock, Timeout

from boneage.core.columns import Column, Table
from boneage.core.errors import BoneAgeError
from boneage.core.files import atomic_write, make_folder, remove_leftovers, write_error
from boneage.core.parallel import fill_rows
from boneage.core.tables import is_safe_id, read_table, skipped_table, write_table
from boneage.images.grey_range import to_uint8
from boneage.images.operators import apply_operators, operators_of_image
from boneage.images.preprocess import remove_images
from boneage.images.reading import read_grey
from boneage.images.square import to_png

RECORD_NAME = "augment.csv"
LOCK_NAME = ".augment.lock"
SKIPPED_NAME = "skipped-augment.csv"
RECORD_TABLE = Table(
    "Record of the augmented set",
    [
        Column("image_id", "Name of the image."),
        Column("status", "ok, or skipped."),
        Column("reason", "Why it was skipped, and what to do."),
        Column("corrections", "As in the plan it was made from."),
        Column("augmentations", "As in the plan it was made from."),
        Column("source_bytes", "Size of the case's image.", ",.0f"),
        Column("source_modified", "When that was last changed.", ".0f", unit="nanoseconds"),
        Column("made_bytes", "Size of the image's file.", ",.0f"),
    ],
    "augmented/augment.csv",
    "One row per image of the plan.",
)


@dataclass(frozen=True)
class _Job:
    image_id: str
    recipe: tuple[str, str]
    source: Path
    output: Path


def augment(plan: pd.DataFrame, images: Path | str, out: Path | str) -> pd.DataFrame:
    """Makes ``<out>/<image_id>.png`` for every row of a plan.

    A later run makes only what is new, changed or gone. Images without operators are copied, not linked:
    Drive has no links, and the set outlives the folder it came from. Recorded images of an earlier plan that
    are not in this one are removed.

    Args:
        plan: ``tables.PLAN_TABLE``.
        images: Folder of preprocessed images, ``<case_id>.png``.
        out: Folder for the images; ``augment.csv`` and ``skipped-augment.csv`` stand there too.

    Returns:
        A row per image in the plan's order (``RECORD_TABLE``); status is ``ok`` or ``skipped``.

    Raises:
        BoneAgeError: ``out`` is ``images``, another run is at work in ``out``, a full disk or a read-only
            folder.
    """
    images, out = Path(images), make_folder(out)
    if images.resolve() == out.resolve():
        raise BoneAgeError(f"{out}: holds the images to augment; choose another folder for the augmented set")
    try:
        with FileLock(out / LOCK_NAME, timeout=0):
            return _augment(plan, images, out)
    except Timeout:
        raise BoneAgeError(f"{out}: another run makes these images; wait for its end, or stop it") from None
    except OSError as error:
        raise write_error(out, error) from None


def _augment(plan: pd.DataFrame, images: Path, out: Path) -> pd.DataFrame:
    # While the lock is held no other run has any.
    remove_leftovers(out)
    before = _record_before(out)
    rows, jobs = _settled(plan, images, out, before)
    # What an earlier plan made goes first, not last: it may show what this one blanks.
    remove_images(out, before.keys() - {row["image_id"] for row in rows if row["status"] == "ok"})

    def make(job: _Job) -> dict[str, str]:
        row = _make(job)
        if row["status"] == "skipped":
            remove_images(out, [job.image_id])
        return row

    # Every image is on record before it is made: what an interrupted run leaves behind is always known.
    return fill_rows(rows, make, jobs, lambda rows: _save(out, rows), "Augment")


def _record_before(out: Path) -> dict[str, dict[str, str]]:
    try:
        record = read_table(out / RECORD_NAME, RECORD_TABLE)
    except BoneAgeError:
        return {}
    safe = record[record["image_id"].map(is_safe_id)]
    rows: list[Any] = safe.to_dict("records")
    return {row["image_id"]: row for row in rows}


def _settled(
    plan: pd.DataFrame, images: Path, out: Path, before: Mapping[str, Mapping[str, str]]
) -> tuple[list[dict[str, str]], dict[int, _Job]]:
    """A row of the record for each image as things stand, and the images to make, by row."""
    twice = plan["image_id"].astype(str).str.casefold().duplicated(keep=False)
    rows, jobs = [], {}
    columns = (plan[name] for name in ("image_id", "case_id", "corrections", "augmentations"))
    for index, (image_id, case_id, *recipe, doubled) in enumerate(zip(*columns, twice, strict=True)):
        if not (is_safe_id(image_id) and is_safe_id(case_id)):
            reason = "an id in this row cannot name a file; use 1 to 64 letters, digits, _ and -"
            row = _skipped(image_id, recipe, reason)
        elif doubled:
            row = _skipped(image_id, recipe, "two rows have this image_id; make the plan again")
        else:
            source, output = images / f"{case_id}.png", out / f"{image_id}.png"
            job = _Job(image_id, (recipe[0], recipe[1]), source, output)
            if image_id in before and _is_current(job, before[image_id]):
                row = dict(before[image_id])
            else:
                row = _row(image_id, "planned", "", *recipe)
                jobs[index] = job
        rows.append(row)
    return rows, jobs


def _is_current(job: _Job, row: Mapping[str, str]) -> bool:
    try:
        if (row["status"], row["corrections"], row["augmentations"]) != ("ok", *job.recipe):
            return False
        if str(job.output.stat().st_size) != row["made_bytes"]:
            return False
    except OSError:
        return False
    try:
        source = job.source.stat()
    except OSError:
        # What was made stays good when its source folder is gone.
        return True
    return (str(source.st_size), str(source.st_mtime_ns)) == (row["source_bytes"], row["source_modified"])


def _make(job: _Job) -> dict[str, str]:
    """Makes one image; a fault of its recipe or source becomes a skipped row, a failed write is raised."""
    try:
        operators = operators_of_image(*job.recipe)
        source = job.source.stat()
        data = job.source.read_bytes()
        image = to_uint8(read_grey(data, job.source.name)[0])
        if operators:
            data = to_png(apply_operators(image, operators))
    except BoneAgeError as error:
        return _skipped(job.image_id, job.recipe, str(error))
    except OSError as error:
        reason = f"{job.source.name}: cannot be read ({error.strerror}); preprocess it again"
        return _skipped(job.image_id, job.recipe, reason)
    with atomic_write(job.output, sync=False) as file:
        file.write(data)
    return _row(job.image_id, "ok", "", *job.recipe, source.st_size, source.st_mtime_ns, len(data))


def _row(*cells: object) -> dict[str, str]:
    """A row of the record; what is not known yet is empty."""
    return dict(zip_longest(RECORD_TABLE, map(str, cells), fillvalue=""))


def _skipped(image_id: object, recipe: Sequence[object], reason: str) -> dict[str, str]:
    return _row(image_id, "skipped", " ".join(reason.split()), *recipe)


def _save(out: Path, rows: Sequence[Mapping[str, str]]) -> pd.DataFrame:
    record = pd.DataFrame(rows, columns=list(RECORD_TABLE))
    skipped = record[record["status"] == "skipped"]
    write_table(out / RECORD_NAME, record)
    write_table(out / SKIPPED_NAME, skipped_table(zip(skipped["image_id"], skipped["reason"], strict=True)))
    return record
