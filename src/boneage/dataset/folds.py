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
    Cases are dealt to the folds by sex and age, so that every fold has both alike. Augmented images train
    only where the plan gave every case to training: elsewhere some cases have none.

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
    is_own = labels.table["Case ID"] == labels.table["Source ID"]
    own = labels.table[is_own].set_index("Case ID", drop=False)
    group = own["Case ID"].map(groups).fillna(own["Case ID"])
    # Sorted by id, then shuffled, to depend on the seed and not on the order of the rows.
    by_lot = own.sort_index().groupby(group).first()
    by_lot = by_lot.sample(frac=1, random_state=seed).sort_values(["Male", "Bone Age"], kind="stable")
    if len(by_lot) < count:
        raise BoneAgeError(f"folds {count}: only {len(by_lot)} cases; take fewer folds")
    # There and back, or the last fold would always get the oldest of its round.
    rounds = np.resize([*range(count), *reversed(range(count))], len(by_lot))
    fold_of_case = group.map(pd.Series(rounds, index=by_lot.index))
    all_may_have_copies = bool((labels.table["Split"] == "train").all())
    table = labels.table if all_may_have_copies else own
    fold = table["Source ID"].map(fold_of_case)
    return [
        replace(labels, table=_held_out(table, fold == at), fold=f"{at + 1}-of-{count}", repeated_to=0)
        for at in range(count)
    ]


def _held_out(table: pd.DataFrame, held_out: pd.Series) -> pd.DataFrame:
    """The table with the rows held out as the validation split, of which only the cases' own images stay."""
    split = table.assign(Split=np.where(held_out, "validation", "train"))
    return split[~held_out | (table["Case ID"] == table["Source ID"])].reset_index(drop=True)
