"""Bone age out of step with age, by the case table and by a trained model's estimates where there are any."""

import numpy as np
import pandas as pd

from boneage.anomalies.suspicion import Suspicion, between
from boneage.core.tables import SEXES
from boneage.phantom.ossification import tempo_spread

LEAST_DEVIATIONS = 2.0
"""Standard deviations from the age beyond which a bone age is called out of step, as clinicians do."""

# The score begins before the first suspicion and is full where one child in thousands is.
_DEVIATIONS = (1.5, 4.0)
# An age group is a whole year: a child's age lies anywhere in it, its standard deviation is 1 / sqrt(12).
_MIDDLE_OF_YEAR = 0.5
_YEAR_VARIANCE = 1.0 / 12.0
_LEAST_RESIDUALS = 20


def growth_suspicions(cases: pd.DataFrame, residuals: pd.DataFrame | None = None) -> dict[str, Suspicion]:
    """Suspicions of cases whose skeleton is ahead of or behind their age.

    Bone age is compared with the middle of the age group, in the standard deviations that Greulich and Pyle
    give for that age and sex (:func:`ossification.tempo_spread`), widened by what a whole year leaves
    open of the age. The set's own spread is not used: what is to be found would widen it.

    Args:
        cases: A case table; cases without age group, bone age or sex are passed over.
        residuals: ``case_id`` and ``residual`` (a trained model's estimate minus bone age, years); compared
            with their own median and spread. Those of fewer than 20 cases are passed over.

    Returns:
        By case id, the one with the higher score where both speak.
    """
    found: dict[str, Suspicion] = {}
    ages = pd.to_numeric(cases["age_group"], errors="coerce").astype(float)
    bone_ages = pd.to_numeric(cases["bone_age"], errors="coerce").astype(float)
    for case_id, sex, group, bone_age in zip(cases["case_id"], cases["sex"], ages, bone_ages, strict=True):
        if sex not in SEXES or np.isnan(group) or np.isnan(bone_age):
            continue
        age = group + _MIDDLE_OF_YEAR
        years = bone_age - age
        deviations = abs(years) / np.sqrt(tempo_spread(age, sex) ** 2 + _YEAR_VARIANCE)
        if deviations >= LEAST_DEVIATIONS:
            side = "ahead of" if years > 0 else "behind"
            why = (
                f"bone age {bone_age:.1f} is {abs(years):.1f} years {side} age {age:.1f}, "
                f"{deviations:.1f} standard deviations"
            )
            found[case_id] = Suspicion("growth out of step", between(deviations, _DEVIATIONS), why)
    for case_id, suspicion in _by_residual(residuals).items():
        if case_id not in found or suspicion.score > found[case_id].score:
            found[case_id] = suspicion
    return found


def _by_residual(residuals: pd.DataFrame | None) -> dict[str, Suspicion]:
    if residuals is None or len(residuals) < _LEAST_RESIDUALS:
        return {}
    years = pd.to_numeric(residuals["residual"], errors="coerce").to_numpy(float)
    apart = years - np.nanmedian(years)
    spread = 1.4826 * float(np.nanmedian(np.abs(apart)))
    found = {}
    for case_id, off in zip(residuals["case_id"], apart, strict=True):
        deviations = abs(off) / spread if spread > 0 else 0.0
        if deviations >= LEAST_DEVIATIONS:
            side = "above" if off > 0 else "below"
            why = (
                f"a trained model's estimate is {abs(off):.1f} years further {side} bone age than is usual, "
                f"{deviations:.1f} standard deviations"
            )
            found[case_id] = Suspicion("growth out of step", between(deviations, _DEVIATIONS), why)
    return found
