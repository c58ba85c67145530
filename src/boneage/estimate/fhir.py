"""An estimate as a FHIR Observation (R4, https://hl7.org/fhir/R4/observation.html).

The code is LOINC 85151-9, "XR Bone age", a quantity in years or months (https://loinc.org/85151-9). No
subject is named: whoever files it knows whose it is.
"""

import math
from typing import Any

from boneage.core.tables import MONTHS_PER_YEAR
from boneage.estimate.estimating import Estimate
from boneage.estimate.standards import CITED

NOTICE = "Research software, not a medical device."

_LOINC = {"system": "http://loinc.org", "code": "85151-9", "display": "XR Bone age"}
_MONTH = {"unit": "month", "system": "http://unitsofmeasure.org", "code": "mo"}


def observation(estimate: Estimate, method: str) -> dict[str, Any]:
    """The Observation of an estimate, in months; preliminary, as no person has seen it.

    Args:
        estimate: One that was not refused.
        method: What made it, in words.
    """
    components = [
        _component("Bone age, lower end of the 90 % prediction interval", estimate.low),
        _component("Bone age, upper end of the 90 % prediction interval", estimate.high),
        _component("Bone age minus chronological age", estimate.difference),
    ]
    if not math.isnan(estimate.z_score):
        z = {"value": round(estimate.z_score, 2), "system": "http://unitsofmeasure.org", "code": "1"}
        text = f"z-score of the bone age for age and sex, after {CITED}"
        components.append({"code": {"text": text}, "valueQuantity": z})
    said = {
        "resourceType": "Observation",
        "status": "preliminary",
        "category": [
            {
                "coding": [
                    {
                        "system": "http://terminology.hl7.org/CodeSystem/observation-category",
                        "code": "imaging",
                    }
                ]
            }
        ],
        "code": {"coding": [_LOINC], "text": "Bone age"},
        "valueQuantity": _months(estimate.bone_age),
        "bodySite": {"text": "Hand and wrist"},
        "method": {"text": method},
        "note": [{"text": one} for one in (NOTICE, *estimate.notes, *estimate.warnings)],
        "component": [one for one in components if one],
    }
    # FHIR allows no empty list.
    return {name: value for name, value in said.items() if value != []}


def _component(text: str, years: float) -> dict[str, Any] | None:
    return None if math.isnan(years) else {"code": {"text": text}, "valueQuantity": _months(years)}


def _months(years: float) -> dict[str, Any]:
    return {"value": round(years * MONTHS_PER_YEAR, 1), **_MONTH}
