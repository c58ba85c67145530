"""What the board knows about a case, and how it is worded."""

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from boneage.anomalies import LIKELY
from boneage.review.decisions import Decision

Box = tuple[float, float, float, float]
"""x, y, width, height in shares of the image."""


@dataclass(frozen=True)
class Case:
    """A row of the case table, with None for unknown; ages and readings in years."""

    case_id: str
    sex: str
    race: str
    age_group: float | None
    bone_age: float | None
    readings: tuple[float, ...]

    @property
    def year(self) -> int | None:
        """The year of age: from the atlas folder if there is one, else of the bone age."""
        age = self.bone_age if self.age_group is None else self.age_group
        return None if age is None else math.floor(age)

    @property
    def who(self) -> str:
        """Such as "girl, 5 years": the group to compare the case with."""
        sex = {"F": "girl", "M": "boy"}.get(self.sex, "sex unknown")
        return f"{sex}, {words_of_year(self.year)}"

    @property
    def about(self) -> tuple[str, str]:
        """Two lines: the child, and the readings."""
        race = self.race if self.race not in ("", "Unknown") else "race unknown"
        age = None if self.age_group is None else math.floor(self.age_group)
        sex = self.who.split(",")[0]
        read = f" (readings {', '.join(f'{one:.1f}' for one in self.readings)})" if self.readings else ""
        return f"{sex} · {words_of_year(age)} · {race}", f"{words_of_bone_age(self)}{read}"


@dataclass(frozen=True)
class Anomaly:
    """An anomaly of an image: a score from 0 to 1, a box or None, and the reason."""

    kind: str
    score: float
    box: Box | None
    why: str

    @property
    def is_likely(self) -> bool:
        """Whether it is used in the filters, in the grid and for the box drawn; the others are faint."""
        return self.score >= LIKELY

    @property
    def words(self) -> str:
        """Such as "● bracelet · 0.80", or "○ ring · 0.31 (faint)"."""
        words = f"{self.kind} · {self.score:.2f}"
        return f"● {words}" if self.is_likely else f"○ {words} (faint)"


def read_cases(cases: pd.DataFrame) -> dict[str, Case]:
    """The rows of a case table by id; the first one if an id is duplicated."""
    found: dict[str, Case] = {}
    for row in cases.to_dict("records"):
        case_id = str(row["case_id"])
        readings = (_number(row.get(name)) for name in ("reading_1", "reading_2"))
        sex, race = (_text(row.get(name)) for name in ("sex", "race"))
        ages = (_number(row.get(name)) for name in ("age_group", "bone_age"))
        known = tuple(reading for reading in readings if reading is not None)
        found.setdefault(case_id, Case(case_id, sex, race, *ages, known))
    return found


def read_anomalies(anomalies: pd.DataFrame, known: Collection[str]) -> dict[str, list[Anomaly]]:
    """The anomalies of known cases by id, the likely ones first, else in the table's order."""
    found: dict[str, list[Anomaly]] = {}
    for row in anomalies.to_dict("records"):
        case_id = str(row["case_id"])
        if case_id in known:
            box = box_in_image(*(_number(row.get(name)) for name in ("x", "y", "width", "height")))
            one = Anomaly(_text(row["kind"]), _number(row["score"]) or 0.0, box, _text(row["why"]))
            found.setdefault(case_id, []).append(one)
    return {case_id: sorted(of_case, key=lambda one: not one.is_likely) for case_id, of_case in found.items()}


def box_in_image(x: float | None, y: float | None, width: float | None, height: float | None) -> Box | None:
    """The part of a box inside the image, or None."""
    if x is None or y is None or width is None or height is None:
        return None
    left, top = max(x, 0.0), max(y, 0.0)
    right, bottom = min(x + width, 1.0), min(y + height, 1.0)
    return (left, top, right - left, bottom - top) if right > left and bottom > top else None


def alike(case_id: str, cases: Mapping[str, Case], left_out: Collection[str], most: int) -> list[str]:
    """Cases of the same sex and year of age, from least to most mature; none if the year is unknown."""
    case = cases[case_id]
    if case.year is None:
        return []
    others = [
        one
        for one in cases.values()
        if one.case_id != case_id
        and one.case_id not in left_out
        and (one.sex, one.year) == (case.sex, case.year)
    ]
    others.sort(key=lambda one: (math.inf if one.bone_age is None else one.bone_age, one.case_id))
    places = np.linspace(0, len(others) - 1, min(most, len(others))).round().astype(int)
    return [others[at].case_id for at in places]


def words_of_year(year: int | None) -> str:
    """Such as "5 years"."""
    if year is None:
        return "age unknown"
    return "under 1 year" if year == 0 else f"{year} year{'s' * (year != 1)}"


def words_of_bone_age(case: Case, short: bool = False) -> str:
    """Such as "bone age 5.4 years", or "5.4 y"."""
    if case.bone_age is None:
        return "no reading" if short else "bone age unknown"
    return f"{case.bone_age:.1f} y" if short else f"bone age {case.bone_age:.1f} years"


def words_of_decision(decision: Decision | None) -> tuple[str, str]:
    """A decision in words, and its class in the style sheet."""
    if decision is None:
        return "undecided", "undecided"
    if decision.decision == "keep":
        return "kept", "kept"
    return f"rejected: {decision.reason}", "rejected"


def _number(value: object) -> float | None:
    number = pd.to_numeric(value, errors="coerce")
    return float(number) if not pd.isna(number) and math.isfinite(number) else None


def _text(value: object) -> str:
    return "" if value is None or pd.isna(value) else str(value)
