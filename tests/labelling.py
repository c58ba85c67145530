"""Labels for tests: every usable case once, untouched."""

from boneage.labels import Labels, build_labels, usable_cases
from boneage.split import draw_split, untouched_plan


def untouched_labels(
    cases, label="reading", validation_share=0.15, test_share=0.15, seed=1, left_out=None
) -> Labels:
    """The labels of a case table as it is."""
    usable = usable_cases(cases, label, left_out)
    return build_labels(usable, untouched_plan(draw_split(usable.strata, validation_share, test_share, seed)))
