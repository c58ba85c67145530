"""Whether enough is left to train on and to believe the result."""

import pandas as pd

from boneage.core.errors import BoneAgeError
from boneage.core.left_out import in_words
from boneage.core.tables import skipped_table
from boneage.dataset.labels import Labels
from boneage.dataset.usable import REJECTED

FEWEST_TRAINING_CASES = 20
LARGEST_SHARE_LEFT_OUT = 0.1


def check_enough(labels: Labels, table: pd.DataFrame, accepted: bool) -> None:
    """Raises if too little is left to train on.

    That is fewer than ``FEWEST_TRAINING_CASES``, no case for validation or test, or over a tenth of the rows
    or cases lost; rejections in review are not losses.

    Args:
        table: The rows of ``labels`` that have an image in the pack.
        accepted: Whether to print it instead and go on.

    Raises:
        BoneAgeError: Too little is left, and that is not accepted.
    """
    cases = table.groupby("Split")["Source ID"].nunique()
    faults = []
    if (training := cases.get("train", 0)) < FEWEST_TRAINING_CASES:
        faults.append(f"only {training} training cases (fewer than {FEWEST_TRAINING_CASES})")
    # A cross-validation tests on the cases that it holds out.
    needed = ("validation",) if labels.fold else ("validation", "test")
    faults += [f"no case for {split}" for split in needed if not cases.get(split, 0)]
    skipped = _left_out(labels, table)
    of = len(table) + len(skipped)
    if len(skipped) > LARGEST_SHARE_LEFT_OUT * of:
        faults.append(f"left out: {in_words(skipped, of)}")
    lost = labels.lost_cases + labels.table["Source ID"].nunique() - int(cases.sum())
    if lost > LARGEST_SHARE_LEFT_OUT * (lost + int(cases.sum())):
        faults.append(f"{lost} of {lost + int(cases.sum())} cases were lost on the way to here")
    if faults and accepted:
        print(f"it is trained all the same: {'; '.join(faults)}")
    elif faults:
        raise BoneAgeError(
            f"labels: too little to train on: {'; '.join(faults)}; correct that (the skipped-*.csv in the "
            'work folder tell more), or go on with --accept-losses (OVERRIDES = {"accept_losses": True})'
        )


def _left_out(labels: Labels, table: pd.DataFrame) -> pd.DataFrame:
    """What was left out of the labels, and those without an image."""
    is_decision = labels.skipped["reason"].str.startswith(REJECTED)
    missing = labels.table.loc[~labels.table["Case ID"].isin(table["Case ID"]), "Case ID"]
    without_image = skipped_table((image_id, "label without an image in the pack") for image_id in missing)
    return pd.concat([labels.skipped[~is_decision], without_image], ignore_index=True)
