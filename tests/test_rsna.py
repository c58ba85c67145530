"""The RSNA challenge's labels and photos: what joins, and what is reported instead of lost."""

from pathlib import Path

import numpy as np
import pytest

from boneage.errors import BoneAgeError
from boneage.rsna import read_rsna
from boneage.tables import CASE_COLUMNS


def lay(folder: Path, labels: str | None, *photos: str) -> Path:
    folder.mkdir(exist_ok=True)
    if labels is not None:
        (folder / "train.csv").write_text(labels, encoding="utf-8")
    for name in photos:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"pixels")
    return folder


def test_months_become_years_and_ids_join_photos(tmp_path):
    lay(tmp_path, "id,boneage,male\n1380,120,True\n1377,180,False\n", "a/b/1377.png", "images/1380.JPG")
    cases, skipped = read_rsna(tmp_path)
    assert tuple(cases.columns) == CASE_COLUMNS
    assert skipped.empty
    assert cases["case_id"].tolist() == ["1377", "1380"]
    assert cases["bone_age"].tolist() == [15.0, 10.0]
    assert cases["sex"].tolist() == ["F", "M"]
    assert cases["race"].tolist() == ["Unknown", "Unknown"]
    assert cases["age_group"].dtype == "Int64"
    assert cases[["age_group", "reading_1", "reading_2"]].isna().all(axis=None)
    assert all(Path(photo).is_absolute() and Path(photo).is_file() for photo in cases["photo"])


@pytest.mark.parametrize(
    "labels",
    [
        "Image ID,male,Bone Age (months)\n1386,TRUE,30\n",
        "\ufeffid;boneage;male\n1386;30;1\n",
        "ID\tBoneAge\tMALE\n1386\t30.0\ttrue\n",
        'male,"id",boneage,extra\nTrue,1386,30,x\n',
    ],
)
def test_the_headers_and_separators_found_in_the_wild_are_understood(tmp_path, labels):
    cases, skipped = read_rsna(lay(tmp_path, labels, "1386.png"))
    assert skipped.empty
    assert cases[["case_id", "sex", "bone_age"]].to_numpy().tolist() == [["1386", "M", 2.5]]


def test_the_training_and_validation_parts_are_joined(tmp_path):
    lay(tmp_path, "id,boneage,male\n1377,180,False\n", "1377.png", "v/1386.png")
    (tmp_path / "v" / "Validation Dataset.csv").write_text("Image ID,male,Bone Age (months)\n1386,0,24\n")
    cases, _ = read_rsna(tmp_path)
    assert cases["case_id"].tolist() == ["1377", "1386"]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("7,-1,True", "negative"),
        ("7,NaN,True", "not a number"),
        ("7,ten,True", "not a number"),
        ("7,,True", "not a number"),
        ("7,300,True", "above 20 years"),
        ("7,120,maybe", "True or False"),
        ("7,120,", "True or False"),
        ("../7,120,True", "letters and digits"),
        ("1377,120,True", "second label"),
        ("8,120,True", "label without a photo"),
    ],
)
def test_a_bad_row_is_reported_and_the_rest_goes_on(tmp_path, row, reason):
    lay(tmp_path, f"id,boneage,male\n1377,180,False\n{row}\n", "1377.png", "7.png")
    cases, skipped = read_rsna(tmp_path)
    assert cases["case_id"].tolist() == ["1377"]
    assert cases["bone_age"].tolist() == [15.0]
    item = row.split(",")[0]
    found = skipped[skipped["item"] == item]
    assert len(found) == 1
    assert "train.csv" in found["reason"].iloc[0]
    assert reason in found["reason"].iloc[0]


def test_a_photo_without_a_label_and_a_second_photo_are_reported(tmp_path):
    lay(
        tmp_path, "id,boneage,male\n1377,180,False\n", "a/1377.png", "b/1377.jpg", "5.png", "__MACOSX/._6.png"
    )
    cases, skipped = read_rsna(tmp_path)
    assert cases["photo"].tolist() == [str(tmp_path / "a" / "1377.png")]
    found = dict(skipped.itertuples(index=False))
    assert set(found) == {"5.png", "b/1377.jpg"}
    assert "without a label" in found["5.png"]
    assert "a/1377.png is used" in found["b/1377.jpg"]


@pytest.mark.parametrize(
    ("labels", "photos", "reason"),
    [
        (None, ["1.png"], "no label table"),
        ("id,age\n1,2\n", ["1.png"], "no label table"),
        ("", ["1.png"], "no label table"),
        ("id,boneage,male\n1,120,True\n", [], "no photo has a label"),
        # This project's own label table holds years.
        ("Case ID,Bone Age,Male,Location\n1,12,TRUE,Unknown\n", ["1.png"], "no label table"),
    ],
)
def test_without_anything_to_join_the_error_says_what_is_missing(tmp_path, labels, photos, reason):
    with pytest.raises(BoneAgeError, match=reason):
        read_rsna(lay(tmp_path, labels, *photos))


@pytest.mark.real_data
def test_the_real_rsna_photos_all_join(real_data):
    cases, skipped = read_rsna(real_data / "rsna")
    assert len(cases) == 972
    assert skipped.empty
    assert np.isclose(cases["bone_age"].min() * 12, 10)
    assert cases["bone_age"].max() <= 19
