"""Cross-validation: every case is held out once, with its like, and sexes and ages are dealt evenly."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from labelling import untouched_labels

from boneage.core.errors import BoneAgeError
from boneage.core.tables import CASE_TABLE
from boneage.dataset.enough import check_enough
from boneage.dataset.folds import folds_of


def labels_of(count):
    at = np.arange(count)
    cases = pd.DataFrame(
        {"case_id": [f"{1300 + number}" for number in at]}
        | {"image": "", "source": "rsna", "sex": np.where(at % 3, "F", "M"), "race": "Asian"}
        | {"bone_age": at % 15 + 2.0},
        columns=list(CASE_TABLE),
    )
    return untouched_labels(cases)


def each_its_own(labels):
    ids = labels.table["Source ID"].unique()
    return pd.Series(ids, index=ids)


@given(cases=st.integers(20, 90), count=st.integers(2, 9), seed=st.integers(0, 5))
def test_every_case_is_held_out_once(cases, count, seed):
    labels = labels_of(cases)
    folds = folds_of(labels, count, seed, each_its_own(labels))
    held_out = [fold.table.loc[fold.table["Split"] == "validation", "Case ID"] for fold in folds]
    assert sorted(pd.concat(held_out)) == sorted(labels.table["Case ID"])
    assert max(map(len, held_out)) - min(map(len, held_out)) <= 1
    for fold in folds:
        assert sorted(fold.table["Case ID"]) == sorted(labels.table["Case ID"])
        assert set(fold.table["Split"]) == {"train", "validation"}


def test_folds_are_alike_in_sex_and_age():
    folds = folds_of(labels_of(90), 5, 0, each_its_own(labels_of(90)))
    held_out = [fold.table[fold.table["Split"] == "validation"] for fold in folds]
    assert {int(one["Male"].sum()) for one in held_out} == {6}
    ages = [one["Bone Age"].mean() for one in held_out]
    assert max(ages) - min(ages) < 1


def test_the_same_picture_is_in_one_fold():
    labels = labels_of(40)
    groups = each_its_own(labels)
    groups["1339"] = groups["1317"] = "1300"
    for fold in folds_of(labels, 4, 0, groups):
        split = fold.table.set_index("Case ID")["Split"]
        assert split["1339"] == split["1317"] == split["1300"]


def test_augmented_copies_are_left_out_and_the_order_of_rows_does_not_matter():
    labels = labels_of(40)
    copies = labels.table[labels.table["Split"] == "train"]
    copies = copies.assign(**{"Case ID": copies["Case ID"] + "-001"})
    augmented = replace(labels, table=pd.concat([copies, labels.table[::-1]], ignore_index=True))
    for plain, other in zip(
        folds_of(labels, 3, 1, each_its_own(labels)),
        folds_of(augmented, 3, 1, each_its_own(labels)),
        strict=True,
    ):
        assert other.set == "plain"
        assert (
            plain.table.set_index("Case ID")["Split"].to_dict()
            == other.table.set_index("Case ID")["Split"].to_dict()
        )


def test_copies_train_where_every_case_may_have_them_and_are_never_held_out():
    labels = labels_of(40)
    own = labels.table.assign(Split="train")
    copies = own[own["Bone Age"] > 10]
    copies = copies.assign(**{"Case ID": copies["Case ID"] + "-001"})
    augmented = replace(labels, table=pd.concat([own, copies], ignore_index=True))
    folds = folds_of(augmented, 3, 1, each_its_own(labels))
    held_out = [fold.table[fold.table["Split"] == "validation"] for fold in folds]
    assert sorted(pd.concat(held_out)["Case ID"]) == sorted(own["Case ID"])
    for fold, out in zip(folds, held_out, strict=True):
        assert fold.set == "augmented"
        trained = fold.table[fold.table["Split"] == "train"]
        assert not set(out["Source ID"]) & set(trained["Source ID"])
        spared = augmented.table[~augmented.table["Source ID"].isin(out["Source ID"])]
        assert sorted(trained["Case ID"]) == sorted(spared["Case ID"])
    plain = folds_of(replace(labels, table=own), 3, 1, each_its_own(labels))
    for one, out in zip(plain, held_out, strict=True):
        assert set(one.table.query("Split == 'validation'")["Case ID"]) == set(out["Case ID"])


@pytest.mark.parametrize("count", [1, 21, -3])
def test_a_number_of_folds_out_of_range_is_refused(count):
    with pytest.raises(BoneAgeError, match="must be between 2 and 20"):
        folds_of(labels_of(40), count, 0, each_its_own(labels_of(40)))


def test_fewer_cases_than_folds_are_refused():
    labels = labels_of(40)
    few = replace(labels, table=labels.table.head(6))
    with pytest.raises(BoneAgeError, match="only 6 cases; take fewer folds"):
        folds_of(few, 8, 0, each_its_own(few))


def test_a_fold_needs_no_test_cases():
    labels = labels_of(60)
    fold = folds_of(labels, 5, 0, each_its_own(labels))[0]
    check_enough(fold, fold.table, accepted=False)
