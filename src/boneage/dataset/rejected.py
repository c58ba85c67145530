"""The cases that the review rejected, as labels to test a network on."""

import pandas as pd

from boneage.core.errors import BoneAgeError
from boneage.dataset.labels import Labels, build_labels
from boneage.dataset.same_picture import same_pictures
from boneage.dataset.split import plan_without_copies
from boneage.dataset.usable import image_faults, load_cases, reviewed_cases, usable_cases
from boneage.workspace import Workspace


def rejected_labels(work: Workspace) -> Labels:
    """Labels of the rejected cases, whose images are taken as they came; no network was trained on any.

    One that shows the same picture as an accepted case is left out.

    Raises:
        BoneAgeError: No images yet, or no rejected case has an image, a label and a picture of its own.
    """
    cases, _ = load_cases(work)
    reviewed = reviewed_cases(work)
    accepted = reviewed.accepted["case_id"].tolist()
    cases = cases[cases["case_id"].isin(reviewed.rejected["case_id"])].reset_index(drop=True)
    if cases.empty:
        raise BoneAgeError(f"{work.review}: no case is rejected, so there is none to test on")
    picture = same_pictures([*accepted, *cases["case_id"]], work.large)
    known = set(picture[accepted])
    left_out = {
        case_id: "the same picture as an accepted case"
        for case_id in cases["case_id"]
        if picture[case_id] in known
    }
    usable = usable_cases(cases, work.settings.label, image_faults(work, cases) | left_out)
    ids = usable.cases["case_id"]
    plan = plan_without_copies(pd.Series("test", index=ids), pd.Series("[]", index=ids))
    return build_labels(usable, plan)
