"""The augmentation plan: a balanced table of how each image of the augmented set is made.

Copies are made of training cases only: every accepted case stands in the plan once as it is, in the split
that was drawn for it before.
"""

import heapq
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, combinations, count, product
from typing import Any

import numpy as np
import pandas as pd

from boneage.augmentations import (
    DEFAULT_ALLOWED,
    EXPOSURE,
    MOST_DEGREES,
    MOST_OPERATORS,
    NEUTRAL,
    drawn_by_name,
)
from boneage.errors import BoneAgeError
from boneage.operators import OPERATORS, format_operators, parse_operators
from boneage.settings import TOTAL
from boneage.tables import PLAN_COLUMNS, SPLITS, is_safe_id


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
            (:func:`boneage.suggestions.suggest_for`), by case id; ``DEFAULT_ALLOWED`` for others.
            ``blank`` is allowed but never drawn.
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
            names for names in every if len(EXPOSURE.intersection(names)) < 2 and self.always.issubset(names)
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
        return _Palette(boxes, _choices(map(drawn_by_name, names), laterality_matters), [])
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


def _is_neutral(operator: Mapping[str, Any]) -> bool:
    parameter, neutral = NEUTRAL.get(operator["name"], ("name", None))
    return operator[parameter] == neutral


def _drawn_by_example(chosen: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The recipes that one chosen by a person stands for: values on its side of neutral, its own first."""
    name = chosen["name"]
    drawn = drawn_by_name(name)
    if name not in NEUTRAL or _is_neutral(chosen):
        return drawn
    parameter, neutral = NEUTRAL[name]
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
