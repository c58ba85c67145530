"""One radiograph in, an age with its interval and its reasons out.

In: a radiograph, and an ensemble of trained networks with what is known of the cases that they learnt from.
Out: an estimate, or the reason why there is none; as a table, a page, a FHIR Observation.
"""

from boneage.estimate.children import read_children
from boneage.estimate.estimating import Child
from boneage.estimate.fhir import NOTICE
from boneage.estimate.files import Estimated, estimate_files, find_radiographs
from boneage.estimate.models import load_ensemble, read_models, write_models
from boneage.estimate.results import estimate_table, line_of, write_estimates

__all__ = [
    "NOTICE",
    "Child",
    "Estimated",
    "estimate_files",
    "estimate_table",
    "find_radiographs",
    "line_of",
    "load_ensemble",
    "read_children",
    "read_models",
    "write_estimates",
    "write_models",
]
