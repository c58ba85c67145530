"""The label CSV: its columns to the letter, its ages in years, its splits apart."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from labelling import untouched_labels

from boneage.core.errors import BoneAgeError
from boneage.core.tables import CASE_TABLE, LABEL_TABLE, SPLITS
from boneage.dataset.labels import read_labels, repeated, write_labels
from boneage.dataset.usable import label_years


def case_table(count=40, **columns):
    ids = [f"{number:04d}" for number in range(count)]
    values = {
        "case_id": ids,
        "image": [f"images/{one}.jpg" for one in ids],
        "source": "dha",
        "sex": ["F", "M"] * (count // 2),
        "race": ["Asian", "African American", "Caucasian", "Hispanic American"] * (count // 4),
        "age_group": pd.array(np.arange(count) % 19, "Int64"),
        "bone_age": np.arange(count) % 19 + 0.5,
        "reading_1": np.nan,
        "reading_2": np.nan,
    } | columns
    return pd.DataFrame(values, columns=list(CASE_TABLE))


def labels_of(cases, left_out=None, label="reading"):
    return untouched_labels(cases, label, seed=3, left_out=left_out)


def test_the_first_four_columns_are_the_published_ones_to_the_letter(tmp_path):
    cases = case_table(bone_age=np.r_[0.0, np.arange(39) % 18 + 1.25])
    path = write_labels(tmp_path / "labels.csv", labels_of(cases))
    lines = path.read_text().splitlines()
    assert lines[0].startswith("Case ID,Bone Age,Male,Location,")
    assert lines[1].startswith("0000,0,FALSE,Asian,")
    assert lines[2].startswith("0001,1.25,TRUE,African American,")


def test_labels_come_back_from_the_csv_as_they_went(tmp_path):
    labels = labels_of(case_table())
    back = read_labels(write_labels(tmp_path / "labels.csv", labels))
    pd.testing.assert_frame_equal(back.table, labels.table)
    assert (back.kind, back.source) == (labels.kind, labels.source) == ("the radiologists' reading", "dha")
    assert back.skipped.empty


def test_only_the_plain_set_is_repeated_and_to_no_fewer_images_than_it_has():
    labels = labels_of(case_table())
    assert (labels.set, repeated(labels, 90).set) == ("plain", "repeated")
    with pytest.raises(BoneAgeError, match="repeat_to 39: must be at least the 40 images"):
        repeated(labels, 39)
    copies = labels.table.assign(**{"Case ID": labels.table["Case ID"] + "-1"})
    with pytest.raises(BoneAgeError, match="of the augmented set"):
        repeated(replace(labels, table=pd.concat([labels.table, copies])), 90)


def test_every_usable_case_stands_once_and_in_one_split():
    labels = labels_of(case_table())
    assert labels.table["Case ID"].tolist() == labels.table["Source ID"].tolist()
    assert labels.table["Case ID"].is_unique
    assert len(labels.table) == 40
    assert set(labels.table["Split"]) == {"train", "validation", "test"}


def test_the_reading_is_the_label_and_the_year_of_age_stands_in_for_a_missing_one():
    cases = case_table(
        4, bone_age=[7.0, np.nan, 8.0, np.nan], age_group=pd.array([6, 5, None, None], "Int64")
    )
    years, kind = label_years(cases, "reading")
    assert years.tolist()[:3] == [7.0, 5.0, 8.0]
    assert np.isnan(years.iloc[3])
    assert kind == "the radiologists' reading (2 cases) or the folder's year of age (1)"
    years, kind = label_years(cases, "age_group")
    assert years.tolist()[:2] == [6.0, 5.0]
    assert kind == "the atlas folder's year of age"


def test_what_cannot_be_labelled_is_left_out_with_a_reason():
    cases = case_table(age_group=pd.array([None] * 40, "Int64"))
    cases.loc[0, "bone_age"] = np.nan
    cases.loc[1, "bone_age"] = 25.0
    cases.loc[2, "sex"] = ""
    labels = labels_of(cases, {"0003": "truncated"})
    reasons = labels.skipped.set_index("item")["reason"]
    assert set(reasons.index) == {"0000", "0001", "0002", "0003"}
    assert "without a label" in reasons["0000"]
    assert "outside 0 to 20" in reasons["0001"]
    assert "sex" in reasons["0002"]
    assert reasons["0003"] == "truncated"
    assert not set(labels.table["Case ID"]) & set(reasons.index)


def test_no_usable_case_is_an_error():
    left_out = {f"{number:04d}": "gone" if number else "rejected" for number in range(40)}
    with pytest.raises(BoneAgeError, match=r"no case has both .* \(left out 40 of 40 \(39: gone\)\)"):
        labels_of(case_table(), left_out)


HEADER = ",".join(LABEL_TABLE)


def test_bad_rows_are_left_out_with_a_reason_and_the_rest_goes_on(tmp_path):
    rows = [
        "1,7.5,TRUE,Asian,1,train,[]",
        "1,7.5,TRUE,Asian,1,train,[]",
        "2,-1,TRUE,Asian,2,train,[]",
        "3,nan,TRUE,Asian,3,train,[]",
        "4,seven,TRUE,Asian,4,train,[]",
        "5,300,TRUE,Asian,5,train,[]",
        "6,7,perhaps,Asian,6,train,[]",
        "7,7,TRUE,Mars,7,train,[]",
        "8,7,TRUE,Asian,8,holdout,[]",
        "../9,7,TRUE,Asian,9,train,[]",
        "10,0,false,Unknown,10,test,[]",
    ]
    path = tmp_path / "labels.csv"
    path.write_text("\n".join([HEADER, *rows]), encoding="utf-8-sig")
    labels = read_labels(path)
    assert labels.table["Case ID"].tolist() == ["1", "10"]
    assert labels.table["Bone Age"].tolist() == [7.5, 0.0]
    assert labels.table["Male"].tolist() == [True, False]
    assert labels.skipped["item"].tolist() == ["1", "2", "3", "4", "5", "6", "7", "8", "../9"]
    assert "in months?" in labels.skipped["reason"][4]
    assert (labels.kind, labels.source) == ("unknown", "unknown")


def saved_as(path, separator=",", male=("TRUE", "FALSE"), age=str, encoding="utf-8", case_id=str):
    """Sixty labels, every second one a boy's, as a spreadsheet saves them."""
    rows = [list(LABEL_TABLE)]
    for number in range(60):
        name, years, sex = case_id(1300 + number), age(4.5 + number % 12), male[number % 2]
        rows.append((name, years, sex, "Asian", name, SPLITS[max(0, number % 6 - 3)], "[]"))
    text = "\r\n".join(separator.join(row) for row in rows)
    path.write_bytes(text.encode(encoding))
    return path


def comma(years):
    return str(years).replace(".", ",")


@pytest.mark.parametrize(
    "how",
    [
        {"separator": ";", "male": ("WAHR", "FALSCH"), "age": comma},
        {"separator": ";", "male": ("VRAI", "FAUX"), "age": comma, "encoding": "utf-8-sig"},
        {"separator": ";", "male": ("VERDADERO", "FALSO"), "age": comma},
        {"male": ("VERO", "FALSO"), "age": lambda years: f'"{comma(years)}"'},
        {"male": ("真", "假")},
        {"male": ("1", "0"), "case_id": lambda number: f"{number}.0"},
        {"male": ("M", "F"), "separator": "\t"},
        {"male": ("male", "Female"), "case_id": lambda number: f"{number}.png"},
        {"male": ("True", "False"), "age": lambda years: f"{years:.6f}"},
    ],
)
def test_labels_that_a_spreadsheet_has_saved_lose_nobody(tmp_path, how):
    labels = read_labels(saved_as(tmp_path / "labels.csv", **how))
    expected = read_labels(saved_as(tmp_path / "plain.csv"))
    pd.testing.assert_frame_equal(labels.table, expected.table)
    assert labels.skipped.empty
    assert labels.table["Male"].mean() == 0.5


def test_ages_in_months_are_known_for_what_they_are(tmp_path):
    path = saved_as(tmp_path / "labels.csv", age=lambda years: str(round(12 * years)))
    with pytest.raises(BoneAgeError, match=r"in months, it seems \(60 of 60 .*up to 186\).*divide .* by 12"):
        read_labels(path)
    path = saved_as(tmp_path / "labels.csv", age=lambda years: str(round(12 * (years - 4.5)) + 9))
    with pytest.raises(BoneAgeError, match="in months"):
        read_labels(path)


def test_a_single_age_beyond_is_a_fault_of_its_row(tmp_path):
    path = saved_as(tmp_path / "labels.csv", age=lambda years: "142" if years == 15.5 else str(years))
    labels = read_labels(path)
    assert len(labels.skipped) == 5
    assert labels.skipped["reason"].str.contains("Bone Age 142 is outside 0 to 20 years").all()


@pytest.mark.parametrize("age", ["12. Mai", "12-May", "May 12", "12.05.2026", "2026-05-12"])
def test_an_age_that_a_spreadsheet_made_a_date_of_is_said(tmp_path, age):
    path = saved_as(tmp_path / "labels.csv", age=lambda years: age if years == 12.5 else str(years))
    reasons = read_labels(path).skipped["reason"]
    assert (
        reasons.tolist() == [f"Bone Age {age!r} is not a number (a date, which a spreadsheet made of it)"] * 5
    )


@pytest.mark.parametrize("age", ["seven", "7.5 years", "", "?"])
def test_what_is_no_number_is_not_always_a_date(tmp_path, age):
    path = saved_as(tmp_path / "labels.csv", age=lambda years: age if years == 12.5 else str(years))
    assert read_labels(path).skipped["reason"].tolist() == [f"Bone Age {age!r} is not a number"] * 5


def test_a_case_in_two_splits_is_refused(tmp_path):
    path = tmp_path / "labels.csv"
    path.write_text("\n".join([HEADER, "1,7,TRUE,Asian,1,train,[]", "1b,7,TRUE,Asian,1,test,[]"]))
    with pytest.raises(BoneAgeError, match="case 1 is in more than one split"):
        read_labels(path)


@pytest.mark.parametrize(
    "text",
    [HEADER, "Case ID,Bone Age,Male,Location\n1,2,TRUE,Asian\n", HEADER + "\n1,x,TRUE,Asian,1,train,[]"],
)
def test_a_label_csv_of_no_use_is_refused_by_name(tmp_path, text):
    path = tmp_path / "labels.csv"
    path.write_text(text)
    with pytest.raises(BoneAgeError, match=r"labels\.csv"):
        read_labels(path)
