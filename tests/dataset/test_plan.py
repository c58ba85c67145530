"""The laws of a balanced plan."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from boneage.core.errors import BoneAgeError
from boneage.core.tables import is_safe_id
from boneage.dataset.plan import balanced_plan
from boneage.images.augmentations import (
    AUGMENTATIONS,
    DEFAULT_ALLOWED,
    MOST_OPERATORS,
    carried,
    drawn_by_name,
    format_augmentations,
)
from boneage.images.operators import format_corrections, parse_operators

BOX = {"name": "blank", "x": 0.6, "y": 0.1, "width": 0.3, "height": 0.15}
OTHER_BOX = {"name": "blank", "x": 0.0, "y": 0.9, "width": 0.2, "height": 0.1}


def case_table(rows: list[tuple[int, str, str, str]]) -> pd.DataFrame:
    table = pd.DataFrame(rows, columns=["year", "sex", "race", "split"])
    return table.assign(case_id=[f"C{index}" for index in range(len(table))])


CORRECTIONS = st.sampled_from(
    [
        [],
        [BOX],
        [BOX, OTHER_BOX, {"name": "flip"}, {"name": "rotate", "degrees": 180}],
        [{"name": "gamma", "power": 0.5}],
    ]
)
CHOSEN = st.one_of(st.none(), st.lists(st.sampled_from(AUGMENTATIONS), max_size=5))
CASES = st.lists(
    st.tuples(
        st.integers(0, 19),
        st.sampled_from("FM"),
        st.sampled_from(["Asian", "Caucasian", "Unknown"]),
        st.sampled_from(["train", "train", "train", "validation", "test"]),
        CORRECTIONS,
        CHOSEN,
    ),
    min_size=1,
    max_size=40,
)


def most_images(cases: pd.DataFrame, **how) -> int:
    """The most images that cases allow, by asking for too many."""
    with pytest.raises(BoneAgeError, match="different") as refused:
        balanced_plan(cases, 10**9, **how)
    return int(str(refused.value).split(" different")[0].rsplit(" ", 1)[1])


@settings(deadline=None, max_examples=80)
@given(rows=CASES, more=st.integers(0, 300), lateral=st.booleans(), seed=st.integers(0, 9))
def test_laws_of_any_plan(rows, more, lateral, seed):
    cases = case_table([row[:4] for row in rows])
    cases = cases.assign(
        corrections=[format_corrections(row[4]) for row in rows],
        augmentations=[format_augmentations(row[5]) for row in rows],
    )
    # A person who chooses a single operator, or none, allows few images.
    total = min(len(cases) + more, most_images(cases, laterality_matters=lateral))
    plan, _ = balanced_plan(cases, total, laterality_matters=lateral, seed=seed)
    assert len(plan) == total
    assert not plan.duplicated(["case_id", "augmentations"]).any()
    assert plan["image_id"].str.casefold().is_unique
    assert plan["image_id"].map(is_safe_id).all()
    facts = cases.set_index("case_id").loc[plan["case_id"]]
    # What puts a case right is on every image of it, in every split.
    assert plan["corrections"].tolist() == facts["corrections"].tolist()
    first = plan[plan["image_id"] == plan["case_id"]]
    assert sorted(first["case_id"]) == sorted(cases["case_id"])
    assert set(first["augmentations"]) == {"[]"}
    copies = plan[plan["image_id"] != plan["case_id"]]
    assert (copies["split"] == "train").all()
    assert (plan["split"].to_numpy() == facts["split"].to_numpy()).all()
    chosen = dict(zip(cases["case_id"], (row[5] for row in rows), strict=True))
    for case_id, text in zip(copies["case_id"], copies["augmentations"], strict=True):
        recipe = parse_operators(text)
        names = [operator["name"] for operator in recipe]
        assert 1 <= len(set(names)) == len(names) <= MOST_OPERATORS
        assert not {"brightness", "gamma"} <= set(names)
        assert not (lateral and "flip" in names)
        allowed = DEFAULT_ALLOWED if chosen[case_id] is None else chosen[case_id]
        assert all(any(one in drawn_by_name(name) for name in allowed) for one in recipe)
    # A year that got copies is at most one above any year that could have had another.
    years = facts["year"].value_counts()
    grown = [year for year in years.index if years[year] > (cases["year"] == year).sum()]
    full = most_of_years(cases, lateral)
    for year in grown:
        for other in years.index:
            assert years[year] <= years[other] + 1 or years[other] == full[other]
    shuffled, _ = balanced_plan(
        cases.sample(frac=1, random_state=seed), total, laterality_matters=lateral, seed=seed
    )
    pd.testing.assert_frame_equal(plan, shuffled)


def most_of_years(cases: pd.DataFrame, lateral: bool) -> dict[int, int]:
    return {year: most_images(group, laterality_matters=lateral) for year, group in cases.groupby("year")}


def test_a_case_of_which_no_copies_are_wanted_gets_none():
    cases = case_table([(3, "F", "Asian", "train")] * 2).assign(augmentations=["[]", '["rotate"]'])
    plan, _ = balanced_plan(cases, 12, allowed={"C0": ["flip"]})
    assert plan["case_id"].tolist() == ["C0"] + ["C1"] * 11
    assert all("rotate" in text for text in plan["augmentations"][2:])


@pytest.mark.parametrize(
    ("column", "cell", "named"),
    [
        ("corrections", '[{"name": "swirl"}]', "operator 'swirl'"),
        ("corrections", '[{"name": "clahe", "clip": 2}]', "operator clahe: not a correction"),
        ("corrections", '[{"name": "flip"}, {"name": "flip"}]', "operator flip: appears twice"),
        ("augmentations", '["swirl"]', "augmentation 'swirl'"),
        ("augmentations", "flip", "augmentations 'flip'"),
    ],
)
def test_a_faulty_cell_names_its_case(column, cell, named):
    cases = case_table([(3, "F", "Asian", "test")]).assign(**{column: cell})
    with pytest.raises(BoneAgeError, match=f"case C0: {named}"):
        balanced_plan(cases, 1)


def test_the_years_of_the_atlas_get_389_or_390_images_each():
    races = ["Asian", "African American", "Caucasian", "Hispanic American"]
    splits = ["train"] * 7 + ["validation", "test"]
    rows = [(index % 19, "FM"[index % 2], races[index % 4], splits[index % 9]) for index in range(1390)]
    cases = case_table(rows)
    plan, notices = balanced_plan(cases)
    facts = cases.set_index("case_id").loc[plan["case_id"]]
    assert set(facts["year"].value_counts()) == {389, 390}
    assert not notices
    sexes = facts.groupby(["year", "sex"]).size().unstack()
    assert (sexes["F"] - sexes["M"]).abs().max() <= 1
    of_race = facts.groupby(["year", "sex", "race"]).size().unstack()
    assert ((of_race.max(axis=1) - of_race.min(axis=1)) <= 1).all()


def test_few_cases_are_said_and_their_share_goes_to_the_others():
    rows = [(3, "F", "Asian", "train")] * 4 + [(4, "F", "Asian", "test"), (5, "M", "Asian", "train")]
    plan, notices = balanced_plan(case_table(rows), 41)
    assert plan["case_id"].isin(["C0", "C1", "C2", "C3"]).sum() == 20
    assert len(notices) == 2
    assert "year 4" in notices[0]
    assert "one training case" in notices[1]


def test_a_year_over_its_share_and_a_year_of_few_operators_are_said():
    rows = (
        [(3, "F", "Asian", "test")] * 9 + [(4, "F", "Asian", "train")] * 2 + [(5, "F", "Asian", "train")] * 2
    )
    cases = case_table(rows)
    only_flips = {case_id: ["flip"] for case_id in ("C9", "C10")}
    plan, notices = balanced_plan(cases.assign(split=["train", *cases["split"][1:]]), 30, only_flips)
    assert len(plan) == 30
    assert notices[0] == "year 3: 13 images; all copies are of one training case"
    assert notices[1] == (
        "year 4: 4 images; no more than its 2 training cases can make differ, of a share of 10"
    )
    _, notices = balanced_plan(cases.assign(split="train"), len(cases) + 1)
    assert notices == [
        "year 3: 9 images; that many cases, more than its share of 4, so none is copied",
        "year 4: 3 images; short of its share of 4, as year 3 has more cases than that",
        "year 5: 2 images; short of its share of 4, as year 3 has more cases than that",
    ] or notices[1:] == [
        "year 4: 2 images; short of its share of 4, as year 3 has more cases than that",
        "year 5: 3 images; short of its share of 4, as year 3 has more cases than that",
    ]
    _, notices = balanced_plan(cases.assign(split="train"), len(cases))
    assert not notices, "nothing is grown, so no year falls short"


def test_a_plan_that_cannot_be_is_refused():
    cases = case_table([(3, "F", "Asian", "train")] * 2)
    with pytest.raises(BoneAgeError, match="fewer than"):
        balanced_plan(cases, 1)
    with pytest.raises(BoneAgeError, match="4 different"):
        balanced_plan(cases, 5, allowed={"C0": ["flip"], "C1": ["invert"]})
    with pytest.raises(BoneAgeError, match="2 different"):
        balanced_plan(cases, 3, allowed={"C0": ["flip"], "C1": ["flip"]}, laterality_matters=True)
    with pytest.raises(BoneAgeError, match="swirl"):
        balanced_plan(cases, 3, allowed={"C0": ["swirl"]})
    with pytest.raises(BoneAgeError, match="twice"):
        balanced_plan(cases.assign(case_id="A"), 3)


def test_ids_keep_clear_of_each_other():
    cases = case_table([(3, "F", "Asian", "train")] * 2).assign(case_id=["A", "a-001"])
    plan, _ = balanced_plan(cases, 12)
    assert plan["image_id"].str.casefold().is_unique
    long, _ = balanced_plan(cases.assign(case_id=["x" * 64, "x" * 63 + "y"]), 40)
    assert long["image_id"].is_unique
    assert long["image_id"].map(is_safe_id).all()


def test_a_year_that_cannot_be_copied_is_told_so_though_others_are_over_their_share():
    rows = [(3, "F", "Asian", "train")] * 9 + [(4, "F", "Asian", "test"), (5, "F", "Asian", "train")]
    _, notices = balanced_plan(case_table(rows), 13)
    assert notices[1] == "year 4: 1 images; no training case to copy, so its share went to the other years"
    assert notices[2] == (
        "year 5: 3 images; short of its share of 4, as year 3 has more cases than that; "
        "all copies are of one training case"
    )


def test_no_copy_is_mirrored_where_the_image_has_letters_whatever_was_chosen():
    cases = case_table([(3, "F", "Asian", "train")] * 2).assign(augmentations=['["flip", "rotate"]', ""])
    plan, notices = balanced_plan(cases, 60, {"C0": ["rotate"], "C1": ["rotate", "flip"]})
    mirrored = plan[plan["augmentations"].str.contains("flip")]
    assert set(mirrored["case_id"]) == {"C1"}
    assert any("flip was chosen for 1 cases" in notice and "C0" in notice for notice in notices)
    # Where nothing is to be mirrored anyway, letters are no reason.
    _, notices = balanced_plan(cases, 60, {"C0": ["rotate"], "C1": ["rotate"]}, laterality_matters=True)
    assert not any("flip" in notice for notice in notices)


def test_thirty_copies_of_one_baby_all_look_different():
    cases = case_table([(0, "F", "Asian", "train")])
    plan, _ = balanced_plan(cases, 31, {"C0": ["rotate", "brightness", "contrast", "gamma"]})
    places = np.stack([carried(parse_operators(text)) for text in plan["augmentations"]])
    apart = np.linalg.norm(places[:, None] - places, axis=2) + np.where(np.eye(31), np.inf, 0)
    assert apart.min() > 2
