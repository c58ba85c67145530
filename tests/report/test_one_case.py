"""One case from its image to every network's prediction."""

# ruff: noqa: F401, F811 - a fixture is imported

import pandas as pd
import pytest
from work_folders import prepared

from boneage import pipeline
from boneage.core.errors import BoneAgeError
from boneage.report.one_case import find_case, words_of_case
from boneage.review.decisions import Decision

NOTHING_ODD = pd.DataFrame(columns=["kind", "score", "why"])
CASE = {"case_id": "ASIF05-5262", "sex": "F", "race": "Asian", "bone_age": 5.456, "age_group": 5}


def test_a_case_is_found_by_its_id_however_it_is_typed():
    ids = ["ASIF05-5262", "CAUM12-7186"]
    assert find_case(" asif05-5262 ", ids) == "ASIF05-5262"
    with pytest.raises(BoneAgeError, match="did you mean ASIF05-5262"):
        find_case("ASIF05-5260", ids)
    with pytest.raises(BoneAgeError, match="ids look like ASIF05-5262"):
        find_case("???", ids)


def test_a_case_in_words():
    odd = pd.DataFrame([("ring", 0.925, "a bright band")], columns=["kind", "score", "why"])
    decided = [Decision("", CASE["case_id"], "reject", "ring", reviewer="Ada")]
    words = words_of_case(CASE, "", odd, decided)
    assert (
        "**ASIF05-5262**: girl, Asian, bone age 5.46 years as read, age 5 by its folder, not in the set."
        in words
    )
    assert "Anomalies: ring 0.93 (a bright band)." in words
    assert "Decision: reject ring by Ada." in words
    bare = CASE | {"bone_age": float("nan"), "age_group": pd.NA, "sex": "M"}
    assert "boy, Asian, no age, test" in words_of_case(bare, "test", NOTHING_ODD, [])
    assert "sex unknown, Asian" in words_of_case(CASE | {"sex": "X"}, "", NOTHING_ODD, [])
    assert "so it stays in" in words_of_case(bare, "test", NOTHING_ODD, [])


def test_a_case_is_shown_with_its_copies_and_a_rejected_one_alone(prepared):
    log = pipeline.open_review(prepared)
    log.append("2003", "reject", "bracelet")
    plan, _ = pipeline.make_plan(prepared)
    pipeline.make_augmented(prepared)
    labels = pipeline.make_labels(prepared)
    comparison = pipeline.compare(prepared)
    copied = plan["case_id"].value_counts().index[0]
    shown = pipeline.one_case(prepared, comparison, copied)
    assert "train" in shown.words
    assert shown.images.words.count(";") == min(12, (labels.table["Source ID"] == copied).sum()) - 1
    assert shown.images.words.startswith("A case and its augmented copies. original; ")
    rejected = pipeline.one_case(prepared, comparison, "2003")
    assert "reject bracelet" in rejected.words
    assert "not in the set" in rejected.words
    assert rejected.images.words == "A case and its augmented copies. original."
    with pytest.raises(BoneAgeError, match="name a case, or train a network first"):
        pipeline.one_case(prepared, comparison)
