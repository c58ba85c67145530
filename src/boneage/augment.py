"""Growing the set: a balanced plan (a table of recipes), and the photos made from it.

The plan is the truth. A photo is made from its row alone, so the same table gives the same bytes again, in
any order and on any number of cores. Copies are made of training cases only: every accepted case stands in
the plan once untouched, in the split that was drawn for it before.

Untouched means: nothing but the boxes that a person blanked. Those go on every photo of their case, before
anything else is done to it, so what they hide is nowhere in the grown set.
"""

import contextlib
import heapq
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, combinations, count, product, zip_longest
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
from filelock import FileLock, Timeout

from boneage.errors import BoneAgeError
from boneage.files import atomic_write, make_folder, write_error
from boneage.operators import OPERATORS, apply_operators, background_shade, format_operators, parse_operators
from boneage.preprocess import PNG_ENCODING, read_file, read_grey, to_uint8
from boneage.runtime import on_all_cores
from boneage.settings import TOTAL
from boneage.tables import PLAN_COLUMNS, SPLITS, is_safe_id, read_table, skipped_table, write_table

MOST_OPERATORS = 3
"""Operators in one drawn recipe at most: each costs some likeness to a radiograph."""

MOST_DEGREES = 15.0
"""A drawn rotation at most; of the real hands one in ten lies askew by 13 degrees or more of itself."""

RECORD_NAME = "materialise.csv"
LOCK_NAME = ".materialise.lock"
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
_LEFTOVER = re.compile(r"\.[A-Za-z0-9][A-Za-z0-9_-]*-\w{8}\.(png|csv)")

# The parameter of each operator that has one to draw, and where it changes nothing.
_NEUTRAL = {
    "rotate": ("degrees", 0.0),
    "brightness": ("shades", 0.0),
    "contrast": ("factor", 1.0),
    "gamma": ("power", 1.0),
    "clahe": ("clip", 0.0),
    "sharpen": ("amount", 0.0),
    "tint": ("warmth", 0.0),
}
_EXPOSURE = frozenset({"brightness", "gamma"})


def _steps(least: float, most: float, step: float) -> tuple[float, ...]:
    return tuple(np.arange(least, most + step / 2, step).round(2).tolist())


_MOST_SHADES = 40
_GAMMAS = (0.7, 1.4)
_DARKEN, _BRIGHTEN = _steps(-_MOST_SHADES, -8, 1), _steps(8, _MOST_SHADES, 1)
_LIGHTER, _DARKER = _steps(_GAMMAS[0], 0.92, 0.02), _steps(1.08, _GAMMAS[1], 0.02)
_CONTRAST_UP = _steps(1.08, 1.4, 0.02)

# What is drawn at random, by allowed name: the operator and its values, mild, and never so near to neutral
# that the copy could not be told from the photo. `blank` is not here: where a box belongs only a person can
# say.
_DRAWN: dict[str, tuple[str, tuple[float, ...] | None]] = {
    "invert": ("invert", None),
    "flip": ("flip", None),
    "rotate": ("rotate", _steps(-MOST_DEGREES, -2, 0.5) + _steps(2, MOST_DEGREES, 0.5)),
    "tilt": ("rotate", _steps(-5, -2, 0.5) + _steps(2, 5, 0.5)),
    "brightness": ("brightness", _DARKEN + _BRIGHTEN),
    "brighten": ("brightness", _BRIGHTEN),
    "darken": ("brightness", _DARKEN),
    "contrast": ("contrast", _steps(0.8, 0.92, 0.02) + _CONTRAST_UP),
    "contrast up": ("contrast", _CONTRAST_UP),
    "gamma": ("gamma", _LIGHTER + _DARKER),
    "gamma lighter": ("gamma", _LIGHTER),
    "gamma darker": ("gamma", _DARKER),
    "clahe": ("clahe", _steps(1.5, 3.5, 0.1)),
    "sharpen": ("sharpen", _steps(0.3, 1.5, 0.1)),
    "tint": ("tint", _steps(-1, -0.3, 0.1) + _steps(0.3, 1, 0.1)),
}
DEFAULT_ALLOWED = ("flip", "rotate", "brightness", "contrast", "gamma")
"""What a photo may be given where neither a person nor its own exposure said otherwise."""


# Measured on 1,025 real radiographs (972 of the RSNA challenge, 53 of the atlas). The hand's median shade
# is from 40 to 155 in nine of ten, and is not carried out of that range.
_MIDDLE_SHADES = (40.0, 155.0)
# Between the 5th and the 95th percentile of the hand lie fewer shades in 95 % of those that look flat to the
# eye, and more in 99 % of the others.
_FLAT_SHADES = 50.0
# Nine in ten hands lie straighter, in degrees; those that look turned to the eye lie at 19 in the middle.
_ASKEW_DEGREES = 12.5
# A main axis says how a hand lies only where the hand is so much longer than wide.
_LONG = 2.0
# Nine in ten hands lose nothing of their upper four fifths when they are turned as far as is drawn. Below
# that it is the forearm's end, which is cut off anyhow.
_MOST_LOST = 0.005
_ABOVE_FOREARM = 0.8
_POSE_SIDE = 116


def suggest_operators(photo: np.ndarray, laterality_matters: bool = False) -> list[str]:
    """Names that suit a photo, from its own exposure and pose.

    A copy is to look like a radiograph that could have come in: the hand neither darker nor brighter than
    real ones are, not flatter than it was, all of it in the picture, and not far askew.

    Args:
        photo: uint8, (height, width).
        laterality_matters: Whether a mirrored hand would be a wrong hand.

    Returns:
        Names that :func:`balanced_plan` draws from.
    """
    small = cv2.resize(photo, (_POSE_SIDE, _POSE_SIDE), interpolation=cv2.INTER_AREA)
    hand = _hand_of(small)
    low, middle, high = np.percentile(small[hand], (5, 50, 95))
    least, most = _MIDDLE_SHADES
    suits = {
        "flip": not laterality_matters,
        "rotate": _may_be_turned(hand),
        "tilt": not _may_be_turned(hand),
        "brighten": middle + _MOST_SHADES <= most and high + _MOST_SHADES <= 255,
        "darken": middle - _MOST_SHADES >= least,
        "gamma lighter": 255 * (middle / 255) ** _GAMMAS[0] <= most,
        "gamma darker": 255 * (middle / 255) ** _GAMMAS[1] >= least,
        "contrast": high - low >= _FLAT_SHADES,
        "contrast up": high - low < _FLAT_SHADES,
        "clahe": high - low < _FLAT_SHADES,
    }
    return [name for name, does in suits.items() if does]


def _hand_of(small: np.ndarray) -> np.ndarray:
    """The largest thing brighter than the background, bool (height, width); all of it where there is none."""
    bright = (small > background_shade(small) + 10).astype(np.uint8)
    # The edges of plates are thin and would join what is apart.
    opened = cv2.morphologyEx(bright, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
    things, of_pixel, facts, _ = cv2.connectedComponentsWithStats(opened)
    if things == 1:
        return np.ones(small.shape, bool)
    return of_pixel == 1 + int(np.argmax(facts[1:, cv2.CC_STAT_AREA]))


def _may_be_turned(hand: np.ndarray) -> bool:
    """Whether a hand stays in the square and upright when it is turned as far as rotations are drawn."""
    side = len(hand)
    for degrees in (-MOST_DEGREES, MOST_DEGREES):
        turn = cv2.getRotationMatrix2D(((side - 1) / 2, (side - 1) / 2), -degrees, 1.0)
        stays = cv2.warpAffine(np.ones(hand.shape, np.uint8), turn, (side, side))
        lost = hand & (stays == 0)
        if lost[: int(_ABOVE_FOREARM * side)].sum() > _MOST_LOST * hand.sum():
            return False
    spread = cv2.moments(hand.astype(np.uint8), True)
    moments = np.array([[spread["mu20"], spread["mu11"]], [spread["mu11"], spread["mu02"]]])
    (short, long), axes = np.linalg.eigh(moments)
    askew = math.degrees(math.atan2(abs(axes[0, 1]), abs(axes[1, 1])))
    return askew <= _ASKEW_DEGREES or long < _LONG * short


def suggest_for(
    case_ids: Sequence[str], photos: Path | str, laterality_matters: bool = False
) -> tuple[dict[str, list[str]], pd.DataFrame]:
    """Suggests operators for many photos.

    Args:
        case_ids: Whose photos.
        photos: Folder of preprocessed photos, ``<case_id>.png``.
        laterality_matters: Whether a mirrored hand would be a wrong hand.

    Returns:
        What :func:`balanced_plan` takes as ``allowed``, in the order of ``case_ids``, and the photos that
        could not be read with the reason (``item``, ``reason``); those are not in the former.
    """
    folder = Path(photos)

    def suggest(case_id: str) -> tuple[str, list[str] | None, str]:
        try:
            photo = read_file(folder / f"{case_id}.png")
        except BoneAgeError as error:
            return case_id, None, str(error)
        return case_id, suggest_operators(photo, laterality_matters), ""

    found, faults = {}, {}
    for case_id, names, reason in on_all_cores(suggest, list(case_ids), "Suggest operators"):
        if names is None:
            faults[case_id] = reason
        else:
            found[case_id] = names
    return (
        {case_id: found[case_id] for case_id in case_ids if case_id in found},
        skipped_table((case_id, faults[case_id]) for case_id in case_ids if case_id in faults),
    )


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

    What a person chose for a photo in review says what suits it. The first copy is the photo as the person
    saw it, all chosen operators with their values. Further copies are drawn from the same operators, on the
    same side: a photo that was brightened is not darkened.

    Args:
        cases: Columns ``case_id``, ``year`` (age in years), ``sex``, ``race``, ``split``, and perhaps
            ``operators`` (JSON; what was chosen in review, see :func:`boneage.review.apply_log`).
        total: Rows of the plan.
        allowed: Names from which a case's copies are drawn where the person chose nothing but boxes
            (:func:`suggest_for`), by case id; ``DEFAULT_ALLOWED`` for others. ``blank`` is allowed but
            never drawn.
        laterality_matters: Whether to leave out flips whatever is allowed or chosen.
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
    palettes = {row.case_id: _palette(row, allowed or {}, laterality_matters) for row in cases.itertuples()}
    most = {case_id: 1 + palette.ways for case_id, palette in palettes.items()}
    if total > sum(most.values()):
        raise BoneAgeError(
            f"total {total}: the training cases and their operators make {sum(most.values())} different "
            "photos at most; lower the total or allow more operators"
        )
    quotas = _share(cases, ["year", "sex", "race", "case_id"], total, most, lot)
    drawn = {
        case_id: [[], *_draw(palettes[case_id], quotas[case_id] - 1, rng)]
        for case_id in sorted(cases["case_id"])
    }
    recipes = {
        case_id: [format_operators(palettes[case_id].boxes + recipe) for recipe in of_case]
        for case_id, of_case in drawn.items()
    }
    return _plan_table(cases, recipes), _notices(cases, quotas, total)


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
    chosen = cases["operators"] if "operators" in cases.columns else ["[]"] * len(cases)
    table = cases[columns].assign(year=np.floor(years).astype(int), operators=chosen)
    table[["sex", "race"]] = table[["sex", "race"]].fillna("Unknown").astype(str)
    return table.sort_values("case_id", ignore_index=True)


@dataclass(frozen=True)
class _Palette:
    """What the photos of a case are made with.

    Attributes:
        boxes: Operators that blank a part; they go on every photo of the case.
        choices: The recipes of each operator that may be drawn, in the order in which they are applied.
        first: The recipe of the first copy, where a person chose one.
        always: Operators of which every copy has one.
    """

    boxes: list[dict[str, Any]]
    choices: Mapping[str, list[dict[str, Any]]]
    first: list[dict[str, Any]]
    always: frozenset[str] = frozenset()

    @property
    def subsets(self) -> list[tuple[str, ...]]:
        """The operators that may be drawn together; one of those that make a photo brighter or darker."""
        sizes = range(1, min(MOST_OPERATORS, len(self.choices)) + 1)
        every = (names for size in sizes for names in combinations(self.choices, size))
        return [
            names for names in every if len(_EXPOSURE.intersection(names)) < 2 and self.always.issubset(names)
        ]

    @property
    def ways(self) -> int:
        """How many different copies there can be."""
        drawn = sum(math.prod(len(self.choices[name]) for name in names) for names in self.subsets)
        names = _in_order(self.first)
        return drawn + bool(names and names not in self.subsets)


def _in_order(recipe: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    return tuple(sorted((operator["name"] for operator in recipe), key=list(OPERATORS).index))


def _palette(case: Any, allowed: Mapping[str, Sequence[str]], laterality_matters: bool) -> _Palette:
    try:
        chosen = parse_operators(case.operators)
    except BoneAgeError as error:
        raise BoneAgeError(f"case {case.case_id}: {error}") from None
    boxes = [operator for operator in chosen if operator["name"] == "blank"]
    if case.split != "train":
        return _Palette(boxes, {}, [])
    chosen = [operator for operator in chosen if operator["name"] != "blank"]
    if not chosen:
        names = allowed.get(case.case_id, DEFAULT_ALLOWED)
        return _Palette(boxes, _choices(map(_drawn_by_name, names), laterality_matters), [])
    first = [
        operator for operator in chosen if not _is_neutral(operator) and _suits(operator, laterality_matters)
    ]
    always = frozenset(operator["name"] for operator in chosen if _puts_upright(operator))
    return _Palette(boxes, _choices(map(_drawn_by_example, chosen), laterality_matters), first, always)


def _puts_upright(operator: Mapping[str, Any]) -> bool:
    """Whether a person turned a photo that lay on its side or upside down, and not just a little."""
    return operator["name"] == "rotate" and abs(operator["degrees"]) > MOST_DEGREES


def _suits(operator: Mapping[str, Any], laterality_matters: bool) -> bool:
    return not (laterality_matters and operator["name"] == "flip")


def _choices(
    recipes: Iterable[list[dict[str, Any]]], laterality_matters: bool
) -> dict[str, list[dict[str, Any]]]:
    """Recipes by operator, each once, in the order in which operators are applied."""
    found: dict[str, list[dict[str, Any]]] = {}
    for recipe in chain.from_iterable(recipes):
        of_operator = found.setdefault(recipe["name"], [])
        if recipe not in of_operator and _suits(recipe, laterality_matters):
            of_operator.append(recipe)
    return {name: found[name] for name in OPERATORS if found.get(name)}


def _drawn_by_name(name: str) -> list[dict[str, Any]]:
    """The recipes that an allowed name stands for."""
    if name not in _DRAWN:
        if name in OPERATORS:
            return []
        raise BoneAgeError(f"operator {name!r}: unknown; use one of {', '.join(_DRAWN)}")
    operator, values = _DRAWN[name]
    if values is None:
        return [{"name": operator}]
    return [{"name": operator, _NEUTRAL[operator][0]: value} for value in values]


def _is_neutral(operator: Mapping[str, Any]) -> bool:
    parameter, neutral = _NEUTRAL.get(operator["name"], ("name", None))
    return operator[parameter] == neutral


def _drawn_by_example(chosen: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The recipes that one chosen by a person stands for: values on its side of neutral, its own first."""
    name = chosen["name"]
    drawn = _drawn_by_name(name)
    if name not in _NEUTRAL or _is_neutral(chosen):
        return drawn
    parameter, neutral = _NEUTRAL[name]
    value = chosen[parameter]
    if _puts_upright(chosen):
        # The turn that put it upright is where the others start from.
        turned = [(value + recipe[parameter] + 180) % 360 - 180 for recipe in drawn]
        return [dict(chosen), *({"name": name, parameter: round(degrees, 2)} for degrees in turned)]
    side = [recipe for recipe in drawn if (recipe[parameter] - neutral) * (value - neutral) > 0]
    return [dict(chosen), *side]


def _draw(palette: _Palette, wanted: int, rng: np.random.Generator) -> list[list[dict[str, Any]]]:
    """So many different recipes; the person's own first."""
    if not wanted:
        return []
    recipes = {_key(palette.first): palette.first} if palette.first else {}
    subsets = palette.subsets
    if wanted * 4 > palette.ways:
        every = (
            list(recipe)
            for names in subsets
            for recipe in product(*(palette.choices[name] for name in names))
        )
        others = [recipe for recipe in every if _key(recipe) not in recipes]
        picked = rng.choice(len(others), wanted - len(recipes), replace=False)
        return [*recipes.values(), *(others[index] for index in picked)]
    while len(recipes) < wanted:
        names = subsets[rng.integers(len(subsets))]
        recipe = [palette.choices[name][rng.integers(len(palette.choices[name]))] for name in names]
        recipes.setdefault(_key(recipe), recipe)
    return list(recipes.values())


def _key(recipe: Sequence[Mapping[str, Any]]) -> str:
    """The same for the same operators in another order."""
    return format_operators(sorted(recipe, key=lambda operator: list(OPERATORS).index(operator["name"])))


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


def _plan_table(cases: pd.DataFrame, recipes: Mapping[str, list[str]]) -> pd.DataFrame:
    taken = {case_id.casefold() for case_id in cases["case_id"]}
    rows = []
    for case_id, split in zip(cases["case_id"], cases["split"], strict=True):
        untouched, *copies = recipes[case_id]
        rows.append((case_id, case_id, split, untouched))
        numbers = count(1)
        for operators in copies:
            # Ids may be 64 long; the stem leaves room for the number.
            ids = (f"{case_id[:57]}-{number:03d}" for number in numbers)
            photo_id = next(name for name in ids if name.casefold() not in taken)
            taken.add(photo_id.casefold())
            rows.append((photo_id, case_id, split, operators))
    return pd.DataFrame(rows, columns=list(PLAN_COLUMNS))


def _notices(cases: pd.DataFrame, quotas: Mapping[str, int], total: int) -> list[str]:
    if total == len(cases):
        return []
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
            notices.append(f"year {year}: {photos} cases, more than its share of {equal}; none is copied")
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
        BoneAgeError: A missing column, ``out`` is ``photos``, another run is at work in ``out``, a full
            disk or a read-only folder.
    """
    missing = [name for name in PLAN_COLUMNS if name not in plan.columns]
    if missing:
        raise BoneAgeError(f"plan: column {missing[0]} is missing; make the plan again")
    photos, out = Path(photos), make_folder(out)
    if photos.resolve() == out.resolve():
        raise BoneAgeError(f"{out}: holds the photos to grow from; choose another folder for the grown set")
    lock = FileLock(out / LOCK_NAME, timeout=0)
    try:
        lock.acquire()
    except Timeout:
        raise BoneAgeError(f"{out}: another run makes these photos; wait for its end, or stop it") from None
    except OSError as error:
        raise write_error(out, error) from None
    try:
        return _materialise(plan, photos, out)
    finally:
        lock.release()


def _materialise(plan: pd.DataFrame, photos: Path, out: Path) -> pd.DataFrame:
    _remove_leftovers(out)
    before = _record_before(out)
    rows, jobs = _settled(plan, photos, out, before)
    # What an earlier plan made goes first, not last: it may show what this one blanks.
    _remove(out, before.keys() - {row["photo_id"] for row in rows if row["status"] == "ok"})
    # Every photo is on record before it is made: what an interrupted run leaves behind is always known.
    _save(out, rows)
    try:
        for done, (index, row) in enumerate(on_all_cores(_make, jobs, "Materialise"), 1):
            rows[index] = row
            if row["status"] == "skipped":
                _remove(out, [row["photo_id"]])
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
    safe = record[record["photo_id"].map(is_safe_id)]
    return {row["photo_id"]: row for row in safe.to_dict("records")}


def _settled(
    plan: pd.DataFrame, photos: Path, out: Path, before: Mapping[str, Mapping[str, str]]
) -> tuple[list[dict[str, str]], list[_Job]]:
    """A row of the record for each photo as things stand, and the photos to make."""
    twice = plan["photo_id"].astype(str).str.casefold().duplicated(keep=False)
    rows, jobs = [], []
    recipes = zip(plan["photo_id"], plan["case_id"], plan["operators"], twice, strict=True)
    for index, (photo_id, case_id, operators, doubled) in enumerate(recipes):
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
                row = _row(photo_id, "planned", "", operators)
                jobs.append(job)
        rows.append(row)
    return rows, jobs


def _is_current(job: _Job, row: Mapping[str, str]) -> bool:
    try:
        if (row["status"], row["operators"]) != ("ok", job.operators):
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


def _make(job: _Job) -> tuple[int, dict[str, str]]:
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
    return job.index, _row(
        job.photo_id, "ok", "", job.operators, source.st_size, source.st_mtime_ns, len(data)
    )


def _row(*cells: object) -> dict[str, str]:
    """A row of the record; what is not known yet is empty."""
    return dict(zip_longest(RECORD_COLUMNS, map(str, cells), fillvalue=""))


def _skipped(photo_id: object, operators: object, reason: str) -> dict[str, str]:
    return _row(photo_id, "skipped", " ".join(reason.split()), operators)


def _save(out: Path, rows: Sequence[Mapping[str, str]]) -> pd.DataFrame:
    record = pd.DataFrame(rows, columns=list(RECORD_COLUMNS))
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


def _remove_leftovers(out: Path) -> None:
    """Removes temporary files of a run that was killed; while the lock is held no other run has any."""
    for path in out.iterdir():
        if _LEFTOVER.fullmatch(path.name):
            with contextlib.suppress(OSError):
                path.unlink()
