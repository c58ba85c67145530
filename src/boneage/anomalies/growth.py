"""Bone age out of step with age, from the case table."""

import numpy as np
import pandas as pd

from boneage.anomalies.anomaly import Anomaly, between
from boneage.core.tables import SEXES
from boneage.phantom.ossification import tempo_spread

LEAST_DEVIATIONS = 2.0
"""Standard deviations from the age at which a bone age counts as out of step, as is clinical practice."""

# The score starts below the first anomaly and reaches 1 at one child in thousands.
_DEVIATIONS = (1.5, 4.0)
# An age group is a whole year: the age is uniform within it, with standard deviation 1 / sqrt(12).
_MIDDLE_OF_YEAR = 0.5
_YEAR_VARIANCE = 1.0 / 12.0


def growth_anomalies(cases: pd.DataFrame) -> dict[str, Anomaly]:
    """Anomalies of cases whose skeleton is ahead of or behind their age, by case id.

    Bone age is compared with the middle of the age group, in Greulich and Pyle's standard deviations for age
    and sex (:func:`ossification.tempo_spread`), widened for the width of the age group. The data set's own
    spread is not used, because the anomalies would widen it.

    Args:
        cases: A case table; cases without age group, bone age or sex are ignored.
    """
    found: dict[str, Anomaly] = {}
    # As floats: nullable integers have no NaN.
    ages = pd.to_numeric(cases["age_group"], errors="coerce").astype(float) + _MIDDLE_OF_YEAR
    bone_ages = pd.to_numeric(cases["bone_age"], errors="coerce").astype(float)
    for case_id, sex, age, bone_age in zip(cases["case_id"], cases["sex"], ages, bone_ages, strict=True):
        if sex not in SEXES or np.isnan(age) or np.isnan(bone_age):
            continue
        years = bone_age - age
        deviations = abs(years) / np.sqrt(tempo_spread(age, sex) ** 2 + _YEAR_VARIANCE)
        if deviations >= LEAST_DEVIATIONS:
            side = "ahead of" if years > 0 else "behind"
            why = (
                f"bone age {bone_age:.1f} is {abs(years):.1f} years {side} age {age:.1f}, "
                f"{deviations:.1f} standard deviations"
            )
            found[case_id] = Anomaly("growth out of step", between(deviations, _DEVIATIONS), why)
    return found
