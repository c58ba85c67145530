"""Cross-validation: every case is held out once, by a network that was trained on the other folds."""

from dataclasses import replace

import numpy as np
import pandas as pd

from boneage.core.errors import BoneAgeError
from boneage.dataset.labels import Labels

FOLDS = (2, 20)
"""Fewest and most folds."""


def folds_of(labels: Labels, count: int, seed: int, groups: pd.Series) -> list[Labels]:
    """The labels of each fold's training: its cases are the validation split, all others the training split.

    Nothing is left for a test: no fold's network is chosen by its held-out cases, so their errors are fair.
    Cases are dealt to the folds by sex and age, so that every fold has both alike. Augmented images are left
    out: only some cases have any.

    Args:
        labels: The work folder's labels.
        count: Number of folds, ``FOLDS``.
        seed: Seeds the order among cases of the same sex and age.
        groups: By case id, the id of one case of its group (the same picture); a group stays in one fold.

    Raises:
        BoneAgeError: The number is out of range, or there are fewer groups than folds.
    """
    least, most = FOLDS
    if not least <= count <= most:
        raise BoneAgeError(f"folds {count}: must be between {least} and {most}")
    own = labels.table[labels.table["Case ID"] == labels.table["Source ID"]].reset_index(drop=True)
    group = own["Case ID"].map(groups).fillna(own["Case ID"])
    # Sorted by id, then shuffled, to depend on the seed and not on the order of the rows.
    by_lot = own.sort_values("Case ID").groupby(group).first()
    by_lot = by_lot.sample(frac=1, random_state=seed).sort_values(["Male", "Bone Age"], kind="stable")
    if len(by_lot) < count:
        raise BoneAgeError(f"folds {count}: only {len(by_lot)} cases; take fewer folds")
    # There and back, or the last fold would always get the oldest of its round.
    rounds = np.resize([*range(count), *reversed(range(count))], len(by_lot))
    fold = group.map(pd.Series(rounds, index=by_lot.index))
    return [
        replace(
            labels,
            table=own.assign(Split=np.where(fold == at, "validation", "train")),
            fold=f"{at + 1}-of-{count}",
            repeated_to=0,
        )
        for at in range(count)
    ]
