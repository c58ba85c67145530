"""What the readings of one image say together: which of them count, their mean, what is odd about them."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from boneage.core.errors import BoneAgeError
from boneage.core.tables import OLDEST_YEARS
from boneage.sources.label_tables import is_missing
from boneage.sources.units import PER_YEAR, Unit, years_of, years_outside

FURTHEST_READINGS = 2.0
"""Years by which two readings may differ before it is said; those of the atlas differ by 0.63 (RMS)."""
FEW_ROWS = 5
"""So many rows that contradict something are no typing errors, where they are a large share, too."""
FURTHEST_FOLDER = 3.0
"""Years by which a reading may lie before or after the folder's year of age before it is said."""

# A child of this age in years is read as 0 by nobody.
_NO_NEWBORN = 2.0
# Bones may run years ahead of the age or behind it, and such a case is for the review to see; so far they do
# not, and where the other unit fits, the reading was written in that.
_NO_DISORDER = 6.0
# The ratio of two readings of which one is in years and the other in months.
_YEAR_BESIDE_MONTHS = (9.0, 16.0)


@dataclass(frozen=True)
class Reading:
    """The readings of one image.

    Attributes:
        years: Each reading in years; NaN where it does not count.
        fault: Why none of them can be used, or "".
        remark: What is odd about readings that are used, or "".
    """

    years: tuple[float, ...]
    fault: str = ""
    remark: str = ""

    @property
    def mean(self) -> float:
        """The mean in years of the readings that count; NaN where none does."""
        return math.nan if self.fault or np.isnan(self.years).all() else float(np.nanmean(self.years))


def age_fault(text: str, years: float) -> str | None:
    """Why an age in years cannot be a bone age, or None where it can.

    Args:
        text: The cell it was read from, for the reason.
        years: The age in years; NaN where the cell holds no number.
    """
    if not math.isfinite(years):
        return f"bone age {text!r} is not a number; correct it in the table"
    if years < 0:
        return f"bone age {text!r} is negative; correct it in the table"
    if years > OLDEST_YEARS:
        return f"bone age {text!r} is above {OLDEST_YEARS:g} years; correct it in the table"
    return None


def read_readings(cells: Sequence[str], unit: Unit, age_group: int | None = None) -> Reading:
    """Reads the one or two cells that hold an image's readings.

    A 0 is a newborn's, but "not read" where another reading or the folder says that the child is two or
    older; then the other reading counts alone.

    Args:
        cells: The cells as text; an empty one is a reading that was not made.
        unit: What they are in.
        age_group: The folder's whole year of age, where it is known.
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
    other = next(name for name in PER_YEAR if name != unit.name)
    remarks = []
    if 0.0 in years and max(known, np.nanmax(years)) >= _NO_NEWBORN:
        if not np.nanmax(years):
            where = f"in the folder of year {age_group}"
            return Reading(nothing, f"a reading of 0 {where} is taken for not read; the bone age is empty")
        years = [age or math.nan for age in years]
        remarks.append(f"a reading of 0 beside {np.nanmax(years):.3g} years is taken for not read")
    if np.nanmax(years) - np.nanmin(years) > FURTHEST_READINGS:
        shown = " and ".join(f"{age:.3g}" for age in years)
        far = f"its readings {shown} differ by more than {FURTHEST_READINGS:g} years"
        if _YEAR_BESIDE_MONTHS[0] <= np.nanmax(years) / np.nanmin(years) <= _YEAR_BESIDE_MONTHS[1]:
            return Reading(
                nothing,
                f"{far}, and one taken for {other} they would agree; not used, correct it in the table",
            )
        remarks.append(f"{far}; their mean is used")
    mean = float(np.nanmean(years))
    if age_group is not None and years_outside(mean, age_group) > FURTHEST_FOLDER:
        far = (
            f"bone age {mean:.3g} years lies more than {FURTHEST_FOLDER:g} years from the folder's year of "
            f"age ({age_group})"
        )
        fits_other = years_outside(mean * unit.per_year / PER_YEAR[other], age_group) <= FURTHEST_FOLDER
        if fits_other and years_outside(mean, age_group) > _NO_DISORDER:
            return Reading(
                nothing, f"{far}, and taken for {other} it would fit; not used, correct it in the table"
            )
        remarks.append(f"{far}; used all the same")
    return Reading(tuple(years), "", "; ".join(remarks))


def refuse_contradiction(
    name: str, used: str, against: Sequence[str], shared: int, most_contradictions: float
) -> None:
    """Raises where a table denies what another said before: one of them may hold a network's answers.

    Args:
        name: The table.
        used: The other, which is in use.
        against: Of each image of which they say different things, what the table says.
        shared: How many images stand in both.
        most_contradictions: The share of them that may be typing errors.
    """
    if len(against) >= FEW_ROWS and len(against) > most_contradictions * shared:
        raise BoneAgeError(
            f"{name}: it says otherwise than {used} of {len(against)} of the {shared} images in both "
            f"(of {against[0]}); leave only the right table in the folder"
        )
