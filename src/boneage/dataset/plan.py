"""The augmentation plan: a balanced table of how each image of the augmented set is made.

Every accepted case is in the plan once, corrected as chosen in review; only training cases have copies.
"""

import functools
import heapq
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, combinations, count, product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from boneage.core.errors import BoneAgeError
from boneage.core.settings import TOTAL, Settings
from boneage.core.tables import PLAN_TABLE, SPLITS, is_safe_id
from boneage.dataset.suggestions import mirrored_letters, suggest_for
from boneage.dataset.usable import CHOSEN, UsableCases
from boneage.images.augmentations import (
    DEFAULT_ALLOWED,
    EXPOSURE,
    MOST_OPERATORS,
    carried,
    drawn_by_name,
    format_augmentations,
    parse_augmentations,
)
from boneage.images.operators import OPERATORS, format_corrections, format_operators, parse_corrections


def plan_of(
    usable: UsableCases, split: pd.Series, images: Path, settings: Settings
) -> tuple[pd.DataFrame, pd.DataFrame, list[str]]:
    """Plans the augmented set of usable cases, with copies that suit each image.

    Args:
        split: By case id.
        images: Folder of preprocessed images, ``<case_id>.png``.

    Returns:
        The plan (``tables.PLAN_TABLE``), ``SKIPPED_TABLE`` of the unreadable images, and notices in words.

    Raises:
        BoneAgeError: See :func:`balanced_plan`.
    """
    corrections = usable.cases.set_index("case_id")["corrections"]
    training = corrections[split[corrections.index] == "train"].to_dict()
    allowed, unread = suggest_for(training, images, settings.laterality_matters)
    cases = usable.strata.assign(split=split).rename_axis("case_id").reset_index()
    cases = cases.merge(usable.cases[["case_id", *CHOSEN]], on="case_id")
    choices = settings.laterality_matters, settings.split_seed
    plan, notices = balanced_plan(cases, settings.total or len(cases), allowed, *choices)
    if mirrored := mirrored_letters(corrections.to_dict(), images):
        notices.append(
            f"{len(mirrored)} cases are mirrored to put them right, and so may be letters on them (the "
            f"first: {mirrored[0]}); blank those on the board"
        )
    return plan, unread, notices


def balanced_plan(
    cases: pd.DataFrame,
    total: int = TOTAL,
    allowed: Mapping[str, Sequence[str]] | None = None,
    laterality_matters: bool = False,
    seed: int = 2026,
) -> tuple[pd.DataFrame, list[str]]:
    """Plans ``total`` images: each case once, corrected, and training cases' copies that even out the years.

    The next copy goes to the year with the fewest images, in it to the sex, then the race, then the case with
    the fewest. What a year cannot take goes to the others.

    The corrections of a case are in all its rows. Copies are drawn from the augmentations chosen in review,
    else from those that suit the image.

    Args:
        cases: Columns ``case_id``, ``year`` (age in years), ``sex``, ``race``, ``split``, and perhaps
            ``corrections`` and ``augmentations`` (as :func:`boneage.review.log.apply_log` gives them).
        total: Rows of the plan.
        allowed: Names from which a case's copies are drawn where nobody chose any
            (:func:`suggestions.suggest_for`), by case id; ``DEFAULT_ALLOWED`` for others. Where it
            leaves out ``flip``, a person's choice is no reason to mirror the letters on an image.
        laterality_matters: Whether to leave out flips of copies whatever is allowed or chosen.
        seed: The same seed gives the same plan, in whatever order the cases come.

    Returns:
        The plan (``tables.PLAN_TABLE``), and a notice for each year that cannot have its equal share.

    Raises:
        BoneAgeError: A case id is unsafe or doubled, a split or an operator unknown, an age no number,
            ``total`` below the number of cases, or more than their operators can make differ.
    """
    cases = _checked_cases(cases)
    if total < len(cases):
        raise BoneAgeError(
            f"total {total}: fewer than the {len(cases)} accepted cases, each of which is in the plan "
            f"once; set it to {len(cases)} or more"
        )
    rng = np.random.default_rng(seed)
    rows: list[Any] = list(cases.itertuples())
    lot = dict(zip(cases["case_id"], rng.permutation(len(cases)).tolist(), strict=True))
    palettes = {row.case_id: _palette(row, allowed or {}, laterality_matters) for row in rows}
    most = {case_id: 1 + palette.ways for case_id, palette in palettes.items()}
    if total > sum(most.values()):
        raise BoneAgeError(
            f"total {total}: the training cases and their operators make {sum(most.values())} different "
            "images at most; lower the total or allow more operators"
        )
    quotas = _share(cases, ["year", "sex", "race", "case_id"], total, most, lot)
    drawn = {
        case_id: _draw(palettes[case_id], quotas[case_id] - 1, rng) for case_id in sorted(cases["case_id"])
    }
    notices = _notices(cases, quotas, most, total)
    unflipped = [row.case_id for row in rows if _stays_unflipped(row, allowed or {})]
    if unflipped and not laterality_matters:
        notices.append(
            f"flip was chosen for {len(unflipped)} cases on which it would mirror letters (the first: "
            f"{unflipped[0]}), so it is not drawn; blank the letters first"
        )
    return _plan_table(cases, drawn), notices


def _checked_cases(cases: pd.DataFrame) -> pd.DataFrame:
    columns = ["case_id", "year", "sex", "race", "split"]
    years = pd.to_numeric(cases["year"], errors="coerce").astype(float)
    # Some file systems hold "A1.png" and "a1.png" for the same file.
    twice = cases["case_id"].astype(str).str.casefold().duplicated()
    for case_id, year, split, doubled in zip(cases["case_id"], years, cases["split"], twice, strict=True):
        if not is_safe_id(case_id):
            raise BoneAgeError(f"case {case_id!r}: an id must be 1 to 64 letters, digits, _ or -")
        if doubled:
            raise BoneAgeError(f"case {case_id}: appears twice; keep one row per case")
        if not 0 <= year < math.inf:
            raise BoneAgeError(f"case {case_id}: its year of age is not a number; leave it out")
        if split not in SPLITS:
            raise BoneAgeError(f"case {case_id}: split {split!r} must be one of {', '.join(SPLITS)}")
    if cases.empty:
        raise BoneAgeError("cases: none was accepted; review the images first")
    table = cases[columns].assign(year=np.floor(years).astype(int))
    table["corrections"] = cases.get("corrections", "[]")
    table["augmentations"] = cases.get("augmentations", "")
    table[["sex", "race"]] = table[["sex", "race"]].fillna("Unknown").astype(str)
    return table.sort_values("case_id", ignore_index=True)


_CANDIDATES = 8  # Recipes from which each copy's is taken.


@dataclass(frozen=True)
class _Palette:
    """What a case's copies are drawn from: operators with values by name, in the order of application."""

    choices: Mapping[str, list[dict[str, Any]]]

    @functools.cached_property
    def subsets(self) -> list[tuple[str, ...]]:
        """The operators that may be drawn together; at most one of those that change brightness."""
        sizes = range(1, min(MOST_OPERATORS, len(self.choices)) + 1)
        every = (names for size in sizes for names in combinations(self.choices, size))
        return [names for names in every if len(EXPOSURE.intersection(names)) < 2]

    @functools.cached_property
    def ways(self) -> int:
        """How many different copies there can be."""
        return sum(math.prod(len(self.choices[name]) for name in names) for names in self.subsets)


def _palette(case: Any, allowed: Mapping[str, Sequence[str]], laterality_matters: bool) -> _Palette:
    try:
        parse_corrections(case.corrections)
        suggested = (
            parse_augmentations(format_augmentations(allowed.get(case.case_id, DEFAULT_ALLOWED))) or []
        )
        chosen = parse_augmentations(case.augmentations)
    except BoneAgeError as error:
        raise BoneAgeError(f"case {case.case_id}: {error}") from None
    if case.split != "train":
        return _Palette({})
    may_be_mirrored = "flip" in suggested and not laterality_matters
    return _palette_of(tuple(suggested if chosen is None else chosen), may_be_mirrored)


# Hundreds of operators, which many cases have in common.
@functools.cache
def _palette_of(names: tuple[str, ...], may_be_mirrored: bool) -> _Palette:
    found: dict[str, list[dict[str, Any]]] = {}
    for one in chain.from_iterable(map(drawn_by_name, names)):
        of_operator = found.setdefault(one["name"], [])
        if one not in of_operator and (may_be_mirrored or one["name"] != "flip"):
            of_operator.append(one)
    return _Palette({name: found[name] for name in OPERATORS if found.get(name)})


def _stays_unflipped(case: Any, allowed: Mapping[str, Sequence[str]]) -> bool:
    chosen = parse_augmentations(case.augmentations) or []
    return case.split == "train" and "flip" in chosen and "flip" not in allowed.get(case.case_id, chosen)


def _draw(palette: _Palette, wanted: int, rng: np.random.Generator) -> list[list[dict[str, Any]]]:
    """Draws different recipes, each far from the original image and from those drawn before.

    Of several random ones takes the one that differs most (Mitchell, SIGGRAPH 1991), so that values spread
    over their ranges and no two copies of a case look the same while others are possible.
    """
    subsets, choices = palette.subsets, palette.choices
    if wanted * 4 > palette.ways:
        every = [list(recipe) for names in subsets for recipe in product(*(choices[name] for name in names))]
        return [every[at] for at in rng.choice(len(every), wanted, replace=False)] if wanted else []
    recipes: dict[str, list[dict[str, Any]]] = {}
    places = np.zeros((wanted + 1, carried([]).size))
    while len(recipes) < wanted:
        candidates = []
        for _ in range(_CANDIDATES):
            names = subsets[rng.integers(len(subsets))]
            candidates.append([choices[name][rng.integers(len(choices[name]))] for name in names])
        there = np.stack([carried(recipe) for recipe in candidates])
        known = places[: len(recipes) + 1]
        nearest = np.linalg.norm(there[:, None] - known, axis=2).min(axis=1)
        best = int(np.argmax(nearest))
        text = format_operators(candidates[best])
        if text not in recipes:
            recipes[text] = candidates[best]
            places[len(recipes)] = there[best]
    return list(recipes.values())


def _share(
    cases: pd.DataFrame, levels: list[str], total: int, most: Mapping[str, int], lot: Mapping[str, int]
) -> dict[str, int]:
    """Images of each case: ``total`` shared evenly over the first level's groups, then within each."""
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


def _plan_table(cases: pd.DataFrame, copies: Mapping[str, list[list[dict[str, Any]]]]) -> pd.DataFrame:
    taken = {case_id.casefold() for case_id in cases["case_id"]}
    rows = []
    case: Any
    for case in cases.itertuples():
        corrections = format_corrections(parse_corrections(case.corrections))
        rows.append((case.case_id, case.case_id, case.split, corrections, "[]"))
        numbers = count(1)
        for recipe in copies[case.case_id]:
            # Ids may be 64 long; the stem leaves room for the number.
            ids = (f"{case.case_id[:57]}-{number:03d}" for number in numbers)
            image_id = next(name for name in ids if name.casefold() not in taken)
            taken.add(image_id.casefold())
            rows.append((image_id, case.case_id, case.split, corrections, format_operators(recipe)))
    return pd.DataFrame(rows, columns=list(PLAN_TABLE))


def _notices(
    cases: pd.DataFrame, quotas: Mapping[str, int], most: Mapping[str, int], total: int
) -> list[str]:
    """A line for each year without its equal share, or with copies of one case only, and why."""
    if total == len(cases):
        return []
    years = cases.groupby("year")
    equal = total // years.ngroups
    over: list[Any] = [year for year, group in years if len(group) > equal]
    notices = []
    for year, group in years:
        images, top = (sum(of_case[case_id] for case_id in group["case_id"]) for of_case in (quotas, most))
        training = int((group["split"] == "train").sum())
        reasons = []
        if images < equal and training == 0:
            reasons.append("no training case to copy, so its share went to the other years")
        elif images < equal and images == top:
            reasons.append(
                f"no more than its {training} training case{'s' * (training != 1)} can make differ, "
                f"of a share of {equal}"
            )
        elif images < equal:
            named = f"year {over[0]} has" if len(over) == 1 else f"{len(over)} years have"
            reasons.append(f"short of its share of {equal}, as {named} more cases than that")
        elif year in over and images == len(group):
            reasons.append(f"that many cases, more than its share of {equal}, so none is copied")
        if training == 1 and images > len(group):
            reasons.append("all copies are of one training case")
        if reasons:
            notices.append(f"year {year}: {images} images; {'; '.join(reasons)}")
    return notices
