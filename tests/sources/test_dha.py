"""The Digital Hand Atlas's tree and readings: what joins, and what is reported instead of lost."""

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from boneage.core.errors import BoneAgeError
from boneage.core.tables import CASE_TABLE, SKIPPED_TABLE
from boneage.sources.dha import (
    NEVER_FOUND,
    RACE_OF_CODE,
    WRONG_LINKS,
    find_readings,
    place_of,
    read_atlas,
)


def place(folder: Path, *paths: str) -> None:
    """Makes images (their pixels are no concern of this module) in the atlas's tree."""
    for path in paths:
        file = folder / "JPEGimages" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"pixels")


def reasons(skipped: pd.DataFrame) -> dict[str, str]:
    assert list(skipped) == list(SKIPPED_TABLE)
    return dict(skipped.itertuples(index=False))


def test_the_place_of_an_image_gives_race_sex_and_year(tmp_path):
    place(
        tmp_path,
        "HISM/HISM00/5592.jpg",
        "BLKF/BLKF18/3256.jpg",
        "ASIM/ASIM07/7003.jpg",
        "CAUF/CAUF01/4056.jpg",
    )
    cases, _ = read_atlas(tmp_path)
    assert list(cases) == list(CASE_TABLE)
    assert cases["case_id"].tolist() == ["3256", "4056", "5592", "7003"]
    assert cases.index.tolist() == [0, 1, 2, 3]
    assert cases["race"].tolist() == ["African American", "Caucasian", "Hispanic American", "Asian"]
    assert cases["sex"].tolist() == ["F", "F", "M", "M"]
    assert cases["age_group"].tolist() == [18, 1, 0, 7]
    assert cases["age_group"].dtype == "Int64"
    assert cases["source"].unique().tolist() == ["dha"]
    assert cases[["bone_age", "reading_1", "reading_2"]].isna().all(axis=None)
    assert cases["bone_age"].dtype == "float64"
    assert all(Path(image).is_absolute() and Path(image).is_file() for image in cases["image"])


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
        ("BLKM/BLKF10/3001.jpg", "is in BLKM"),
        ("BLKM/BLKM19/3002.jpg", "beyond 18"),
        ("BLKM/BLKM10/30045.jpg", "4-digit"),
        ("BLKM/BLKM10/hand.png", "4-digit"),
        ("XYZM/XYZM10/3006.jpg", "not in the atlas's tree"),
        ("BLKM/3007.jpg", "not in the atlas's tree"),
    ],
)
def test_an_image_out_of_place_is_reported_by_name(tmp_path, path, reason):
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
    used = {Path(image).relative_to(tmp_path).as_posix() for image in cases["image"]}
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


def test_of_two_images_with_one_number_the_first_stays_and_the_right_name_wins(tmp_path):
    place(
        tmp_path,
        "BLKM/BLKM10/3145.jpg",
        "BLKM/BLKM10/3145.png",
        "ASIF/ASIF05/5260.jpg",
        "ASIF/ASIF05/5262.jpg",
    )
    cases, skipped = read_atlas(tmp_path)
    assert [Path(image).name for image in cases["image"]] == ["3145.jpg", "5262.jpg"]
    found = reasons(skipped)
    assert "3145.jpg is used" in found["JPEGimages/BLKM/BLKM10/3145.png"]
    assert "5262.jpg is used" in found["JPEGimages/ASIF/ASIF05/5260.jpg"]


@pytest.mark.parametrize("make", [lambda path: None, Path.mkdir, lambda path: path.write_text("a zip?")])
def test_without_an_image_the_error_shows_the_tree(tmp_path, make):
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
    assert "no 4-digit image number" in found["BLKM13"]
    assert "sex is M, but its id says F" in found["811097287"]
    assert "reading without an image" in found["810143177"]
    assert "image without a reading" in found["3146"]


def test_the_image_that_nobody_found_is_told_apart(atlas):
    ((_, number),) = NEVER_FOUND
    (atlas / "r.csv").write_text(f"image,reading_1,reading_2\n3145,10,10\n{number},12,12\n")
    assert "index lacks it" in reasons(read_atlas(atlas)[1])[number]


@pytest.mark.parametrize(
    "text",
    [
        "image number,reading 1,reading 2\n3145,10,11\n4087,8.5,\n3146,,10.25\n",
        "\ufeffPhoto Number;Reading 1;Reading 2\n3145;10;11\n4087;8.5;\n3146;;10.25\n",
        "image,reading_1,reading_2\n3145,120,132\n4087,102,\n3146,,123\n",
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
        f"image,reading_1,reading_2\n3145,{cell},{cell}\n4087,8,8\n3146,10,10\n7287,9,9\n"
    )
    cases, skipped = read_atlas(atlas)
    assert len(cases) == 4
    assert np.isnan(cases.set_index("case_id").loc["3145", "bone_age"])
    (row,) = reasons(skipped).items()
    assert row[0] == "3145"
    assert reason in row[1]


def test_one_impossible_reading_of_two_is_enough(atlas):
    (atlas / "readings.csv").write_text("image,reading_1,reading_2\n3145,10,-1\n")
    cases, skipped = read_atlas(atlas)
    assert cases["bone_age"].isna().all()
    assert "negative" in reasons(skipped)["3145"]


def test_a_baby_of_bone_age_zero_is_no_fault(tmp_path):
    place(tmp_path, "ASIM/ASIM00/5604.jpg")
    (tmp_path / "la_dha.csv").write_text("patient_ID,bone_age\n84005604,0.0\n")
    cases, skipped = read_atlas(tmp_path)
    assert cases["bone_age"].tolist() == [0.0]
    assert skipped.empty


def test_of_two_readings_of_an_image_the_first_usable_one_is_joined(atlas):
    (atlas / "la_dha.csv").write_text("patient_ID,bone_age\n810103145,-1\n810103145,120\n810103145,132\n")
    cases, skipped = read_atlas(atlas)
    assert cases.set_index("case_id").loc["3145", "bone_age"] == 10.0
    assert (skipped["item"] == "810103145").sum() == 2
    assert skipped["reason"].str.contains("another reading").sum() == 1


def test_a_second_readings_table_is_named_and_not_used(atlas):
    (atlas / "a.csv").write_text("image,reading_1,reading_2\n3145,10,10\n")
    (atlas / "b.csv").write_text("image,reading_1,reading_2\n3145,11,11\n")
    cases, skipped = read_atlas(atlas)
    assert cases.set_index("case_id").loc["3145", "bone_age"] == 10.0
    assert "is used instead" in reasons(skipped)["b.csv"]


def test_a_table_of_predictions_beside_the_readings_does_not_win_by_its_name(tmp_path):
    numbers = range(3145, 3153)
    place(tmp_path, *(f"BLKM/BLKM10/{number}.jpg" for number in numbers))
    rows = [f"{number},10,11\n" for number in numbers]
    (tmp_path / "readings.csv").write_text("image_id,reading 1,reading 2\n" + "".join(rows))
    rows = [f"81010{number},{10.5 * 12}\n" for number in numbers]
    (tmp_path / "la_dha.csv").write_text("patient_ID,bone_age\n" + "".join(rows))
    assert (read_atlas(tmp_path)[0]["bone_age"] == 10.5).all()
    (tmp_path / "la_dha.csv").write_text("patient_ID,bone_age\n" + "".join(rows).replace("126", "138"))
    with pytest.raises(BoneAgeError, match=r"readings\.csv: it contradicts la_dha\.csv on 8 of the 8"):
        read_atlas(tmp_path)


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


def test_every_place_of_the_tree_is_understood():
    for race in RACE_OF_CODE:
        for sex in "FM":
            for year in range(19):
                group = f"{race}{sex}{year:02d}"
                assert place_of(Path(f"{race}{sex}/{group}/1234.jpg")) == (group, "1234")


def test_a_table_of_another_data_set_is_not_joined_by_its_last_four_digits(atlas):
    (atlas / "a_other.csv").write_text(
        "patient_ID,bone_age,sex\n55553145,180,M\n12344087,180,M\n77777287,60,M\n13146,90,F\n"
    )
    (atlas / "la_dha.csv").write_text("patient_ID,bone_age,sex\n810103145,120,M\n821084087,96,F\n")
    cases, skipped = read_atlas(atlas)
    assert cases.set_index("case_id")["bone_age"].dropna().to_dict() == {"3145": 10.0, "4087": 8.0}
    found = reasons(skipped)
    assert "none of its 4 ids has the atlas's form (the first is '55553145')" in found["a_other.csv"]
    # Alone it is not joined either, and neither is one row of it among others of the atlas.
    (atlas / "la_dha.csv").write_text("patient_ID,bone_age,sex\n55553145,180,M\n821084087,96,F\n")
    cases, skipped = read_atlas(atlas)
    assert cases.set_index("case_id")["bone_age"].dropna().to_dict() == {"4087": 8.0}
    assert "no 4-digit image number as in the atlas" in reasons(skipped)["55553145"]


@pytest.mark.parametrize("wrong", ["810153145", "811103145", "820103145", "81013145"])
@pytest.mark.parametrize("first", [True, False])
def test_of_two_rows_for_an_image_the_one_that_contradicts_its_folder_loses_and_both_are_told(
    atlas, wrong, first
):
    rows = ["810103145,120,M", f"{wrong},180,M"]
    (atlas / "la_dha.csv").write_text(
        "\n".join(["patient_ID,bone_age,sex", *(rows[::-1] if first else rows)])
    )
    cases, skipped = read_atlas(atlas)
    assert cases.set_index("case_id").loc["3145", "bone_age"] == 10.0
    found = reasons(skipped)
    assert "the image is in BLKM10; not used" in found[wrong]
    assert f"row {wrong} is for this image too" in found["810103145"]
    assert "810103145" in cases.attrs["noted"]
    assert wrong not in cases.attrs["noted"]


def test_a_row_whose_id_contradicts_the_folder_is_not_joined_even_alone(atlas):
    (atlas / "la_dha.csv").write_text("patient_ID,bone_age,sex\n810153145,180,M\n821084087,96,F\n")
    cases, skipped = read_atlas(atlas)
    assert np.isnan(cases.set_index("case_id").loc["3145", "bone_age"])
    assert "its id says BLKM15, the image is in BLKM10" in reasons(skipped)["810153145"]


def test_the_digit_that_deeplasias_ids_lack_below_ten_is_no_contradiction(atlas):
    (atlas / "la_dha.csv").write_text("patient_ID,bone_age,sex\n82104087,96,F\n811097287.0,108,F\n")
    cases, _ = read_atlas(atlas)
    assert cases.set_index("case_id")["bone_age"].dropna().to_dict() == {"4087": 8.0, "7287": 9.0}


@pytest.mark.parametrize(
    "text",
    [
        "image;reading_1;reading_2\n3145.0;10;11\n4087.0;8;9\n",
        "image,bone age (months),sex\n3145.jpg,126,male\nJPEGimages/CAUF/CAUF08/4087.jpg,102,female\n",
        "image,Reader A,Reader B\n3145,10,11\n4087,8,9\n",
        "filename,bone_age\n03145,10.5\n4087,8.5\n",
        "image,bone_age,Geschlecht\n3145,126,m\n4087,102,w\n",
    ],
)
def test_ids_and_sexes_as_people_write_them_join(atlas, text):
    (atlas / "readings.csv").write_text(text)
    cases, skipped = read_atlas(atlas)
    assert cases.set_index("case_id")["bone_age"].dropna().to_dict() == {"3145": 10.5, "4087": 8.5}
    assert set(reasons(skipped)) == {"3146", "7287"}


def test_a_sex_that_the_folder_denies_keeps_a_row_out_and_many_of_them_the_table(atlas):
    (atlas / "readings.csv").write_text("image,bone_age,sex\n3145,126,F\n4087,102,F\n")
    cases, skipped = read_atlas(atlas)
    assert cases.set_index("case_id")["bone_age"].dropna().to_dict() == {"4087": 8.5}
    assert "its sex is F, the image is in BLKM10" in reasons(skipped)["3145"]
    place(atlas, "BLKM/BLKM12/3001.jpg", "BLKM/BLKM12/3002.jpg")
    rows = "".join(f"{number},126,F\n" for number in (3145, 3146, 3001, 3002, 4087, 7287))
    (atlas / "readings.csv").write_text(f"image,bone_age,sex\n{rows}")
    cases, skipped = read_atlas(atlas)
    assert cases["bone_age"].isna().all()
    assert "not a table of these images: 4 of the 6 rows" in reasons(skipped)["readings.csv"]


def test_deeplasias_table_in_years_is_taken_for_years(atlas):
    (atlas / "la_dha.csv").write_text("patient_ID,bone_age,sex\n810103145,10.5,M\n821084087,8.25,F\n")
    cases, _ = read_atlas(atlas)
    assert cases.set_index("case_id")["bone_age"].dropna().to_dict() == {"3145": 10.5, "4087": 8.25}
    ((unit,),) = [cases.attrs["units"]]
    assert unit["table"] == "la_dha.csv"
    assert unit["unit"] == "years"
    (atlas / "la_dha.csv").write_text(
        "patient_ID,bone_age (months),sex\n810103145,10.5,M\n821084087,8.25,F\n"
    )
    with pytest.raises(BoneAgeError, match=r"its header says months, but .* --unit months or --unit years"):
        read_atlas(atlas)


@pytest.mark.parametrize(("per_year", "unit"), [(1, "years"), (12, "months")])
def test_a_table_of_infants_only_is_known_by_its_folders(tmp_path, per_year, unit):
    place(tmp_path, *(f"ASIM/ASIM0{age}/56{age}{n}.jpg" for age in (0, 1) for n in range(4)))
    years = {f"56{age}{n}": age + 0.25 * n + (0.25 if not age else 0.0) for age in (0, 1) for n in range(4)}
    rows = "".join(f"{number},{value * per_year:g}\n" for number, value in years.items())
    (tmp_path / "r.csv").write_text(f"image,bone_age\n{rows}")
    cases, _ = read_atlas(tmp_path)
    assert cases["bone_age"].tolist() == list(years.values())
    assert cases.attrs["units"][0]["unit"] == unit


def test_a_reading_of_zero_beside_another_is_not_read_and_odd_pairs_have_rows(atlas):
    (atlas / "readings.csv").write_text(
        "image,reading_1,reading_2\n3145,0,10.5\n3146,9,11.5\n4087,12,12.5\n7287,9,9.5\n"
    )
    cases, skipped = read_atlas(atlas)
    rows = cases.set_index("case_id")
    assert rows["bone_age"].to_dict() == {"3145": 10.5, "3146": 10.25, "4087": 12.25, "7287": 9.25}
    assert np.isnan(rows.loc["3145", "reading_1"])
    found = reasons(skipped)
    assert "counts as not read" in found["3145"]
    assert "differ by more than 2 years" in found["3146"]
    assert "more than 3 years from the folder's year of age (8); used nevertheless" in found["4087"]
    assert set(found) == {"3145", "3146", "4087"}


@pytest.mark.real_data
def test_the_real_atlas_images_all_join(real_data):
    cases, skipped = read_atlas(real_data / "dha")
    assert len(cases) == 53
    assert skipped.empty
    assert cases["bone_age"].between(8, 19).all()
    assert [one["unit"] for one in cases.attrs["units"]] == ["months"]
    # The folder's year and the readers differ by under a year on average.
    assert (cases["bone_age"] - cases["age_group"]).abs().mean() < 1.5


@pytest.mark.real_data
@pytest.mark.parametrize(("divisor", "unit"), [(1.0, "months"), (12.0, "years")])
def test_the_real_readings_join_in_either_unit_whatever_a_spreadsheet_did_to_them(
    real_data, tmp_path, divisor, unit
):
    table = pd.read_csv(real_data / "dha" / "la_dha.csv", dtype=str)
    table["bone_age"] = (table["bone_age"].astype(float) / divisor).map("{:.4f}".format).str.replace(".", ",")
    table["patient_ID"] += ".0"
    table["sex"] = table["sex"].map({"M": "männlich", "F": "weiblich"})
    table.to_csv(tmp_path / "la_dha.csv", sep=";", index=False, encoding="cp1252")
    cases, skipped = read_atlas(real_data / "dha", tmp_path / "la_dha.csv")
    expected, _ = read_atlas(real_data / "dha")
    assert np.allclose(cases["bone_age"], expected["bone_age"], atol=1e-3)
    assert cases.attrs["units"][0]["unit"] == unit
    assert skipped["item"].tolist() == ["la_dha.csv"]
