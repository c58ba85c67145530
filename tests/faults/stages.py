"""The stages of the fault matrix: how each is called, what it reads, and what of that may change."""

import csv
import functools
import io
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from arena import Arena

from boneage.core import objects
from boneage.review.log import ReviewLog
from boneage.sources import manifest, web

SIZE = 32
"""Side of the packed images."""

BUCKET = "atlas"
"""The bucket that holds the drawn radiographs, too."""

_LONG_AGO = datetime(2026, 1, 2, tzinfo=UTC)

_TINY = ("--width", "tiny", "--batch-size", "8", "--backend", "tensorflow")


@dataclass(frozen=True)
class Stage:
    """A stage of the matrix.

    Attributes:
        name: As the table shows it.
        verb: The words after ``python -m boneage``; ``{work}``, ``{cache}``, ``{data}`` and ``{box}`` stand
            for folders.
        begins: The name under which what it begins with is kept; by default its own.
        reads: Files of the stages before it, as patterns below the box or the data; the first match counts.
        change: Changes what it reads, as a person or another command may; empty for nothing to change.
        again: The verbs to be run after such a change.
        prepare: What its process does first.
        order: Files in which a change stands where it came in between.
        asks_network: Whether it reads from a server.
    """

    name: str
    verb: tuple[str, ...]
    begins: str = ""
    reads: tuple[str, ...] = ()
    change: Callable[[Arena], None] | None = None
    again: tuple[str, ...] = ()
    prepare: Callable[[Arena], None] | None = None
    order: tuple[str, ...] = ()
    asks_network: bool = False


def arguments(stage: Stage, arena: Arena) -> list[str]:
    """The words after ``python -m boneage``."""
    places = {"work": arena.work, "cache": arena.cache, "data": arena.data, "box": arena.box}
    return [word.format(**places) for word in stage.verb]


def _decide(arena: Arena) -> None:
    """Another board rejects a case."""
    rows = list(csv.DictReader(io.StringIO((arena.cache / "atlas/review.csv").read_text())))
    case_id = next(row["case_id"] for row in rows[8:] if row["decision"] == "keep")
    ReviewLog(arena.work / "review.csv", "another", lambda: _LONG_AGO).append(case_id, "reject", "other")


def _edit(path: Path, change: Callable[[list[dict[str, str]]], None]) -> None:
    rows = list(csv.DictReader(io.StringIO(path.read_text())))
    names = list(rows[0])
    change(rows)
    text = io.StringIO()
    writer = csv.DictWriter(text, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    path.write_text(text.getvalue())


def _correct_cases(arena: Arena) -> None:
    """A person corrects an age in the case table."""
    _edit(arena.work / "cases.csv", lambda rows: rows[3].update(bone_age="9.5"))


def _correct_labels(arena: Arena) -> None:
    _edit(arena.work / "labels.csv", lambda rows: rows[3].update({"Bone Age": "9.5"}))


def _correct_readings(arena: Arena) -> None:
    _edit(arena.cache / "atlas/readings.csv", lambda rows: rows[3].update({"reading 1": "9.5"}))


def _replace_image(arena: Arena) -> None:
    """Another radiograph takes the place of one."""
    images = sorted((arena.cache / "atlas").rglob("*.jpg"))
    shutil.copyfile(images[1], images[12])
    # Always the same time, because the table of the images tells it.
    os.utime(images[12], (_LONG_AGO.timestamp(),) * 2)


def _replace_radiograph(arena: Arena) -> None:
    images = sorted((arena.box / "hands").glob("*.jpg"))
    shutil.copyfile(images[0], images[-1])


def _another_run(arena: Arena) -> None:
    """Another training finishes."""
    shutil.copytree(arena.kept / "another-run", arena.work / "runs", dirs_exist_ok=True)


def _from_this_machine(arena: Arena) -> None:
    """The manifest of the arena in place of the checkout's, and little patience."""
    manifest.data_for.__defaults__ = (arena.root / "manifest.csv",)
    manifest.Web = functools.partial(web.Web, attempts=2, timeout=1.0)
    web._FIRST_WAIT = 0.1


def _from_the_bucket(arena: Arena) -> None:
    """Addresses of S3 lead to this machine, and little patience."""
    os.environ |= {
        "AWS_ACCESS_KEY_ID": "somebody",
        "AWS_SECRET_ACCESS_KEY": "nothing",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": (arena.root / "bucket-address").read_text(),
        "NO_PROXY": "localhost",
    }
    objects._ATTEMPTS = 2


_WHERE = ("--work", "{work}")
_CASES = ("cases", *_WHERE, "--cache", "{cache}", "--source", "phantom", "--data", "{cache}/atlas")
_TRAIN = ("train", "--arch", "cnn", "--epochs", "2", *_TINY, "--accept-losses", *_WHERE)
_JPEG = "cache/atlas/**/*.jpg"

STAGES = (
    Stage(
        "fetch: drawn",
        ("fetch", *_WHERE, "--cache", "{cache}", "--source", "phantom", "--phantoms-per-group", "1"),
    ),
    Stage(
        "fetch: downloaded",
        ("fetch", *_WHERE, "--cache", "{cache}", "--source", "rsna"),
        prepare=_from_this_machine,
        asks_network=True,
    ),
    Stage(
        "cases: bucket",
        ("cases", *_WHERE, "--cache", "{cache}", "--source", "phantom", "--data", f"s3://{BUCKET}"),
        prepare=_from_the_bucket,
        asks_network=True,
    ),
    Stage(
        "preprocess: bucket",
        ("preprocess", *_WHERE, "--image-size", "256"),
        prepare=_from_the_bucket,
        asks_network=True,
    ),
    Stage("cases", _CASES, "", ("cache/atlas/readings.csv",), _correct_readings, ("cases",)),
    Stage(
        "preprocess",
        ("preprocess", *_WHERE, "--image-size", "256"),
        "",
        (_JPEG, "work/cases.csv"),
        _replace_image,
        ("preprocess",),
    ),
    Stage(
        "anomalies",
        ("anomalies", *_WHERE),
        "",
        ("cache/images/*.png", "cache/preprocess.csv", "work/cases.csv"),
        _correct_cases,
        ("anomalies",),
    ),
    Stage(
        "review",
        ("review", *_WHERE, "--apply", "{cache}/atlas/review.csv"),
        "",
        ("cache/preprocess.csv", "work/cases.csv", "cache/atlas/review.csv"),
        _decide,
        ("review",),
        order=("work/review.csv", "work/made/review.json"),
    ),
    Stage(
        "plan",
        ("plan", *_WHERE, "--total", "40", "--validation-share", "0.35", "--test-share", "0.2"),
        "",
        ("cache/images/*.png", "work/cases.csv", "work/review.csv"),
        _decide,
        ("plan",),
    ),
    Stage(
        "augment",
        ("augment", *_WHERE),
        "",
        ("cache/images/*.png", "work/plan.csv"),
        _decide,
        ("plan", "augment"),
    ),
    Stage(
        "labels",
        ("labels", *_WHERE),
        "",
        ("cache/augmented/augment.csv", "work/plan.csv", "work/cases.csv"),
        _decide,
        ("plan", "augment", "labels"),
    ),
    Stage(
        "pack",
        ("pack", *_WHERE, "--train-size", str(SIZE)),
        "",
        ("cache/augmented/*.png", "work/labels.csv"),
        _correct_labels,
        ("pack",),
    ),
    Stage(
        "train",
        _TRAIN,
        "",
        (f"cache/pack-{SIZE}/*.npy", "work/labels.csv"),
        _correct_labels,
        ("train",),
    ),
    Stage(
        "pretrain",
        ("pretrain", "--arch", "cnn", "--hands", "24", "--train-size", str(SIZE), *_TINY, *_WHERE),
        "train",
    ),
    Stage(
        "compare",
        ("compare", "--epochs", "2", "--backend", "tensorflow", *_WHERE),
        "",
        ("work/runs/*/predictions.csv", "work/runs/*/record.json", "work/labels.csv"),
        _another_run,
        ("compare",),
    ),
    Stage(
        "estimate",
        ("estimate", "{box}/hands", "--run", "{work}/runs/cnn-2-augmented-s2026", "--out", "{box}/out"),
        "",
        ("hands/*.jpg", "work/runs/*/model.keras", "work/runs/*/record.json"),
        _replace_radiograph,
        ("estimate",),
    ),
)
