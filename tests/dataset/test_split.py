"""The split is by case, stratified, exact, and the same for the same seed."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from boneage.core.errors import BoneAgeError
from boneage.core.tables import PLAN_TABLE
from boneage.dataset.split import draw_split, plan_without_copies

SHARES = {"train": 0.7, "validation": 0.15, "test": 0.15}


def strata_of(years, seed=0):
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "year": years,
            "sex": rng.choice(["F", "M"], len(years)),
            "race": rng.choice(list("abcd"), len(years)),
        },
        index=[f"{number:04d}" for number in range(len(years))],
    )


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.integers(0, 18), min_size=40, max_size=300),
    st.lists(st.tuples(st.integers(0, 39), st.integers(0, 39)), max_size=30),
    st.integers(0, 2**32 - 1),
)
def test_no_group_crosses_the_split(years, ties, seed):
    strata = strata_of(years)
    groups = strata.index.to_series()
    for one, other in ties:
        groups[groups == groups.iloc[other]] = groups.iloc[one]
    split = draw_split(strata, SHARES["validation"], SHARES["test"], seed, groups)
    assert list(split.index) == list(strata.index)
    assert (split.groupby(groups).nunique() == 1).all()
    assert set(split) == set(SHARES)


def test_groups_of_one_change_nothing():
    strata = strata_of([year for year in range(19) for _ in range(10)])
    alone = draw_split(strata, 0.15, 0.15, 7)
    assert draw_split(strata, 0.15, 0.15, 7, strata.index.to_series()).equals(alone)


def test_twins_all_over_keep_the_shares_of_every_year():
    years = [year for year in range(6) for _ in range(20)]
    strata = strata_of(years * 2)
    groups = pd.Series([strata.index[number % 120] for number in range(240)], index=strata.index)
    split = draw_split(strata, 0.15, 0.15, 3, groups)
    shares = (split == "test").groupby(strata["year"]).mean()
    assert ((shares >= 0.1) & (shares <= 0.2)).all()


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(0, 18), min_size=20, max_size=400), st.integers(0, 2**32 - 1))
def test_shares_hold_in_the_whole_and_in_every_year(years, seed):
    strata = strata_of(years)
    split = draw_split(strata, SHARES["validation"], SHARES["test"], seed)
    assert list(split.index) == list(strata.index)
    for name, share in SHARES.items():
        chosen = split == name
        assert abs(chosen.sum() - share * len(split)) <= 1
        for _, of_year in chosen.groupby(strata["year"]):
            assert abs(of_year.sum() - share * len(of_year)) < 2


def test_the_same_seed_gives_the_same_split_whatever_the_order_of_the_cases():
    strata = strata_of(list(range(19)) * 10)
    split = draw_split(strata, 0.15, 0.15, 7)
    shuffled = draw_split(strata.sample(frac=1, random_state=1), 0.15, 0.15, 7)
    assert split.equals(shuffled.reindex(split.index))
    assert not split.equals(draw_split(strata, 0.15, 0.15, 8))


def test_each_sex_and_race_reaches_every_split():
    # The published notebooks of this method validated on one race by accident.
    strata = strata_of(list(range(19)) * 16)
    split = draw_split(strata, 0.15, 0.15, 7)
    table = pd.crosstab([strata["sex"], strata["race"]], split)
    assert (table > 0).all(axis=None)


def test_sexes_and_races_keep_their_shares_even_with_one_case_a_group():
    groups = [(year, sex, race) for year in range(19) for sex in "FM" for race in "abcd"]
    strata = pd.DataFrame(
        groups, columns=["year", "sex", "race"], index=[f"{n:03d}" for n in range(len(groups))]
    )
    for seed in range(5):
        test = draw_split(strata, 0.15, 0.15, seed) == "test"
        assert test.sum() == 23
        assert set(test.groupby(strata["race"]).sum()) <= {5, 6}
        assert set(test.groupby(strata["sex"]).sum()) <= {11, 12}
        assert test.groupby(strata["year"]).sum().between(1, 2).all()


def test_a_share_of_nothing_gives_nothing():
    split = draw_split(strata_of([5] * 10), 0.2, 0.0, 1)
    assert split.value_counts().to_dict() == {"train": 8, "validation": 2}


@pytest.mark.parametrize(
    ("count", "validation", "test", "words"),
    [(2, 0.15, 0.15, "too few"), (10, 0.6, 0.4, "nothing to train"), (10, -0.1, 0.1, "nothing to train")],
)
def test_impossible_shares_are_refused(count, validation, test, words):
    with pytest.raises(BoneAgeError, match=words):
        draw_split(strata_of([5] * count), validation, test, 1)


def test_a_case_that_stands_twice_is_refused():
    strata = strata_of([5] * 10)
    strata.index = ["0001"] * 10
    with pytest.raises(BoneAgeError, match="0001"):
        draw_split(strata, 0.15, 0.15, 1)


def test_the_plan_without_copies_has_every_case_once():
    split = draw_split(strata_of([5] * 20), 0.15, 0.15, 1)
    corrections = pd.Series("[]", index=split.index[::-1])
    corrections[split.index[3]] = '[{"name": "flip"}]'
    plan = plan_without_copies(split, corrections)
    assert list(plan) == list(PLAN_TABLE)
    assert plan["image_id"].tolist() == plan["case_id"].tolist() == split.index.tolist()
    assert plan.loc[plan["corrections"] != "[]", "case_id"].tolist() == [split.index[3]]
    assert set(plan["augmentations"]) == {"[]"}
