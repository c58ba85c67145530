"""The readings of one image: which of them count, their mean, what is odd."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from boneage.core.errors import BoneAgeError
from boneage.core.tables import OLDEST_YEARS
from boneage.sources.label_tables import is_missing
from boneage.sources.units import PER_YEAR, Unit, years_of, years_outside

FURTHEST_READINGS = 2.0
"""A larger difference between two readings, in years, gets a remark; the atlas's differ by 0.63 (RMS)."""
FEW_ROWS = 5
"""This many contradicting rows are more than typing errors, if they are a large share too."""
FURTHEST_FOLDER = 3.0
"""A reading further than this from the folder's year of age, in years, gets a remark."""

# From this age in years, nobody reads a child as 0.
_NO_NEWBORN = 2.0
# Bones may be years ahead of the age or behind it, and the reviewer should see such a case. But not this far,
# and if the other unit fits, the reading was written in that.
_NO_DISORDER = 6.0
# Ratio of two readings, one in years and the other in months (weeks, days), as a share of a year's months.
_ONE_IN_YEARS = (0.75, 4 / 3)


@dataclass(frozen=True)
class Reading:
    """The readings of one image.

    Attributes:
        years: Each reading in years; NaN if it does not count.
        fault: Why none can be used, or "".
        remark: What is odd about usable readings, or "".
    """

    years: tuple[float, ...]
    fault: str = ""
    remark: str = ""

    @property
    def mean(self) -> float:
        """Mean of the readings that count, in years; NaN if none does."""
        return math.nan if self.fault or np.isnan(self.years).all() else float(np.nanmean(self.years))


def age_fault(text: str, years: float) -> str | None:
    """Why an age in years cannot be a bone age, or None.

    Args:
        text: The original cell, quoted in the reason.
        years: NaN if the cell holds no number.
    """
    if not math.isfinite(years):
        return f"bone age {text!r} is not a number; correct it in the table"
    if years < 0:
        return f"bone age {text!r} is negative; correct it in the table"
    if years > OLDEST_YEARS:
        return f"bone age {text!r} is above {OLDEST_YEARS:g} years; correct it in the table"
    return None


def read_readings(cells: Sequence[str], unit: Unit, age_group: int | None = None) -> Reading:
    """Reads the one or two cells with an image's readings.

    A 0 is a newborn, but counts as not read if another reading or the folder says that the child is two or
    older; then the other reading counts alone.

    Args:
        cells: Text; an empty one is a missing reading.
        unit: Unit of the cells.
        age_group: The folder's whole year of age, if known.
    """
    kept = [
        cell for cell in cells if cell and not (is_missing(cell) and any(not is_missing(c) for c in cells))
    ]
    faults = [age_fault(cell, years_of(cell, unit)) for cell in kept]
    nothing = (math.nan,) * len(cells)
    if not kept:
        return Reading(nothing, "no reading in this row (an empty cell is not a number)")
    if any(faults):
        return Reading(nothing, next(filter(None, faults)))
    years = [years_of(cell, unit) if cell in kept else math.nan for cell in cells]
    known = age_group if age_group is not None else max((age for age in years if age > 0), default=0.0)
    other = "months" if unit.name == "years" else "years"
    remarks = []
    if 0.0 in years and max(known, np.nanmax(years)) >= _NO_NEWBORN:
        if not np.nanmax(years):
            where = f"in the folder of year {age_group}"
            return Reading(nothing, f"a reading of 0 {where} counts as not read; the bone age is empty")
        years = [age or math.nan for age in years]
        remarks.append(f"a reading of 0 beside {np.nanmax(years):.3g} years counts as not read")
    if np.nanmax(years) - np.nanmin(years) > FURTHEST_READINGS:
        shown = " and ".join(f"{age:.3g}" for age in years)
        far = f"its readings {shown} differ by more than {FURTHEST_READINGS:g} years"
        times = max(unit.per_year, PER_YEAR[other])
        if _ONE_IN_YEARS[0] <= np.nanmax(years) / np.nanmin(years) / times <= _ONE_IN_YEARS[1]:
            return Reading(
                nothing,
                f"{far}, but would agree if one were in {other}; not used, correct it in the table",
            )
        remarks.append(f"{far}; their mean is used")
    mean = float(np.nanmean(years))
    if age_group is not None and years_outside(mean, age_group) > FURTHEST_FOLDER:
        far = (
            f"bone age {mean:.3g} years is more than {FURTHEST_FOLDER:g} years from the folder's year of "
            f"age ({age_group})"
        )
        fits_other = years_outside(mean * unit.per_year / PER_YEAR[other], age_group) <= FURTHEST_FOLDER
        if fits_other and years_outside(mean, age_group) > _NO_DISORDER:
            return Reading(nothing, f"{far}, but would fit in {other}; not used, correct it in the table")
        remarks.append(f"{far}; used nevertheless")
    return Reading(tuple(years), "", "; ".join(remarks))


def refuse_contradiction(
    name: str, used: str, against: Sequence[str], shared: int, most_contradictions: float
) -> None:
    """Raises if a table contradicts another: one of them may hold a network's predictions.

    Args:
        name: The table.
        used: The other, already in use.
        against: What the table says of each image on which they disagree.
        shared: Number of images in both.
        most_contradictions: Share of them that may be typing errors.

    Raises:
        BoneAgeError: They disagree on more images.
    """
    if len(against) >= FEW_ROWS and len(against) > most_contradictions * shared:
        raise BoneAgeError(
            f"{name}: it contradicts {used} on {len(against)} of the {shared} images in both "
            f"({against[0]}); leave only the right table in the folder"
        )
