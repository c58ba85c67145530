"""The work folder: where each table is, what it was made from, and whether it still holds.

A stage that is done leaves ``made/<stage>.json`` (:class:`Made`): digests of the tables that it read and of
what it made, and the settings that count. Nothing in it names a place, so a work folder can be moved; what is
not here, because it was carried alone or a cache was lost, is not compared.
"""

import contextlib
import hashlib
import itertools
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple, ParamSpec

import pandas as pd
from pydantic import BaseModel, ValidationError

from boneage.core.errors import BoneAgeError
from boneage.core.files import digest_of_source, write_bytes, write_text, writing
from boneage.core.settings import DETECTORS, Settings
from boneage.core.tables import CASE_TABLE, LABEL_TABLE, read_table
from boneage.review.applying import standing_choices
from boneage.review.log import ReviewLog

P = ParamSpec("P")

_DAMAGED = "damaged"

# Of a large file, what is read to know it again.
_SAMPLE = 2**16

# In a folder: the runs' records, tables, and a pack.
_SEALED = ("*/record.json", "*.csv", "index.json", "*.npy")

_SPLIT = ("validation_share", "test_share", "split_seed")
_DRAWN = ("phantoms_per_group", "phantom_anomalies", "split_seed")
# Of a case all that is known, but not where its file lies.
_OF_CASE = tuple(name for name in CASE_TABLE if name != "image")
_HAS_IMAGE = ("case_id", "status", "doubled_of")
_IMAGE = ("case_id", "sha256", "image_size", "pad")


@dataclass(frozen=True)
class Stage:
    """A stage: what it makes, and of what.

    Attributes:
        name: Its verb.
        makes: The attribute of :class:`Workspace` that says where what it makes lies.
        beside: The same of what it makes beside that.
        reads: The tables that it reads, by their attribute, with the columns that count (none named: all).
        settings: The settings that count.
        code: The packages whose source counts.
        large: Whether what it makes lies in the cache folder.
        by_hand: Whether a person may correct what it makes.
        optional: Whether the stages after it go on without it.
    """

    name: str
    makes: str
    reads: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    settings: tuple[str, ...] = ()
    beside: tuple[str, ...] = ()
    code: tuple[str, ...] = ()
    large: bool = False
    by_hand: bool = False
    optional: bool = False


_DECIDED = {"cases": _OF_CASE, "preprocess": _HAS_IMAGE, "review": ()}
# Cases with the same picture stay together, and copies suit each one's own.
_DEALT = {**_DECIDED, "preprocess": (*_HAS_IMAGE, *_IMAGE[1:])}

STAGES = {
    one.name: one
    for one in (
        Stage("cases", "cases", {}, ("source", "data", "unit"), ("units",), by_hand=True),
        Stage("preprocess", "preprocess", {"cases": ("case_id", "image")}, ("image_size", "pad"), large=True),
        Stage(
            "anomalies",
            "anomalies",
            {"cases": _OF_CASE, "preprocess": _IMAGE},
            code=DETECTORS,
            optional=True,
        ),
        Stage("review", "accepted", _DECIDED, beside=("rejected",), optional=True),
        Stage(
            "plan",
            "plan",
            _DEALT,
            ("label", "total", "laterality_matters", *_SPLIT),
            optional=True,
        ),
        Stage("augment", "augmented_record", {"plan": (), "preprocess": _IMAGE}, large=True, optional=True),
        Stage(
            "labels",
            "labels",
            {**_DEALT, "plan": (), "augmented_record": ("image_id", "status")},
            ("label", *_SPLIT),
            ("facts",),
            by_hand=True,
        ),
        Stage("pack", "pack", {"labels": ()}, ("train_size",), large=True),
        Stage("compare", "report", {"labels": (), "runs": ()}, ("epochs",), ("comparison",)),
    )
}
"""The stages in their order, by their verb."""

# What a person may correct is a table only with all its columns.
_MUST_HAVE = {"cases": tuple(CASE_TABLE), "labels": tuple(LABEL_TABLE)}

# Where a record is put while its stage runs.
_ASIDE = ".before"

_MAKERS = {stage.makes: name for name, stage in STAGES.items()}

_WORDS = {
    "preprocess": "the images",
    "review": "the review log",
    "augmented_record": "the augmented images",
    "pack": "the pack",
    "runs": "the runs",
}


class Digest(NamedTuple):
    """What tells whether a table is the same: its bytes, else the text of the cells that count."""

    seal: str
    content: str


class Made(BaseModel):
    """What a stage made, and of what; ``more`` is what only the stage itself can compare."""

    at: str
    count: int
    reads: dict[str, Digest]
    settings: dict[str, Any]
    code: str
    output: Digest
    more: dict[str, str]
    beside: dict[str, Digest] = {}


RUNS_NAME = "runs"
"""The folder of all runs, in the work folder and among the records."""


@dataclass(frozen=True)
class Workspace:
    """The work folder of some settings, and the cache folder for what is large and can be made again.

    Nothing is made by asking where something is.

    Attributes:
        settings: What the stages make, and where.
    """

    settings: Settings

    @classmethod
    def at(cls, folder: Path | str) -> "Workspace":
        """A work folder of which no more is asked than where its tables are."""
        return cls(Settings(work=str(folder)))

    def replace(self, **overrides: Any) -> "Workspace":
        """The work folder of the same settings but for some; see :meth:`Settings.replace`."""
        return Workspace(self.settings.replace(**overrides))

    @property
    def root(self) -> Path:
        """The work folder."""
        return Path(self.settings.work)

    @property
    def large(self) -> Path:
        """The folder of the source's files, the images and the packed images: the cache, if there is one."""
        return Path(self.settings.cache) if self.settings.cache else self.root

    @property
    def settings_file(self) -> Path:
        """The settings of the last notebook or verb, so that the next verb needs no repeating of them."""
        return self.root / "settings.json"

    @property
    def data(self) -> Path:
        """Radiographs that were fetched, unpacked or drawn."""
        return self.large / "data"

    @property
    def cases(self) -> Path:
        """The case table."""
        return self.root / "cases.csv"

    @property
    def units(self) -> Path:
        """What the bone ages of each table were taken for, such as months or years."""
        return self.cases.with_suffix(".json")

    @property
    def images(self) -> Path:
        """The square images, ``<case id>.png``."""
        return self.large / "images"

    @property
    def preprocess(self) -> Path:
        """What came in: one row per case; it tells of the images beside it."""
        return self.large / "preprocess.csv"

    @property
    def contact_sheet(self) -> Path:
        """A sample of the images on one sheet."""
        return self.root / "contact_sheet.png"

    @property
    def anomalies(self) -> Path:
        """What the detectors say, highest score first."""
        return self.root / "anomalies.csv"

    @property
    def review(self) -> Path:
        """The review log: every decision of a person, append-only."""
        return self.root / "review.csv"

    @property
    def accepted(self) -> Path:
        """The case table without the rejected cases, with what was chosen for each image."""
        return self.root / "accepted.csv"

    @property
    def rejected(self) -> Path:
        """The rejected cases, each with its reason."""
        return self.root / "rejected.csv"

    @property
    def plan(self) -> Path:
        """The augmentation plan: how each image of the augmented set is made."""
        return self.root / "plan.csv"

    @property
    def augmented(self) -> Path:
        """The images of the plan, ``<image id>.png``."""
        return self.large / "augmented"

    @property
    def augmented_record(self) -> Path:
        """How each of them was made, row by row."""
        return self.augmented / "augment.csv"

    @property
    def labels(self) -> Path:
        """The label CSV."""
        return self.root / "labels.csv"

    @property
    def facts(self) -> Path:
        """Whose ages the labels are, and the seed of their split."""
        return self.labels.with_suffix(".json")

    def pack(self, size: int = 0) -> Path:
        """The folder of the packed images at a training size; that of the settings by default."""
        return self.large / f"pack-{size or self.settings.train_size}"

    @property
    def runs(self) -> Path:
        """One folder per training run."""
        return self.root / RUNS_NAME

    def runs_of_fold(self, fold: str) -> Path:
        """The runs that hold out a fold of a cross-validation, such as ``1-of-5``."""
        return self.root / f"{RUNS_NAME}-fold-{fold}"

    @property
    def report(self) -> Path:
        """The comparison, to open in a browser."""
        return self.root / "report.html"

    @property
    def comparison(self) -> Path:
        """Its tables."""
        return self.root / "comparison"

    def skipped(self, stage: str) -> Path:
        """What a stage left out, and why."""
        folder = self.augmented if stage == "augment" else self.root
        return folder / f"skipped-{stage}.csv"

    def record(self, name: str) -> Path:
        """What a stage left about what it made (:class:`Made`)."""
        stage = STAGES[name]
        stem = self.pack().name if name == "pack" else name
        return (self.large if stage.large else self.root) / "made" / f"{stem}.json"

    def made(self, name: str) -> Made | None:
        """What a stage left about what it made; None where it was never finished."""
        path = self.record(name)
        # What a run that was killed put aside still tells whether a person corrected the table.
        for one in (path, path.with_suffix(_ASIDE)) if STAGES[name].by_hand else (path,):
            with contextlib.suppress(OSError, ValidationError):
                return Made.model_validate_json(one.read_bytes())
        return None

    @contextlib.contextmanager
    def making(self, name: str, **more: str) -> Iterator[Made]:
        """Keeps on record what a stage makes inside the block, and of what.

        The block sets how many there are, and what else is to be compared. One that fails leaves what was on
        record if it has touched nothing, else none. A table that was corrected by hand is first kept under
        another name.

        Args:
            name: The stage.
            more: Digests of what it is made of besides tables of this folder.
        """
        stage, path = STAGES[name], self.record(name)
        made = Made(
            at="",
            count=0,
            # Before it is made: a change while the stage runs counts as a change.
            reads={one: self._digest(one, columns) for one, columns in self.reads(stage).items()},
            settings=self._settings(stage),
            code=digest_of_source(stage.code) if stage.code else "",
            output=Digest("", ""),
            more=more,
        )
        if stage.by_hand and self._is_edited(name) and self.where(stage.makes).is_file():
            _keep_corrected(self.where(stage.makes))
        # Moved rather than written again: that needs no space on a full disk.
        aside = path.with_suffix(_ASIDE)
        at_start = self._digest(stage.makes)
        with writing(path):
            if path.is_file():
                path.replace(aside)
        try:
            yield made
        except BaseException:
            if aside.is_file() and not self._differs(stage.makes, (), at_start):
                aside.replace(path)
            aside.unlink(missing_ok=True)
            raise
        made.at, made.output = datetime.now(UTC).isoformat(timespec="seconds"), self._digest(stage.makes)
        made.beside = {one: self._digest(one) for one in stage.beside}
        write_text(path, made.model_dump_json(indent=1) + "\n")
        aside.unlink(missing_ok=True)

    def is_current(self, name: str, **more: str) -> bool:
        """Whether what a stage made is there as it was made, and would be made the same again."""
        there = self.is_made(name) and self.made(name) is not None
        return there and not self.changes(name, **more)

    def is_made(self, name: str) -> bool:
        """Whether what a stage makes is there, in whatever state."""
        # Corrected images without a plan are made for the labels, which tell of them.
        planned = name != "augment" or self.plan.is_file()
        return planned and self.where(STAGES[name].makes).exists()

    def is_corrected(self, name: str) -> bool:
        """Whether a person corrected what a stage made; that stands."""
        return STAGES[name].by_hand and self._is_edited(name) and not self.is_unreadable(STAGES[name].makes)

    def is_unreadable(self, attribute: str) -> bool:
        """Whether a table is there, but none that can be read."""
        return _content(self.where(attribute), _MUST_HAVE.get(attribute, ())) == _DAMAGED

    def _is_edited(self, name: str) -> bool:
        made = self.made(name)
        return made is not None and self._differs(STAGES[name].makes, (), made.output)

    def _damage(self, name: str) -> list[str]:
        """What of a stage is not as it made it; what a person corrected stands."""
        stage, made = STAGES[name], self.made(name)
        found = []
        if (made is None or self._is_edited(name)) and self.is_unreadable(stage.makes):
            found.append(f"{self.where(stage.makes).name} cannot be read")
        elif self._is_edited(name) and not stage.by_hand:
            found.append(f"{self.where(stage.makes).name} was edited")
        # Without the cases it was carried here, with as much as it needs.
        for one, known in made.beside.items() if made and self.cases.is_file() else ():
            if known.seal and not self.where(one).exists():
                found.append(f"{self.where(one).name} is missing")
            elif self._differs(one, (), known):
                found.append(f"{self.where(one).name} was edited")
        return found

    def changes(self, name: str, **more: str) -> list[str]:
        """Why what a stage made no longer holds, each reason in a few plain words.

        What a person corrected stands. Nothing is found where nothing is here to compare with.

        Args:
            name: The stage.
            more: As of :meth:`making`.
        """
        stage, made, here = STAGES[name], self.made(name), self.cases.is_file()
        reasons = self._damage(name)
        if made is None:
            return [*reasons, "not finished, or made elsewhere"] if here else reasons
        reasons += [f"the {one} changed" for one, digest in more.items() if made.more.get(one) != digest]
        if not here and name != "compare":
            return reasons
        for one, columns in self.reads(stage).items():
            if self._differs(one, columns, made.reads.get(one, Digest("", ""))):
                reasons.append(self._words_of_change(one, made.reads.get(one)))
        for one, now in self._settings(stage).items():
            before = made.settings.get(one, now)
            if before != now:
                reasons.append(f"--{one.replace('_', '-')} changed from {_said(before)} to {_said(now)}")
        if stage.code and made.code != digest_of_source(stage.code):
            reasons.append("the detectors changed")
        return reasons

    def outdated(self) -> dict[str, list[str]]:
        """Why each stage is out of date, by itself or because one is whose table it reads, in their order.

        Nothing is found where it is up to date or was never made.
        """
        found: dict[str, list[str]] = {}
        for name, stage in STAGES.items():
            found[name] = []
            if self.is_made(name):
                why = self.changes(name)
                behind = [self.words_of(one) for one in self.reads(stage) if found.get(_MAKERS.get(one, ""))]
                why += [
                    f"{one} out of date" for one in behind if not any(said.startswith(one) for said in why)
                ]
                found[name] = why
        return found

    def where(self, attribute: str) -> Path:
        """The path that an attribute, as a stage names it, stands for."""
        path: Path = self.pack() if attribute == "pack" else getattr(self, attribute)
        return path

    def reads(self, stage: Stage) -> dict[str, tuple[str, ...]]:
        """What a stage reads; without a plan the labels are of the square images."""
        without = "augmented_record" if stage.name == "labels" and not self.plan.is_file() else ""
        return {one: columns for one, columns in stage.reads.items() if one != without}

    def _settings(self, stage: Stage) -> dict[str, Any]:
        names = set(stage.settings)
        if stage.name == "cases" and self.settings.source == "phantom":
            names |= set(_DRAWN)
        return self.settings.model_dump(mode="json", include=names)

    def _digest(self, attribute: str, columns: tuple[str, ...] = ()) -> Digest:
        path = self.where(attribute)
        return Digest(_seal(path), _content(path, columns))

    def _differs(self, attribute: str, columns: tuple[str, ...], known: Digest) -> bool:
        path = self.where(attribute)
        if not path.exists() and attribute != "review":
            # It was carried away, or its cache was lost; a log that is gone takes its decisions with it.
            return False
        return _seal(path) != known.seal and _content(path, columns) != known.content

    def words_of(self, attribute: str) -> str:
        """What a table or folder is called."""
        return _WORDS.get(attribute, self.where(attribute).name)

    def _words_of_change(self, attribute: str, known: Digest | None) -> str:
        words = self.words_of(attribute)
        many = words.endswith("s")
        if self.is_unreadable(attribute):
            return f"{words} cannot be read"
        if not (known and known.seal) and attribute != "review":
            return f"{words} {'are' if many else 'is'} new"
        edited = attribute in _MAKERS and self._is_edited(_MAKERS[attribute])
        return f"{words} {('were edited' if many else 'was edited') if edited else 'changed'}"


def _keep_corrected(table: Path) -> None:
    """Keeps a copy of a table that was corrected by hand, for when it is made anew."""
    corrected = table.read_bytes()
    names = (f"{table.stem}-corrected-{number}" for number in itertools.count(1))
    # A command that failed may have kept it already.
    aside = next(
        one for one in map(table.with_stem, names) if not one.exists() or one.read_bytes() == corrected
    )
    if not aside.exists():
        write_bytes(aside, corrected)
        print(f"{table} was corrected by hand; that table is kept as {aside.name}")


def files_digest(files: Mapping[str, Path]) -> str:
    """A digest of many files by their names, sizes and times, none of which is read."""
    facts = ((name, path.stat()) for name, path in files.items())
    return _digest_of("".join(f"{name} {one.st_size} {one.st_mtime_ns}\n" for name, one in facts))


def table_digest(table: pd.DataFrame) -> str:
    """A digest of the cells of a table."""
    return _digest_of(table.to_csv(index=False))


def _digest_of(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _or_damaged(digest: Callable[P, str]) -> Callable[P, str]:
    """What cannot be read is like nothing else."""

    def tried(*arguments: P.args, **named: P.kwargs) -> str:
        try:
            return digest(*arguments, **named)
        except (BoneAgeError, OSError):
            return _DAMAGED

    return tried


@_or_damaged
def _seal(path: Path) -> str:
    """The bytes of a table or of those in a folder; of a large file, or a shard, its size, start and end.

    Empty where there is none.
    """
    if path.is_dir():
        found = [one for names in _SEALED for one in path.glob(names)]
        files = {one.relative_to(path).as_posix(): one for one in sorted(found) if one.is_file()}
        return _digest_of("".join(name + _seal(one) for name, one in files.items()))
    if not path.is_file():
        return ""
    with open(path, "rb") as file:
        if path.suffix in (".csv", ".json"):
            return hashlib.file_digest(file, "sha256").hexdigest()
        # Not its time, which is another wherever it is copied.
        size = file.seek(0, 2)
        start = (file.seek(0), file.read(_SAMPLE))
        end = (file.seek(max(0, size - _SAMPLE)), file.read(_SAMPLE))
    return _digest_of(repr((size, start, end)))


@_or_damaged
def _content(path: Path, columns: tuple[str, ...]) -> str:
    """The cells that count, or what a review log says of every case."""
    if path.name == "review.csv":
        return _digest_of(json.dumps(standing_choices(ReviewLog(path, read_only=True))))
    if path.suffix != ".csv" or not path.exists():
        return _seal(path)
    table = read_table(path, columns)
    # A row that appears twice is read once.
    return table_digest(table[list(columns or table.columns)].drop_duplicates())


def _said(value: object) -> str:
    return " ".join(map(str, value)) if isinstance(value, list) else str(value) or "none"
