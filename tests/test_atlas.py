"""The Digital Hand Atlas's tree and readings: what joins, and what is reported instead of lost."""

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from boneage.atlas import (
    DOUBTED_READINGS,
    NEVER_FOUND,
    RACE_OF_CODE,
    WRONG_LINKS,
    doubted,
    find_readings,
    place_of,
    read_atlas,
)
from boneage.errors import BoneAgeError
from boneage.tables import CASE_COLUMNS, SKIPPED_COLUMNS


def place(folder: Path, *paths: str) -> None:
    """Makes photos (their pixels are no concern of this module) in the atlas's tree."""
    for path in paths:
        file = folder / "JPEGimages" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"pixels")


def reasons(skipped: pd.DataFrame) -> dict[str, str]:
    assert tuple(skipped.columns) == SKIPPED_COLUMNS
    return dict(skipped.itertuples(index=False))


def test_the_place_of_a_photo_gives_race_sex_and_year(tmp_path):
    place(
        tmp_path,
        "HISM/HISM00/5592.jpg",
        "BLKF/BLKF18/3256.jpg",
        "ASIM/ASIM07/7003.jpg",
        "CAUF/CAUF01/4056.jpg",
    )
    cases, _ = read_atlas(tmp_path)
    assert tuple(cases.columns) == CASE_COLUMNS
    assert cases["case_id"].tolist() == ["3256", "4056", "5592", "7003"]
    assert cases.index.tolist() == [0, 1, 2, 3]
    assert cases["race"].tolist() == ["African American", "Caucasian", "Hispanic American", "Asian"]
    assert cases["sex"].tolist() == ["F", "F", "M", "M"]
    assert cases["age_group"].tolist() == [18, 1, 0, 7]
    assert cases["age_group"].dtype == "Int64"
    assert cases["source"].unique().tolist() == ["dha"]
    assert cases[["bone_age", "reading_1", "reading_2"]].isna().all(axis=None)
    assert cases["bone_age"].dtype == "float64"
    assert all(Path(photo).is_absolute() and Path(photo).is_file() for photo in cases["photo"])


def test_the_tree_is_found_at_any_depth_and_in_any_case(tmp_path):
    place(tmp_path / "Drive" / "my atlas", "BLKM/BLKM10/3145.jpg")
    lower = tmp_path / "other" / "blkm" / "blkm10" / "3146.JPEG"
    lower.parent.mkdir(parents=True)
    lower.write_bytes(b"")
    cases, _ = read_atlas(tmp_path, source="phantom")
    assert cases["case_id"].tolist() == ["3145", "3146"]
    assert cases["source"].tolist() == ["phantom", "phantom"]


@pytest.mark.parametrize("inside", ["", "JPEGimages", "JPEGimages/BLKM", "JPEGimages/BLKM/BLKM10"])
def test_any_folder_of_the_tree_may_be_named(tmp_path, inside):
    place(tmp_path, "BLKM/BLKM10/3145.jpg")
    assert read_atlas(tmp_path / inside)[0]["case_id"].tolist() == ["3145"]


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("BLKM/BLKF10/3001.jpg", "lies in BLKM"),
        ("BLKM/BLKM19/3002.jpg", "beyond 18"),
        ("BLKM/BLKM10/30045.jpg", "4-digit"),
        ("BLKM/BLKM10/hand.png", "4-digit"),
        ("XYZM/XYZM10/3006.jpg", "not in a folder of the atlas"),
        ("BLKM/3007.jpg", "not in a folder of the atlas"),
    ],
)
def test_a_photo_out_of_place_is_reported_by_name(tmp_path, path, reason):
    place(tmp_path, "BLKM/BLKM10/3145.jpg", path)
    cases, skipped = read_atlas(tmp_path)
    assert cases["case_id"].tolist() == ["3145"]
    assert reason in reasons(skipped)[f"JPEGimages/{path}"]


def test_litter_is_passed_over_in_silence(tmp_path):
    place(
        tmp_path, "BLKM/BLKM10/3145.jpg", "BLKM/BLKM10/Thumbs.db", "BLKM/BLKM10/.3146.jpg", "BLKM/desktop.ini"
    )
    place(tmp_path / "__MACOSX", "BLKM/BLKM10/3147.jpg")
    cases, skipped = read_atlas(tmp_path)
    assert cases["case_id"].tolist() == ["3145"]
    assert list(reasons(skipped)) == ["."]


def test_every_other_file_is_used_or_has_a_row_that_says_why_not(tmp_path):
    place(
        tmp_path,
        *(
            f"BLKM/BLKM10/{3100 + i}{suffix}"
            for i, suffix in enumerate((".tif", ".BMP", ".dcm", ".dicom", ""))
        ),
        "BLKM/BLKM10/notes.docx",
        "BLKM/readme.txt",
        "BLKM/BLKM10/scan.xyz",
        "more.rar",
        "BLKM/loose.dcm",
        "BLKM/BLKM10/3900",
    )
    dicom = tmp_path / "JPEGimages/BLKM/BLKM10/3104"
    dicom.write_bytes(bytes(128) + b"DICM")
    cases, skipped = read_atlas(tmp_path)
    assert cases["case_id"].tolist() == ["3100", "3101", "3102", "3103", "3104"]
    told = set(reasons(skipped)) - {"."}
    used = {Path(photo).relative_to(tmp_path).as_posix() for photo in cases["photo"]}
    files = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()}
    assert told | used == files
    assert "archive" in reasons(skipped)["JPEGimages/more.rar"]


def test_links_out_of_the_folder_are_not_followed(tmp_path):
    place(tmp_path / "elsewhere", "CAUM/CAUM10/4001.jpg", "CAUM/CAUM10/4002.jpg")
    data = tmp_path / "data"
    place(data, "BLKM/BLKM10/3145.jpg")
    os.symlink(tmp_path / "elsewhere" / "JPEGimages" / "CAUM", data / "JPEGimages" / "CAUM")
    os.symlink(
        tmp_path / "elsewhere" / "JPEGimages/CAUM/CAUM10/4002.jpg", data / "JPEGimages/BLKM/BLKM10/4002.jpg"
    )
    cases, skipped = read_atlas(data)
    assert cases["case_id"].tolist() == ["3145"]
    assert "not followed" in reasons(skipped)["JPEGimages/CAUM"]
    assert "not followed" in reasons(skipped)["JPEGimages/BLKM/BLKM10/4002.jpg"]


@pytest.mark.parametrize(("wrong", "right"), WRONG_LINKS.items())
def test_the_wrong_links_of_the_index_get_their_right_number(tmp_path, wrong, right):
    group, number = wrong
    place(tmp_path, f"{group[:4]}/{group}/{number}.jpg")
    assert read_atlas(tmp_path)[0]["case_id"].tolist() == [right]


def test_a_wrong_number_is_wrong_in_its_own_group_only(tmp_path):
    # 5260 and 7090 are right numbers elsewhere in the atlas.
    place(tmp_path, "ASIF/ASIF10/5260.jpg", "ASIF/ASIF05/5262.jpg", "CAUF/CAUF12/7090.jpg")
    assert read_atlas(tmp_path)[0]["case_id"].tolist() == ["5260", "5262", "7090"]


def test_of_two_photos_with_one_number_the_first_stays_and_the_right_name_wins(tmp_path):
    place(
        tmp_path,
        "BLKM/BLKM10/3145.jpg",
        "BLKM/BLKM10/3145.png",
        "ASIF/ASIF05/5260.jpg",
        "ASIF/ASIF05/5262.jpg",
    )
    cases, skipped = read_atlas(tmp_path)
    assert [Path(photo).name for photo in cases["photo"]] == ["3145.jpg", "5262.jpg"]
    found = reasons(skipped)
    assert "3145.jpg is used" in found["JPEGimages/BLKM/BLKM10/3145.png"]
    assert "5262.jpg is used" in found["JPEGimages/ASIF/ASIF05/5260.jpg"]


@pytest.mark.parametrize("make", [lambda path: None, Path.mkdir, lambda path: path.write_text("a zip?")])
def test_without_a_photo_the_error_shows_the_tree(tmp_path, make):
    folder = tmp_path / "data"
    make(folder)
    with pytest.raises(
        BoneAgeError, match=r"data: .*(JPEGimages/BLKM/BLKM10/3145|no such folder|not a folder)"
    ):
        read_atlas(folder)


DEEPLASIA = """image_ID,dir,patient_ID,sex,bone_age
a.png,la_dha,810103145,M,126.0
b.png,la_dha,82104087,F,105.96
c.png,la_dha,BLKM13,M,157.5
d.png,la_dha,811097287,M,132.0
e.png,la_dha,810143177,M,162.0
f.png,rsna,12345146,M,12
"""


@pytest.fixture
def atlas(tmp_path):
    place(
        tmp_path / "data",
        "BLKM/BLKM10/3145.jpg",
        "BLKM/BLKM10/3146.jpg",
        "CAUF/CAUF08/4087.jpg",
        "BLKF/BLKF09/7287.jpg",
    )
    return tmp_path / "data"


@pytest.mark.parametrize(
    "where", ["data/la_dha.csv", "data/JPEGimages/x.csv", "la_dha.csv", "named/there.csv"]
)
def test_deeplasias_table_is_found_and_joined_by_the_last_four_digits(atlas, tmp_path, where):
    table = tmp_path / where
    table.parent.mkdir(exist_ok=True)
    table.write_text(DEEPLASIA)
    named = table if "named" in where else None
    assert find_readings(atlas) == (None if named else table)
    cases, skipped = read_atlas(atlas, readings=named)
    years = cases.set_index("case_id")["bone_age"]
    assert years["3145"] == 10.5
    assert years["4087"] == pytest.approx(8.83)
    assert years["7287"] == 11.0
    assert np.isnan(years["3146"])
    assert cases[["reading_1", "reading_2"]].isna().all(axis=None)
    found = reasons(skipped)
    assert set(found) == {"BLKM13", "811097287", "810143177", "3146"}
    assert "no 4-digit photo number" in found["BLKM13"]
    assert "sex is M where its id says F" in found["811097287"]
    assert "reading without a photo" in found["810143177"]
    assert "photo without a reading" in found["3146"]


def test_the_photo_that_nobody_found_is_told_apart(atlas):
    ((_, number),) = NEVER_FOUND
    (atlas / "r.csv").write_text(f"photo,reading_1,reading_2\n3145,10,10\n{number},12,12\n")
    assert "index links to none" in reasons(read_atlas(atlas)[1])[number]


@pytest.mark.parametrize(
    "text",
    [
        "photo number,reading 1,reading 2\n3145,10,11\n4087,8.5,\n3146,,10.25\n",
        "\ufeffPhoto Number;Reading 1;Reading 2\n3145;10;11\n4087;8.5;\n3146;;10.25\n",
        "photo,reading_1,reading_2\n3145,120,132\n4087,102,\n3146,,123\n",
    ],
    ids=["years", "years, BOM and semicolons", "months"],
)
def test_any_table_of_two_readings_is_joined_in_years_or_months(atlas, text):
    (atlas / "readings.csv").write_text(text, encoding="utf-8")
    cases, skipped = read_atlas(atlas)
    rows = cases.set_index("case_id")
    assert rows.loc["3145", ["bone_age", "reading_1", "reading_2"]].tolist() == [10.5, 10.0, 11.0]
    assert rows.loc["4087", "bone_age"] == rows.loc["4087", "reading_1"] == 8.5
    assert rows.loc["3146", "bone_age"] == rows.loc["3146", "reading_2"] == 10.25
    assert np.isnan(rows.loc["3146", "reading_1"])
    assert set(reasons(skipped)) == {"7287"}


@pytest.mark.parametrize(
    ("cell", "reason"),
    [
        ("-3", "negative"),
        ("NaN", "not a number"),
        ("inf", "not a number"),
        ("about 10", "not a number"),
        ("=2+5", "not a number"),
        ("300", "above 20 years"),
        ("", "no reading"),
    ],
)
def test_an_impossible_reading_is_reported_and_the_case_stays(atlas, cell, reason):
    (atlas / "readings.csv").write_text(
        f"photo,reading_1,reading_2\n3145,{cell},{cell}\n4087,8,8\n3146,10,10\n7287,9,9\n"
    )
    cases, skipped = read_atlas(atlas)
    assert len(cases) == 4
    assert np.isnan(cases.set_index("case_id").loc["3145", "bone_age"])
    (row,) = reasons(skipped).items()
    assert row[0] == "3145"
    assert reason in row[1]


def test_one_impossible_reading_of_two_is_enough(atlas):
    (atlas / "readings.csv").write_text("photo,reading_1,reading_2\n3145,10,-1\n")
    cases, skipped = read_atlas(atlas)
    assert cases["bone_age"].isna().all()
    assert "negative" in reasons(skipped)["3145"]


def test_a_baby_of_bone_age_zero_is_no_fault(tmp_path):
    place(tmp_path, "ASIM/ASIM00/5604.jpg")
    (tmp_path / "la_dha.csv").write_text("patient_ID,bone_age\n84005604,0.0\n")
    cases, skipped = read_atlas(tmp_path)
    assert cases["bone_age"].tolist() == [0.0]
    assert skipped.empty


def test_of_two_readings_of_a_photo_the_first_usable_one_is_joined(atlas):
    (atlas / "la_dha.csv").write_text("patient_ID,bone_age\n810103145,-1\n810103145,120\n810103145,132\n")
    cases, skipped = read_atlas(atlas)
    assert cases.set_index("case_id").loc["3145", "bone_age"] == 10.0
    assert (skipped["item"] == "810103145").sum() == 2
    assert skipped["reason"].str.contains("second reading").sum() == 1


def test_a_second_readings_table_is_named_and_not_used(atlas):
    (atlas / "a.csv").write_text("photo,reading_1,reading_2\n3145,10,10\n")
    (atlas / "b.csv").write_text("photo,reading_1,reading_2\n3145,11,11\n")
    cases, skipped = read_atlas(atlas)
    assert cases.set_index("case_id").loc["3145", "bone_age"] == 10.0
    assert "not used" in reasons(skipped)["b.csv"]


def test_this_projects_own_case_table_is_no_readings_table(atlas):
    cases, _ = read_atlas(atlas)
    cases.to_csv(atlas / "cases.csv", index=False)
    assert "no readings table" in reasons(read_atlas(atlas)[1])["."]


@pytest.mark.parametrize(("text", "reason"), [("a,b\n1,2\n", "header must have"), (None, "cannot be read")])
def test_a_named_table_that_holds_no_readings_is_an_error(atlas, tmp_path, text, reason):
    table = tmp_path / "my readings.csv"
    if text:
        table.write_text(text)
    with pytest.raises(BoneAgeError, match=f"my readings.csv: .*{reason}"):
        read_atlas(atlas, readings=table)


def test_doubted_readings_are_named_for_the_atlas_only(tmp_path):
    number = DOUBTED_READINGS[0]
    place(tmp_path, f"BLKF/BLKF04/{number}.jpg", "BLKM/BLKM10/3145.jpg")
    assert doubted(read_atlas(tmp_path)[0])["case_id"].tolist() == [number]
    assert doubted(read_atlas(tmp_path, source="phantom")[0]).empty


def test_every_place_of_the_tree_is_understood():
    for race in RACE_OF_CODE:
        for sex in "FM":
            for year in range(19):
                group = f"{race}{sex}{year:02d}"
                assert place_of(Path(f"{race}{sex}/{group}/1234.jpg")) == (group, "1234")


@pytest.mark.real_data
def test_the_real_atlas_photos_all_join(real_data):
    cases, skipped = read_atlas(real_data / "dha")
    assert len(cases) == 53
    assert skipped.empty
    assert cases["bone_age"].between(8, 19).all()
    # The folder's year and the readers differ by under a year on average.
    assert (cases["bone_age"] - cases["age_group"]).abs().mean() < 1.5
