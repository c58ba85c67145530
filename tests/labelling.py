"""Labels for tests: every usable case once, untouched."""

import pandas as pd

from boneage.dataset.labels import Labels, build_labels
from boneage.dataset.split import draw_split, plan_without_copies
from boneage.dataset.usable import usable_cases


def untouched_labels(
    cases, label="reading", validation_share=0.15, test_share=0.15, seed=1, left_out=None
) -> Labels:
    """The labels of a case table as it is."""
    usable = usable_cases(cases, label, left_out)
    split = draw_split(usable.strata, validation_share, test_share, seed)
    return build_labels(usable, plan_without_copies(split, pd.Series("[]", split.index)))
