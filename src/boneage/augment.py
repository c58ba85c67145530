"""Growing the set: a balanced plan (a table of recipes), and the photos made from it.

The plan is the truth. A photo is made from its row alone, so the same table gives the same bytes again, in
any order and on any number of cores. Copies are made of training cases only: every accepted case stands in
the plan once untouched, in the split that was drawn for it before.
"""

import contextlib
import heapq
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, count, product
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd

from boneage.errors import BoneAgeError
from boneage.files import atomic_write, make_folder, write_error
from boneage.operators import OPERATORS, apply_operators, background_shade, format_operators, parse_operators
from boneage.preprocess import PNG_ENCODING, read_grey, to_uint8
from boneage.runtime import on_all_cores
from boneage.tables import PLAN_COLUMNS, SPLITS, is_safe_id, read_table, skipped_table, write_table

TOTAL = 7393
MOST_OPERATORS = 3
"""Operators in one drawn recipe at most: each costs some likeness to a radiograph."""

RECORD_NAME = "materialise.csv"
SKIPPED_NAME = "skipped-materialise.csv"
RECORD_COLUMNS = (
    "photo_id",
    "status",
    "reason",
    "operators",
    "source_bytes",
    "source_modified",
    "made_bytes",
)
_PHOTOS_BETWEEN_SAVES = 500


def _without(values: Iterable[float], neutral: float) -> tuple[float, ...]:
    return tuple(round(float(value), 2) for value in values if abs(value - neutral) > 1e-9)


# What is drawn at random, by allowed name: the operator, its parameter and the values, mild and never
# neutral. `blank` is not here: where a box belongs only a person can say.
_DRAWN: dict[str, tuple[str, str | None, tuple[float, ...]]] = {
    "invert": ("invert", None, ()),
    "flip": ("flip", None, ()),
    "rotate": ("rotate", "degrees", _without(np.arange(-30, 31) / 2, 0)),
    "brighten": ("brightness", "shades", _without(np.arange(5, 41), 0)),
    "darken": ("brightness", "shades", _without(np.arange(-40, -4), 0)),
    "brightness": ("brightness", "shades", _without([*range(-40, -4), *range(5, 41)], 0)),
    "contrast": ("contrast", "factor", _without(np.arange(80, 141, 2) / 100, 1)),
    "gamma": ("gamma", "power", _without(np.arange(70, 141, 2) / 100, 1)),
    "clahe": ("clahe", "clip", _without(np.arange(15, 36) / 10, 0)),
    "sharpen": ("sharpen", "amount", _without(np.arange(2, 16) / 10, 0)),
    "tint": ("tint", "warmth", _without(np.arange(-10, 11) / 10, 0)),
}
DEFAULT_ALLOWED = ("flip", "rotate", "brightness", "contrast", "gamma")
"""What a photo may be given where neither a person nor its own exposure said otherwise."""


def suggest_operators(photo: np.ndarray, laterality_matters: bool = False) -> list[str]:
    """Names that suit a photo, from its own exposure.

    Args:
        photo: uint8, (height, width).
        laterality_matters: Whether a mirrored hand would be a wrong hand.

    Returns:
        Names that :func:`balanced_plan` draws from.
    """
    hand = photo[photo > background_shade(photo) + 10]
    low, middle, high = np.percentile(hand if hand.size else photo, (5, 50, 95))
    names = ["rotate", "gamma"] if laterality_matters else ["flip", "rotate", "gamma"]
    if middle < 150:
        names.append("brighten")
    if middle > 80:
        names.append("darken")
    names += ["contrast", "clahe"] if high - low < 100 else ["contrast"]
    return names


def balanced_plan(
    cases: pd.DataFrame,
    total: int = TOTAL,
    allowed: Mapping[str, Sequence[str]] | None = None,
    laterality_matters: bool = False,
    seed: int = 2026,
) -> tuple[pd.DataFrame, list[str]]:
    """Plans ``total`` photos: each case once untouched, and copies of training cases that even out the years.

    Quotas are filled as water fills vessels: the next copy goes to the year that has fewest photos, in it
    to the sex, then the race, then the case that has fewest. What a year cannot take goes to the others.

    Args:
        cases: Columns ``case_id``, ``year`` (age in years), ``sex``, ``race``, ``split``.
        total: Rows of the plan.
        allowed: Names from which a case's copies are drawn (:func:`suggest_operators`), by case id;
            ``DEFAULT_ALLOWED`` for others. ``blank`` is allowed but never drawn.
        laterality_matters: Whether to leave out flips whatever is allowed.
        seed: The same seed gives the same plan, in whatever order the cases come.

    Returns:
        The plan (``tables.PLAN_COLUMNS``), and a line for each year that could not have its equal share.

    Raises:
        BoneAgeError: A case id is unsafe or doubled, a split or an operator unknown, an age no number,
            ``total`` below the number of cases, or more than their operators can make differ.
    """
    cases = _checked_cases(cases)
    if total < len(cases):
        raise BoneAgeError(
            f"total {total}: fewer than the {len(cases)} accepted cases, each of which stands in the plan "
            f"once; set it to {len(cases)} or more"
        )
    rng = np.random.default_rng(seed)
    lot = dict(zip(cases["case_id"], rng.permutation(len(cases)).tolist(), strict=True))
    choices = {
        case_id: _choices((allowed or {}).get(case_id, DEFAULT_ALLOWED), laterality_matters)
        if split == "train"
        else {}
        for case_id, split in zip(cases["case_id"], cases["split"], strict=True)
    }
    most = {case_id: 1 + _ways(of_case) for case_id, of_case in choices.items()}
    if total > sum(most.values()):
        raise BoneAgeError(
            f"total {total}: the training cases and their operators make {sum(most.values())} different "
            "photos at most; lower the total or allow more operators"
        )
    quotas = _share(cases, ["year", "sex", "race", "case_id"], total, most, lot)
    drawn = {
        case_id: _draw(choices[case_id], quotas[case_id] - 1, rng) for case_id in sorted(cases["case_id"])
    }
    return _plan_table(cases, drawn), _notices(cases, quotas, total)


def _checked_cases(cases: pd.DataFrame) -> pd.DataFrame:
    columns = ["case_id", "year", "sex", "race", "split"]
    missing = [name for name in columns if name not in cases.columns]
    if missing:
        raise BoneAgeError(f"cases: column {missing[0]} is missing; the plan needs {', '.join(columns)}")
    years = pd.to_numeric(cases["year"], errors="coerce").astype(float)
    # Some file systems hold "A1.png" and "a1.png" for the same file.
    twice = cases["case_id"].astype(str).str.casefold().duplicated()
    for case_id, year, split, doubled in zip(cases["case_id"], years, cases["split"], twice, strict=True):
        if not is_safe_id(case_id):
            raise BoneAgeError(f"case {case_id!r}: an id must be 1 to 64 letters, digits, _ or -")
        if doubled:
            raise BoneAgeError(f"case {case_id}: stands twice; keep one row a case")
        if not 0 <= year < math.inf:
            raise BoneAgeError(f"case {case_id}: its year of age is not a number; leave it out")
        if split not in SPLITS:
            raise BoneAgeError(f"case {case_id}: split {split!r} must be one of {', '.join(SPLITS)}")
    if cases.empty:
        raise BoneAgeError("cases: none was accepted; review the photos first")
    table = cases[columns].assign(year=np.floor(years).astype(int))
    table[["sex", "race"]] = table[["sex", "race"]].fillna("Unknown").astype(str)
    return table.sort_values("case_id", ignore_index=True)


def _choices(allowed: Sequence[str], laterality_matters: bool) -> dict[str, list[dict[str, Any]]]:
    """The recipes of each operator that may be drawn, in the order in which operators are applied."""
    found: dict[str, list[dict[str, Any]]] = {}
    for name in dict.fromkeys(allowed):
        if name not in _DRAWN and name not in OPERATORS:
            raise BoneAgeError(f"operator {name!r}: unknown; use one of {', '.join(_DRAWN)}")
        if name not in _DRAWN or (name == "flip" and laterality_matters):
            continue
        operator, parameter, values = _DRAWN[name]
        recipes = found.setdefault(operator, [])
        new = (
            [{"name": operator, parameter: value} for value in values] if parameter else [{"name": operator}]
        )
        recipes += [recipe for recipe in new if recipe not in recipes]
    return {name: found[name] for name in OPERATORS if name in found}


def _subsets(choices: Mapping[str, list[dict[str, Any]]]) -> list[tuple[str, ...]]:
    sizes = range(1, min(MOST_OPERATORS, len(choices)) + 1)
    return [names for size in sizes for names in combinations(choices, size)]


def _ways(choices: Mapping[str, list[dict[str, Any]]]) -> int:
    return sum(math.prod(len(choices[name]) for name in names) for names in _subsets(choices))


def _draw(choices: Mapping[str, list[dict[str, Any]]], wanted: int, rng: np.random.Generator) -> list[str]:
    """So many different recipes, as JSON."""
    if not wanted:
        return []
    subsets = _subsets(choices)
    if wanted * 4 > _ways(choices):
        every = [recipe for names in subsets for recipe in product(*(choices[name] for name in names))]
        picked = rng.choice(len(every), wanted, replace=False)
        return [format_operators(every[index]) for index in picked]
    recipes: dict[str, None] = {}
    while len(recipes) < wanted:
        names = subsets[rng.integers(len(subsets))]
        recipe = [choices[name][rng.integers(len(choices[name]))] for name in names]
        recipes[format_operators(recipe)] = None
    return list(recipes)


def _share(
    cases: pd.DataFrame, levels: list[str], total: int, most: Mapping[str, int], lot: Mapping[str, int]
) -> dict[str, int]:
    """Photos of each case: ``total`` shared evenly over the first level's groups, then within each."""
    level, *deeper = levels
    groups = [group for _, group in cases.groupby(level, sort=True)]
    counts = [len(group) for group in groups]
    tops = [sum(most[case_id] for case_id in group["case_id"]) for group in groups]
    order = [min(lot[case_id] for case_id in group["case_id"]) for group in groups]
    vessels = [(counts[at], order[at], at) for at in range(len(groups)) if counts[at] < tops[at]]
    heapq.heapify(vessels)
    for _ in range(total - sum(counts)):
        _, by_lot, at = heapq.heappop(vessels)
        counts[at] += 1
        if counts[at] < tops[at]:
            heapq.heappush(vessels, (counts[at], by_lot, at))
    if not deeper:
        return dict(zip((group["case_id"].iloc[0] for group in groups), counts, strict=True))
    shares: dict[str, int] = {}
    for group, of_group in zip(groups, counts, strict=True):
        shares |= _share(group, deeper, of_group, most, lot)
    return shares


def _plan_table(cases: pd.DataFrame, drawn: Mapping[str, list[str]]) -> pd.DataFrame:
    taken = {case_id.casefold() for case_id in cases["case_id"]}
    rows = []
    for case_id, split in zip(cases["case_id"], cases["split"], strict=True):
        rows.append((case_id, case_id, split, "[]"))
        numbers = count(1)
        for operators in drawn[case_id]:
            # Ids may be 64 long; the stem leaves room for the number.
            ids = (f"{case_id[:57]}-{number:03d}" for number in numbers)
            photo_id = next(name for name in ids if name.casefold() not in taken)
            taken.add(photo_id.casefold())
            rows.append((photo_id, case_id, split, operators))
    return pd.DataFrame(rows, columns=list(PLAN_COLUMNS))


def _notices(cases: pd.DataFrame, quotas: Mapping[str, int], total: int) -> list[str]:
    years = cases.groupby("year")
    equal = total // years.ngroups
    notices = []
    for year, group in years:
        photos = sum(quotas[case_id] for case_id in group["case_id"])
        training = int((group["split"] == "train").sum())
        said = f"year {year}: {photos} photos"
        if training == 0:
            notices.append(f"{said}; no training case to copy, so its share went to the other years")
        elif training == 1:
            notices.append(f"{said}; all copies are of one training case")
        elif photos < equal:
            notices.append(f"{said}; its cases allow too few operators for its share of {equal}")
        elif len(group) > equal + 1:
            notices.append(f"{said}, untouched; more than its share of {equal}")
    return notices


@dataclass(frozen=True)
class _Job:
    index: int
    photo_id: str
    operators: str
    source: Path
    output: Path


def materialise(plan: pd.DataFrame, photos: Path | str, out: Path | str) -> pd.DataFrame:
    """Makes ``<out>/<photo_id>.png`` for every row of a plan.

    Run again, it makes only what is new, changed or gone. Untouched photos are copied byte for byte, not
    linked: Drive knows no links, and the set outlives the folder it came from. Photos of an earlier plan
    that stand in the record and not in this plan are removed.

    Args:
        plan: ``tables.PLAN_COLUMNS``.
        photos: Folder of preprocessed photos, ``<case_id>.png``.
        out: Folder for the photos; ``materialise.csv`` and ``skipped-materialise.csv`` stand there too.

    Returns:
        A row a photo in the plan's order (``RECORD_COLUMNS``); status is ``ok`` or ``skipped``.

    Raises:
        BoneAgeError: A missing column, ``out`` is ``photos``, a full disk or a read-only folder.
    """
    missing = [name for name in PLAN_COLUMNS if name not in plan.columns]
    if missing:
        raise BoneAgeError(f"plan: column {missing[0]} is missing; make the plan again")
    photos, out = Path(photos), make_folder(out)
    if photos.resolve() == out.resolve():
        raise BoneAgeError(f"{out}: holds the photos to grow from; choose another folder for the grown set")
    before = _record_before(out)
    rows, jobs = _settled(plan, photos, out, before)
    _save(out, rows)
    _remove(out, before.keys() - set(plan["photo_id"]))
    try:
        for done, (index, row) in enumerate(on_all_cores(_make, jobs, "Materialise"), 1):
            rows[index] = row
            if row["status"] == "skipped":
                _remove(out, before.keys() & {row["photo_id"]})
            if done % _PHOTOS_BETWEEN_SAVES == 0:
                _save(out, rows)
    except BaseException:
        # Interrupted, or the disk is full: what was made is kept on record where that is still possible.
        with contextlib.suppress(BoneAgeError):
            _save(out, rows)
        raise
    return _save(out, rows)


def _record_before(out: Path) -> dict[str, dict[str, str]]:
    try:
        record = read_table(out / RECORD_NAME, RECORD_COLUMNS)
    except BoneAgeError:
        return {}
    made = record[(record["status"] == "ok") & record["photo_id"].map(is_safe_id)]
    return {row["photo_id"]: row for row in made.to_dict("records")}


def _settled(
    plan: pd.DataFrame, photos: Path, out: Path, before: Mapping[str, Mapping[str, str]]
) -> tuple[list[dict[str, Any] | None], list[_Job]]:
    """Rows settled without making a photo (None for the others), and the photos to make."""
    twice = plan["photo_id"].astype(str).str.casefold().duplicated(keep=False)
    rows: list[dict[str, Any] | None] = []
    jobs = []
    recipes = zip(plan["photo_id"], plan["case_id"], plan["operators"], twice, strict=True)
    for index, (photo_id, case_id, operators, doubled) in enumerate(recipes):
        row = None
        if not (is_safe_id(photo_id) and is_safe_id(case_id)):
            reason = "an id in this row cannot name a file; use 1 to 64 letters, digits, _ and -"
            row = _skipped(photo_id, operators, reason)
        elif doubled:
            row = _skipped(photo_id, operators, "two rows have this photo_id; make the plan again")
        else:
            job = _Job(index, photo_id, operators, photos / f"{case_id}.png", out / f"{photo_id}.png")
            if photo_id in before and _is_current(job, before[photo_id]):
                row = dict(before[photo_id])
            else:
                jobs.append(job)
        rows.append(row)
    return rows, jobs


def _is_current(job: _Job, row: Mapping[str, str]) -> bool:
    try:
        if row["operators"] != job.operators or str(job.output.stat().st_size) != row["made_bytes"]:
            return False
    except OSError:
        return False
    try:
        source = job.source.stat()
    except OSError:
        # What was made stays good when its source folder is gone.
        return True
    return (str(source.st_size), str(source.st_mtime_ns)) == (row["source_bytes"], row["source_modified"])


def _make(job: _Job) -> tuple[int, dict[str, Any]]:
    """Makes one photo; a fault of its recipe or source becomes a skipped row, a failed write is raised."""
    try:
        operators = parse_operators(job.operators)
        source = job.source.stat()
        data = job.source.read_bytes()
        photo = to_uint8(read_grey(data, job.source.name)[0])
        if operators:
            data = cv2.imencode(".png", apply_operators(photo, operators), PNG_ENCODING)[1].tobytes()
    except BoneAgeError as error:
        return job.index, _skipped(job.photo_id, job.operators, str(error))
    except OSError as error:
        reason = f"{job.source.name}: cannot be read ({error.strerror}); preprocess it again"
        return job.index, _skipped(job.photo_id, job.operators, reason)
    with atomic_write(job.output, sync=False) as file:
        file.write(data)
    row = (job.photo_id, "ok", "", job.operators, source.st_size, source.st_mtime_ns, len(data))
    return job.index, dict(zip(RECORD_COLUMNS, map(str, row), strict=True))


def _skipped(photo_id: object, operators: object, reason: str) -> dict[str, str]:
    row = dict.fromkeys(RECORD_COLUMNS, "")
    return row | {
        "photo_id": str(photo_id),
        "status": "skipped",
        "reason": " ".join(reason.split()),
        "operators": str(operators),
    }


def _save(out: Path, rows: Sequence[Mapping[str, Any] | None]) -> pd.DataFrame:
    record = pd.DataFrame([row for row in rows if row is not None], columns=list(RECORD_COLUMNS))
    skipped = record[record["status"] == "skipped"]
    write_table(out / RECORD_NAME, record)
    write_table(out / SKIPPED_NAME, skipped_table(zip(skipped["photo_id"], skipped["reason"], strict=True)))
    return record


def _remove(out: Path, photo_ids: Iterable[str]) -> None:
    for photo_id in photo_ids:
        path = out / f"{photo_id}.png"
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise write_error(path, error) from None
