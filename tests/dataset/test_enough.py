"""A training that would rest on too little stops, unless a person has said to go on."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from labelling import untouched_labels

from boneage.core.errors import BoneAgeError
from boneage.core.tables import CASE_TABLE, skipped_table
from boneage.dataset.enough import check_enough
from boneage.dataset.labels import read_labels, write_labels


def labels_of(count=60, left_out=None, **shares):
    cases = pd.DataFrame(
        {"case_id": [f"{1300 + number}" for number in range(count)]}
        | {
            "image": "",
            "source": "rsna",
            "sex": "F",
            "race": "Asian",
            "bone_age": np.arange(count) % 15 + 2.0,
        },
        columns=list(CASE_TABLE),
    )
    return untouched_labels(cases, left_out=left_out, **shares)


def refused(labels, words, table=None):
    table = labels.table if table is None else table
    with pytest.raises(BoneAgeError, match=words) as caught:
        check_enough(labels, table, accepted=False)
    assert "--accept-losses" in str(caught.value)
    assert '{"accept_losses": True}' in str(caught.value)
    assert "\n" not in str(caught.value)


def test_what_is_whole_is_enough(capsys):
    labels = labels_of()
    check_enough(labels, labels.table, accepted=False)
    assert capsys.readouterr().out == ""


def test_few_cases_are_too_little_however_many_copies(tmp_path):
    labels = labels_of(27)
    copies = [labels.table.assign(**{"Case ID": labels.table["Case ID"] + f"-{n}"}) for n in range(9)]
    grown = pd.concat([labels.table, *(copy[copy["Split"] == "train"] for copy in copies)])
    refused(replace(labels, table=grown), r"only 19 training cases \(fewer than 20\)")


@pytest.mark.parametrize("split", ["validation", "test"])
def test_none_to_validate_or_test_is_too_little(split):
    refused(labels_of(**{f"{split}_share": 0.0}), f"no case for {split}")


def test_unreadable_rows_are_counted_with_the_commonest_reason():
    labels = labels_of()
    reasons = skipped_table((str(n), f"Bone Age {n} is outside 0 to 20 years") for n in range(142, 149))
    refused(replace(labels, skipped=reasons), r"left out: 7 of 67 \(7: Bone Age 142 is outside")
    few = replace(labels, skipped=reasons.head(6))
    check_enough(few, few.table, accepted=False)


def test_labels_without_an_image_are_counted():
    labels = labels_of()
    refused(labels, r"left out: 12 of 60 \(12: label without an image", labels.table.iloc[12:])
    check_enough(labels, labels.table.iloc[6:], accepted=False)


def test_cases_lost_before_the_labels_are_remembered_but_not_those_that_a_person_rejected(tmp_path):
    ids = [f"{1300 + number}" for number in range(20)]
    lost = labels_of(left_out=dict.fromkeys(ids, "label without an image: not a picture"))
    write_labels(tmp_path / "labels.csv", lost)
    again = read_labels(tmp_path / "labels.csv")
    assert again.skipped.empty
    refused(again, "20 of 60 cases were lost on the way")
    rejected = labels_of(left_out=dict.fromkeys(ids, "rejected in review: bracelet"))
    write_labels(tmp_path / "labels.csv", rejected)
    for labels in (rejected, read_labels(tmp_path / "labels.csv")):
        check_enough(labels, labels.table, accepted=False)


def test_whoever_accepts_it_is_told(capsys):
    labels = labels_of(10, validation_share=0.0)
    check_enough(labels, labels.table, accepted=True)
    said = capsys.readouterr().out
    assert said.startswith(
        "it is trained all the same: only 8 training cases (fewer than 20); no case for val"
    )
