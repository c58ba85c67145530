"""Bone age among healthy children of one age and sex: what an estimate is compared with.

Means and standard deviations of bone age, by Greulich and Pyle's plates, of the children of the Brush
Foundation Study (Cleveland, Ohio, 1931 to 1942), as published in Greulich WW, Pyle SI, "Radiographic Atlas of
Skeletal Development of the Hand and Wrist", 2nd edition, Stanford University Press 1959, and still the ones
that clinical reports quote. The children were White and well off: others mature earlier or later on average
(Ontell et al., American Journal of Roentgenology 1996; 167:1395-1398).
"""

import numpy as np

from boneage.core.errors import BoneAgeError
from boneage.core.tables import MONTHS_PER_YEAR

CITED = (
    "Greulich and Pyle, Radiographic Atlas of Skeletal Development of the Hand and Wrist, 2nd edition, 1959 "
    "(children of the Brush Foundation Study)"
)

OLDEST_AGE_YEARS = 25.0
"""Highest chronological age that is taken for one in years."""

_AGES = (0.25, 0.5, 0.75, 1, 1.5, 2, 2.5, 3, 3.5, 4, 4.5, 5, *range(6, 18))
# Months. The girls' column ends at sixteen.
_MEANS = {
    "F": (
        *(3.02, 6.04, 9.05, 12.04, 18.22, 24.16, 30.96, 36.63, 43.50, 50.14, 60.06, 66.21),
        *(78.50, 89.30, 100.66, 113.86, 125.66, 137.86, 149.62, 162.28, 174.25, 183.62, 189.44),
    ),
    "M": (
        *(3.01, 6.09, 9.56, 12.74, 19.36, 25.97, 32.40, 38.21, 43.89, 49.04, 56.00, 62.43),
        *(75.46, 88.20, 101.38, 113.90, 125.68, 137.32, 148.82, 158.39, 170.02, 182.72, 195.32, 206.21),
    ),
}
_DEVIATIONS = {
    "F": (
        *(0.72, 1.16, 1.36, 1.77, 3.49, 4.64, 5.37, 5.97, 7.48, 8.98, 10.73, 11.65),
        *(10.23, 9.64, 10.23, 10.74, 11.73, 11.94, 10.24, 10.67, 11.30, 9.23, 7.31),
    ),
    "M": (
        *(0.69, 1.13, 1.43, 1.97, 3.52, 3.92, 4.52, 5.08, 5.40, 6.66, 8.36, 8.79),
        *(9.17, 8.91, 9.10, 9.00, 9.79, 10.09, 10.38, 10.44, 10.72, 11.32, 12.86, 13.05),
    ),
}


def standard(age: float, sex: str) -> tuple[float, float] | None:
    """Mean and standard deviation of bone age in years at a chronological age.

    Linear between the ages of the table; None outside it: below 3 months, above 16 (girls) or 17 years.
    """
    ages = _AGES[: len(_MEANS[sex])]
    if not ages[0] <= age <= ages[-1]:
        return None
    mean, deviation = (float(np.interp(age, ages, of[sex])) / MONTHS_PER_YEAR for of in (_MEANS, _DEVIATIONS))
    return mean, deviation


def z_score(bone_age: float, age: float, sex: str) -> float | None:
    """How many standard deviations a bone age lies above the mean of children of that age and sex.

    None where :func:`standard` has no value.
    """
    of_age = standard(age, sex)
    return None if of_age is None else (bone_age - of_age[0]) / of_age[1]


def check_age(age: float | None) -> None:
    """Refuses what is no chronological age in years.

    Raises:
        BoneAgeError: Below 0 or above :data:`OLDEST_AGE_YEARS`.
    """
    if age is not None and not 0 <= age <= OLDEST_AGE_YEARS:
        raise BoneAgeError(f"age: {age:g} must be from 0 to {OLDEST_AGE_YEARS:g}; give years, not months")
