"""The label CSV: one row per image, its bone age in years, and which split it belongs to."""

import json
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from boneage.core.errors import BoneAgeError
from boneage.core.files import write_text
from boneage.core.left_out import in_words
from boneage.core.tables import (
    LABEL_TABLE,
    MONTHS_PER_YEAR,
    OLDEST_YEARS,
    RACES,
    SPLITS,
    is_safe_id,
    read_table,
    skipped_table,
    write_table,
)
from boneage.dataset.usable import REJECTED, UsableCases
from boneage.images.operators import format_operators, operators_of_image
from boneage.sources.spellings import canonical_id, read_sexes

UNKNOWN = "unknown"

SETS = ("plain", "repeated", "augmented")
"""What labels may be of: each case's own image alone; the same, with training images shown as often as the
augmented set shows them, a control of as many steps; or augmented copies of training cases beside it."""

LARGEST_SHARE_TOO_OLD = 0.1
"""Where a larger share of the ages is above the oldest, they are months, not faults of single rows."""

# 12. Mai, 12-May, May 12, 12.05.2026
_DATE = re.compile(r"\d[.-] ?[^\W\d]{3}|[^\W\d]{3}[ .-]+\d|\d[./-]\d+[./-]")

# What stands beside a label CSV: its name there, the attribute of Labels, its type.
_FACTS = (
    ("label_kind", "kind", str),
    ("source", "source", str),
    ("lost_cases", "lost_cases", int),
    ("split_seed", "split_seed", int),
)


@dataclass(frozen=True)
class Labels:
    """Labels ready for training.

    Attributes:
        table: Columns ``tables.LABEL_TABLE``; Bone Age in years (float), Male a bool.
        kind: Which age the label is, in words: every table of results is headed by it.
        source: Where the radiographs come from.
        skipped: Rows that were left out and why (``item``, ``reason``).
        lost_cases: How many cases of the case table have no label here though nobody rejected them.
        split_seed: The seed of their split; None where it is not known.
        repeated_to: Images of the augmented set whose steps an epoch is to have (:func:`repeated`); 0 to show
            each image once.
        fold: Which fold of a cross-validation is held out, such as ``1-of-5``; empty where none is.
    """

    table: pd.DataFrame
    kind: str
    source: str
    skipped: pd.DataFrame
    lost_cases: int = 0
    split_seed: int | None = None
    repeated_to: int = 0
    fold: str = ""

    @property
    def set(self) -> str:
        """Which of ``SETS`` the labels are of."""
        if self.repeated_to:
            return "repeated"
        return "augmented" if self.table["Source ID"].duplicated().any() else "plain"


def repeated(labels: Labels, total: int) -> Labels:
    """The plain set, repeated in each epoch until it has as many images as an augmented set.

    Args:
        labels: Labels of the plain set.
        total: Images in the augmented set, all splits together.

    Raises:
        BoneAgeError: The labels are of the augmented set, or the total is below their number.
    """
    if labels.set == "augmented":
        raise BoneAgeError("repeat_to: these labels are of the augmented set; repeat those of the plain one")
    if total < len(labels.table):
        raise BoneAgeError(f"repeat_to {total}: must be at least the {len(labels.table)} images of the set")
    return replace(labels, repeated_to=total)


def build_labels(usable: UsableCases, plan: pd.DataFrame) -> Labels:
    """Labels every image of a plan with the age of its case, in the plan's order.

    Args:
        usable: The cases that can be labelled.
        plan: ``tables.PLAN_TABLE``; its cases are among the usable ones.

    Raises:
        BoneAgeError: A case stands in two splits.
    """
    of_case = usable.cases.set_index("case_id").loc[plan["case_id"]]
    operators = map(operators_of_image, plan["corrections"], plan["augmentations"])
    table = pd.DataFrame(
        {
            "Case ID": plan["image_id"].to_numpy(),
            "Bone Age": usable.years[plan["case_id"]].to_numpy(),
            "Male": (of_case["sex"] == "M").to_numpy(),
            "Location": of_case["race"].to_numpy(),
            "Source ID": plan["case_id"].to_numpy(),
            "Split": plan["split"].to_numpy(),
            "Operators": list(map(format_operators, operators)),
        }
    )
    check_splits(table, "plan")
    source = " and ".join(sorted(usable.cases["source"].unique()))
    unlabelled = set(usable.cases["case_id"]) - set(plan["case_id"])
    lost = len(unlabelled) + int((~usable.skipped["reason"].str.startswith(REJECTED)).sum())
    return Labels(table, usable.kind, source, usable.skipped, lost)


def write_labels(path: Path | str, labels: Labels) -> Path:
    """Writes the label CSV (a baby is 0, sex is TRUE or FALSE) and, beside it, whose ages they are.

    Raises:
        BoneAgeError: The folder is read-only, or the disk is full.
    """
    path = Path(path)
    text = labels.table.copy()
    text["Bone Age"] = [f"{years:.4f}".rstrip("0").rstrip(".") for years in text["Bone Age"]]
    text["Male"] = np.where(text["Male"], "TRUE", "FALSE")
    # What the labels are goes first: a label CSV is never there without it.
    facts = {name: getattr(labels, attribute) for name, attribute, _ in _FACTS}
    write_text(path.with_suffix(".json"), json.dumps(facts, indent=1) + "\n")
    return write_table(path, text)


def read_labels(path: Path | str) -> Labels:
    """Reads a label CSV, also as a spreadsheet has saved it, leaving out rows that cannot be used.

    A row is left out, with its reason, when its id cannot name a file or appears twice, its age is text,
    negative, not a number or above 20 years, or its sex, race or split is none of the known.

    Raises:
        BoneAgeError: The file is no such table, its ages are months, no row is usable, or a case stands in
            two splits.
    """
    path = Path(path)
    raw = read_table(path, LABEL_TABLE)[list(LABEL_TABLE)]
    for name, spellings in (("Location", RACES), ("Split", SPLITS)):
        known = {word.casefold(): word for word in spellings}
        raw[name] = [known.get(cell.casefold(), cell) for cell in raw[name]]
    for name in ("Case ID", "Source ID"):
        raw[name] = raw[name].map(canonical_id)
    ages = pd.to_numeric(raw["Bone Age"].str.replace(",", "."), errors="coerce")
    _refuse_months(path, ages)
    sexes, _ = read_sexes(raw["Male"].tolist(), "Male")
    seen: set[str] = set()
    rows, reasons = [], []
    for row, years, sex in zip(raw.itertuples(index=False, name=None), ages, sexes, strict=True):
        case_id, age, male, location, source_id, split, operators = row
        reason = _fault(case_id, age, years, location, source_id, split, seen)
        if not reason and sex is None:
            reason = f"Male {male!r} must be TRUE or FALSE"
        if reason:
            reasons.append((case_id, reason))
            continue
        seen.add(case_id)
        rows.append((case_id, float(years), sex == "M", location, source_id, split, operators))
    if not rows:
        why = f": left out {in_words(skipped_table(reasons), len(reasons))}" if reasons else ""
        raise BoneAgeError(f"{path}: no usable row{why}; make it again with `python -m boneage labels`")
    table = pd.DataFrame(rows, columns=list(LABEL_TABLE))
    check_splits(table, str(path))
    facts: dict[str, Any] = {"kind": UNKNOWN, "source": UNKNOWN, **_read_facts(path.with_suffix(".json"))}
    return Labels(table=table, skipped=skipped_table(reasons), **facts)


def check_splits(labels: pd.DataFrame, name: str) -> None:
    """Makes sure that no case stands in two splits.

    Raises:
        BoneAgeError: One does; it is named.
    """
    splits_of_case = labels.groupby("Source ID")["Split"].nunique()
    crossing = splits_of_case.index[splits_of_case > 1]
    if len(crossing):
        raise BoneAgeError(
            f"{name}: case {crossing[0]} is in more than one split ({len(crossing)} such cases), so the "
            "test would not be a test; make the labels again with `python -m boneage labels`"
        )


def _refuse_months(path: Path, ages: pd.Series) -> None:
    """Left to itself each row above the oldest age would be left out, and the youngest taken for years."""
    too_old = ages[ages > OLDEST_YEARS]
    if len(too_old) > LARGEST_SHARE_TOO_OLD * len(ages) and too_old.max() <= OLDEST_YEARS * MONTHS_PER_YEAR:
        raise BoneAgeError(
            f"{path}: Bone Age is in months, it seems ({len(too_old)} of {len(ages)} are above "
            f"{OLDEST_YEARS:g}, up to {too_old.max():g}), and must be in years; divide the column by 12, or "
            "make it again with `python -m boneage labels`"
        )


def _fault(
    case_id: str, age: str, years: float, location: str, source_id: str, split: str, seen: set[str]
) -> str | None:
    if not is_safe_id(case_id):
        return "the Case ID must be 1 to 64 letters, digits, _ or -"
    if case_id in seen:
        return "the Case ID appears twice; the first row is kept"
    if not source_id:
        return "the Source ID is empty"
    if np.isnan(years):
        # Where a comma is decimal, a spreadsheet takes 12.5 for the twelfth of May.
        as_date = " (a date, which a spreadsheet made of it)" if _DATE.search(age) else ""
        return f"Bone Age {age!r} is not a number{as_date}"
    if not 0 <= years <= OLDEST_YEARS:
        return f"Bone Age {age} is outside 0 to {OLDEST_YEARS:g} years (is it in months?)"
    if location not in RACES:
        return f"Location {location!r} must be one of {', '.join(RACES)}"
    if split not in SPLITS:
        return f"Split {split!r} must be one of {', '.join(SPLITS)}"
    return None


def _read_facts(path: Path) -> dict[str, str | int]:
    """What stands beside a label CSV, by the attributes of ``Labels``; empty where it cannot be read."""
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
        return {
            attribute: facts[name]
            for name, attribute, kind in _FACTS
            if type(facts.get(name)) is kind and facts[name] != ""
        }
    except (OSError, ValueError, AttributeError, RecursionError):
        return {}
