"""Training, validation and test: drawn by case, before anything is grown.

Copies of a case must never cross a split, so the split is drawn over cases and every later stage carries
it along. The draw is stratified: neighbours in the order year, sex, race are dealt out in turn, so each
year (and, within it, each sex and race) gives each split its share as nearly as whole cases allow.
"""

import numpy as np
import pandas as pd

from boneage.errors import BoneAgeError
from boneage.tables import SPLITS


def draw_split(strata: pd.DataFrame, validation_share: float, test_share: float, seed: int) -> pd.Series:
    """Draws a split for each row of ``strata``.

    Rows are sorted by the columns of ``strata`` (the first the most important), shuffled within equal
    rows, and dealt out along that order, each to the split that is furthest behind its share. So in every
    run of neighbours, and thus in every year, the counts follow the shares.

    Args:
        strata: One row a case, indexed by case id; columns such as year, sex, race.
        validation_share: Share of the cases for validation, 0 to 0.5.
        test_share: Share of the cases for testing, 0 to 0.4.
        seed: The same seed gives the same split.

    Returns:
        ``train``, ``validation`` or ``test`` for each case, in the order of ``strata``.

    Raises:
        BoneAgeError: Case ids are not unique, a share is out of range, or too few cases for the shares.
    """
    if not strata.index.is_unique:
        twice = strata.index[strata.index.duplicated()][0]
        raise BoneAgeError(f"case {twice}: stands in the case table twice; keep one row a case")
    train_share = 1.0 - validation_share - test_share
    if min(validation_share, test_share) < 0 or train_share <= 0:
        raise BoneAgeError(
            f"shares: validation {validation_share} and test {test_share} leave nothing to train on"
        )
    order = _order_within_strata(strata, seed)
    dealt = pd.Series(_deal([train_share, validation_share, test_share], len(order)), index=order)
    split = dealt.reindex(strata.index).map(dict(enumerate(SPLITS)))
    for name, share in zip(SPLITS, (train_share, validation_share, test_share), strict=True):
        if share > 0 and not (split == name).any():
            raise BoneAgeError(
                f"{len(strata)} cases are too few for a {name} share of {share:.2f}; add cases or set "
                "that share to 0"
            )
    return split.rename("split")


def _order_within_strata(strata: pd.DataFrame, seed: int) -> pd.Index:
    # Sorting by id first makes the draw independent of the order in which files were found.
    by_id = strata.sort_index()
    draw = np.random.default_rng(seed).random(len(by_id))
    return by_id.assign(_draw=draw).sort_values([*strata.columns, "_draw"], kind="stable").index


def _deal(shares: list[float], count: int) -> np.ndarray:
    shares_ = np.asarray(shares)
    given = np.zeros(len(shares_))
    dealt = np.empty(count, dtype=int)
    for turn in range(count):
        behind = (turn + 1) * shares_ - given
        dealt[turn] = np.argmax(np.where(shares_ > 0, behind, -np.inf))
        given[dealt[turn]] += 1
    return dealt


def untouched_plan(split: pd.Series) -> pd.DataFrame:
    """The plan that grows nothing: every case once, as it is (tables.PLAN_COLUMNS)."""
    return pd.DataFrame(
        {
            "photo_id": split.index.astype(str),
            "case_id": split.index.astype(str),
            "split": split.to_numpy(),
            "operators": "[]",
        }
    )
