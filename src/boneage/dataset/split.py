"""Training, validation and test: drawn by case before augmentation, so that copies never cross a split.

The draw is stratified: each year of age gives each split its share as nearly as whole cases allow, and within
a year the cases are chosen so that sexes and races stay in proportion over all years, the idea of iterative
stratification (Sechidis, Tsoumakas and Vlahavas, ECML PKDD 2011).
"""

from collections import Counter, deque
from itertools import combinations

import pandas as pd

from boneage.core.errors import BoneAgeError
from boneage.core.tables import PLAN_TABLE


def draw_split(
    strata: pd.DataFrame,
    validation_share: float,
    test_share: float,
    seed: int,
    groups: pd.Series | None = None,
) -> pd.Series:
    """Draws ``train``, ``validation`` or ``test`` for each row of ``strata``.

    Goes through the groups of the first column (years) in order; the running shares give how many cases of
    each go to which split. Those go whose sex, race, and sex with race lag furthest behind their share so
    far, by lot among equals.

    Args:
        strata: One row per case, indexed by case id; columns such as year, sex, race.
        validation_share: Share of the cases, 0 to 0.5.
        test_share: Share of the cases, 0 to 0.4.
        groups: By case id, the id of one case of its group. A group stays in one split, drawn by that case's
            year, sex and race. By default each case is its own group.

    Raises:
        BoneAgeError: Case ids are not unique, a share is out of range, or too few cases for the shares.
    """
    if not strata.index.is_unique:
        twice = strata.index[strata.index.duplicated()][0]
        raise BoneAgeError(f"case {twice}: appears twice in the case table; keep one row per case")
    train_share = 1.0 - validation_share - test_share
    shares = {"train": train_share, "validation": validation_share, "test": test_share}
    if min(validation_share, test_share) < 0 or train_share <= 0:
        raise BoneAgeError(
            f"shares: validation {validation_share} and test {test_share} leave nothing to train on"
        )
    first = strata.index.to_series() if groups is None else groups[strata.index]
    drawn = strata[strata.index.isin(first)]
    split = pd.Series(_draw(drawn, shares, seed)[first].to_numpy(), index=strata.index)
    for name, share in shares.items():
        if share > 0 and not (split == name).any():
            raise BoneAgeError(
                f"{len(drawn)} cases are too few for a {name} share of {share:.2f}; add cases or set "
                "that share to 0"
            )
    return split.rename("split")


def _draw(strata: pd.DataFrame, shares: dict[str, float], seed: int) -> pd.Series:
    # Sorted by id, then shuffled, to depend on the seed and not on the order in which files were found.
    by_lot = strata.sort_index().sample(frac=1, random_state=seed)
    group, *others = strata.columns
    margins = [list(chosen) for size in range(1, len(others) + 1) for chosen in combinations(others, size)]
    keys_of = {
        case: [(*columns, *map(row.get, columns)) for columns in margins]
        for case, row in by_lot[others].to_dict("index").items()
    }
    # The smaller splits choose first, as a single case changes their proportions most.
    chosen = [name for name, share in shares.items() if name != "train" and share > 0]
    choosing = sorted(chosen, key=lambda name: shares[name])
    split = dict.fromkeys(strata.index, "train")
    seen: Counter = Counter()
    given: dict[str, Counter] = {name: Counter() for name in choosing}
    cases_so_far = 0
    taken = dict.fromkeys(choosing, 0)
    for _, of_group in by_lot.groupby(group, sort=True):
        # Cases with the same keys lag alike, and the first by lot goes first.
        left: dict[tuple, deque] = {}
        for place, case in enumerate(of_group.index):
            left.setdefault(tuple(keys_of[case]), deque()).append((place, case))
        cases_so_far += len(of_group)
        seen.update(key for keys, alike in left.items() for key in keys for _ in alike)
        for name in choosing:
            wanted = min(round(shares[name] * cases_so_far) - taken[name], sum(map(len, left.values())))
            taken[name] += wanted
            for _ in range(wanted):
                lag = {
                    keys: (sum(shares[name] * seen[key] - given[name][key] for key in keys), -alike[0][0])
                    for keys, alike in left.items()
                    if alike
                }
                keys = max(lag, key=lag.__getitem__)
                given[name].update(keys)
                split[left[keys].popleft()[1]] = name
    return pd.Series(split)[strata.index]


def plan_without_copies(split: pd.Series, corrections: pd.Series) -> pd.DataFrame:
    """The plan without copies: every case once, corrected (``tables.PLAN_TABLE``).

    Takes the split, and the corrections as JSON, by case id.
    """
    rows = zip(split.index, split, corrections[split.index], strict=True)
    return PLAN_TABLE.frame((case, case, part, corrected, "[]") for case, part, corrected in rows)
