"""The laws of a balanced plan."""

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from boneage.augmentations import MOST_DEGREES
from boneage.errors import BoneAgeError
from boneage.operators import format_operators, parse_operators
from boneage.plan import balanced_plan
from boneage.tables import is_safe_id

BOX = {"name": "blank", "x": 0.6, "y": 0.1, "width": 0.3, "height": 0.15}
FLIP = {"name": "flip"}
OTHER_BOX = {"name": "blank", "x": 0.0, "y": 0.9, "width": 0.2, "height": 0.1}


def case_table(rows: list[tuple[int, str, str, str]]) -> pd.DataFrame:
    table = pd.DataFrame(rows, columns=["year", "sex", "race", "split"])
    return table.assign(case_id=[f"C{index}" for index in range(len(table))])


CHOSEN = st.lists(
    st.sampled_from(
        [
            BOX,
            OTHER_BOX,
            {"name": "flip"},
            {"name": "invert"},
            {"name": "rotate", "degrees": 7.25},
            {"name": "rotate", "degrees": 0},
            {"name": "rotate", "degrees": 180},
            {"name": "brightness", "shades": 20},
            {"name": "gamma", "power": 0.8},
            {"name": "sharpen", "amount": 3},
        ]
    ),
    max_size=5,
)
CASES = st.lists(
    st.tuples(
        st.integers(0, 19),
        st.sampled_from("FM"),
        st.sampled_from(["Asian", "Caucasian", "Unknown"]),
        st.sampled_from(["train", "train", "train", "validation", "test"]),
        st.one_of(st.just([]), CHOSEN),
    ),
    min_size=1,
    max_size=40,
)


def boxes_of(operators: str) -> list[dict]:
    return [operator for operator in parse_operators(operators) if operator["name"] == "blank"]


@settings(deadline=None, max_examples=80)
@given(rows=CASES, more=st.integers(0, 300), lateral=st.booleans(), seed=st.integers(0, 9))
def test_laws_of_any_plan(rows, more, lateral, seed):
    cases = case_table([row[:4] for row in rows])
    cases = cases.assign(operators=[format_operators(row[4]) for row in rows])
    training = cases["split"] == "train"
    total = len(cases) + (more if training.any() else 0)
    try:
        plan, _ = balanced_plan(cases, total, laterality_matters=lateral, seed=seed)
    except BoneAgeError as error:
        # A person who allows a single operator allows few photos.
        most = int(str(error).split(" different")[0].rsplit(" ", 1)[1])
        assert len(cases) <= most < total
        total = most
        plan, _ = balanced_plan(cases, total, laterality_matters=lateral, seed=seed)
    assert len(plan) == total
    assert not plan.duplicated(["case_id", "operators"]).any()
    assert plan["photo_id"].str.casefold().is_unique
    assert plan["photo_id"].map(is_safe_id).all()
    of_case = cases.set_index("case_id")
    facts = of_case.loc[plan["case_id"]]
    # Every box is on every photo of its case, before all else; the untouched photo has nothing else.
    for operators, chosen in zip(plan["operators"], facts["operators"], strict=True):
        boxes = boxes_of(chosen)
        assert parse_operators(operators)[: len(boxes)] == boxes
        assert len(boxes_of(operators)) == len(boxes)
    first = plan[plan["photo_id"] == plan["case_id"]]
    assert sorted(first["case_id"]) == sorted(cases["case_id"])
    assert first["operators"].tolist() == [
        format_operators(boxes_of(chosen)) for chosen in of_case.loc[first["case_id"], "operators"]
    ]
    copies = plan[plan["photo_id"] != plan["case_id"]]
    assert (copies["split"] == "train").all()
    assert (plan["split"].to_numpy() == facts["split"].to_numpy()).all()
    names = [{operator["name"] for operator in parse_operators(text)} for text in copies["operators"]]
    assert not (lateral and any("flip" in of_copy for of_copy in names))
    # The first copy may be a person's own; those that are drawn change the exposure in one way.
    drawn = [of_copy for of_copy, more in zip(names, copies["case_id"].duplicated(), strict=True) if more]
    assert not any({"brightness", "gamma"} <= of_copy for of_copy in drawn)
    for case_id, of_copy in zip(copies["case_id"], names, strict=True):
        chosen = {operator["name"] for operator in parse_operators(of_case.at[case_id, "operators"])}
        if chosen - {"blank"}:
            assert of_copy <= chosen
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
    """The most photos of each year, by asking for too many of it."""
    most = {}
    for year, group in cases.groupby("year"):
        with pytest.raises(BoneAgeError, match="different") as refused:
            balanced_plan(group, 10**9, laterality_matters=lateral)
        most[year] = int(str(refused.value).split(" different")[0].rsplit(" ", 1)[1])
    return most


def test_what_a_person_chose_makes_the_first_copy_and_the_others_stay_on_its_side():
    cases = case_table([(3, "F", "Asian", "train")]).assign(
        operators=format_operators(
            [{"name": "gamma", "power": 0.83}, BOX, {"name": "brightness", "shades": 20}, FLIP]
        )
    )
    plan, _ = balanced_plan(cases, 80, allowed={"C0": ["rotate"]})
    recipes = [parse_operators(text) for text in plan["operators"]]
    assert recipes[0] == [BOX]
    assert recipes[1] == [
        BOX,
        {"name": "gamma", "power": 0.83},
        {"name": "brightness", "shades": 20},
        FLIP,
    ]
    drawn = {}
    for recipe in recipes[1:]:
        for operator in recipe[1:]:
            drawn.setdefault(operator["name"], set()).update(set(operator.values()) - {operator["name"]})
    assert set(drawn) == {"gamma", "brightness", "flip"}
    assert min(drawn["brightness"]) > 0
    assert 20 in drawn["brightness"]
    assert max(drawn["gamma"]) < 1
    assert 0.83 in drawn["gamma"]


def test_a_photo_turned_upright_is_turned_about_upright_in_every_copy():
    chosen = [{"name": "rotate", "degrees": 180}, {"name": "clahe", "clip": 2}]
    cases = case_table([(3, "F", "Asian", "train")]).assign(operators=format_operators(chosen))
    plan, _ = balanced_plan(cases, 50)
    recipes = [parse_operators(text) for text in plan["operators"][1:]]
    assert recipes[0] == chosen
    turns = [recipe[0]["degrees"] for recipe in recipes]
    assert all(180 - abs(turn) <= MOST_DEGREES for turn in turns)
    assert any(len(recipe) == 1 for recipe in recipes)


def test_more_operators_than_are_drawn_together_still_make_the_first_copy():
    chosen = [
        {"name": "flip"},
        {"name": "invert"},
        {"name": "sharpen", "amount": 1},
        {"name": "clahe", "clip": 2},
    ]
    cases = case_table([(3, "F", "Asian", "train")]).assign(operators=format_operators(chosen))
    plan, _ = balanced_plan(cases, 20)
    assert plan["operators"][1] == format_operators(chosen)
    with pytest.raises(BoneAgeError, match="different") as refused:
        balanced_plan(cases, 10**6)
    most = int(str(refused.value).split(" different")[0].rsplit(" ", 1)[1])
    assert not balanced_plan(cases, most)[0].duplicated(["operators"]).any()


def test_a_faulty_operators_cell_names_its_case():
    cases = case_table([(3, "F", "Asian", "test")]).assign(operators='[{"name": "swirl"}]')
    with pytest.raises(BoneAgeError, match=r"case C0: operator 'swirl'"):
        balanced_plan(cases, 1)


def test_the_years_of_the_atlas_get_389_or_390_photos_each():
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
    assert notices[0] == "year 3: 13 photos; all copies are of one training case"
    assert notices[1] == "year 4: 4 photos; its cases allow too few operators for its share of 10"
    _, notices = balanced_plan(cases.assign(split="train"), len(cases) + 1)
    assert notices[0] == "year 3: 9 cases, more than its share of 4; none is copied"
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
    assert plan["photo_id"].str.casefold().is_unique
    long, _ = balanced_plan(cases.assign(case_id=["x" * 64, "x" * 63 + "y"]), 40)
    assert long["photo_id"].is_unique
    assert long["photo_id"].map(is_safe_id).all()
