"""The RSNA challenge's labels and images: what joins, and what is reported instead of lost."""

import sys
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest

from boneage.core.errors import BoneAgeError
from boneage.core.tables import CASE_TABLE
from boneage.sources.local import unpack_below
from boneage.sources.rsna import read_rsna


def lay(folder: Path, labels: str | None, *images: str) -> Path:
    folder.mkdir(exist_ok=True)
    if labels is not None:
        (folder / "train.csv").write_text(labels, encoding="utf-8")
    for name in images:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"pixels")
    return folder


def test_months_become_years_and_ids_join_images(tmp_path):
    lay(tmp_path, "id,boneage,male\n1380,120,True\n1377,180,False\n", "a/b/1377.png", "images/1380.JPG")
    cases, skipped = read_rsna(tmp_path)
    assert list(cases) == list(CASE_TABLE)
    assert skipped.empty
    assert cases["case_id"].tolist() == ["1377", "1380"]
    assert cases["bone_age"].tolist() == [15.0, 10.0]
    assert cases["sex"].tolist() == ["F", "M"]
    assert cases["race"].tolist() == ["Unknown", "Unknown"]
    assert cases["age_group"].dtype == "Int64"
    assert cases[["age_group", "reading_1", "reading_2"]].isna().all(axis=None)
    assert all(Path(image).is_absolute() and Path(image).is_file() for image in cases["image"])


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
        ("8,120,True", "label without an image"),
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


def test_an_image_without_a_label_and_a_second_image_are_reported(tmp_path):
    lay(
        tmp_path, "id,boneage,male\n1377,180,False\n", "a/1377.png", "b/1377.jpg", "5.png", "__MACOSX/._6.png"
    )
    cases, skipped = read_rsna(tmp_path)
    assert cases["image"].tolist() == [str(tmp_path / "a" / "1377.png")]
    found = dict(skipped.itertuples(index=False))
    assert set(found) == {"5.png", "b/1377.jpg"}
    assert "without a label" in found["5.png"]
    assert "a/1377.png is used" in found["b/1377.jpg"]


@pytest.mark.parametrize(
    ("labels", "images", "reason"),
    [
        (None, ["1.png"], "no label table"),
        ("id,age\n1,2\n", ["1.png"], "no label table"),
        ("", ["1.png"], "no label table"),
        ("id,boneage,male\n1,120,True\n", [], "no image has a label"),
        # This project's own label table holds years.
        ("Case ID,Bone Age,Male,Location\n1,12,TRUE,Unknown\n", ["1.png"], "no label table"),
    ],
)
def test_without_anything_to_join_the_error_says_what_is_missing(tmp_path, labels, images, reason):
    with pytest.raises(BoneAgeError, match=reason):
        read_rsna(lay(tmp_path, labels, *images))


FOUND_IN_THE_WILD = {
    "Excel's first line": "sep=;\nid;boneage;male\n1377;180;FALSCH\n1380;120;WAHR\n",
    "German, decimal comma": "Bild;Knochenalter (Monate);Geschlecht\n1377;180,0;w\n1380;120,0;m\n",
    "French": "id;âge osseux (mois);sexe\n1377;180;F\n1380;120;H\n",
    "Spanish": "id,edad ósea (meses),sexo\n1377,180,mujer\n1380,120,hombre\n",
    "Chinese": "id,骨龄（月）,性别\n1377,180,女\n1380,120,男\n",
    "test set": "Case ID,Sex,Ground truth bone age (months)\n1377,F,180.0\n1380,M,120.0\n",
    "years": "id,bone age (years),male\n1377,15,False\n1380,10,True\n",
    "years by fractions": "id,boneage,male\n1377,15,False\n1380,10,True\n1,2.5,True\n2,7.25,True\n",
    "a unit in each cell": "id,boneage,male\n1377,15 years,False\n1380,10 y,True\n",
    "years and months": "id,boneage,male\n1377,15y 0m,False\n1380,10 yrs 0 months,True\n",
    "ids of a spreadsheet": "id,boneage,male\n1377.0,180,0.0\n1380.0,120,1.0\n",
    "file names": "filename,boneage,female\n1377.png,180,TRUE\nimages/1380.jpg,120,FALSE\n",
    "leading zeros": "id,boneage,male\n0001377,180,False\n01380,120,True\n",
    "two ids": "nr,image,boneage,sex\n1,1377.png,180,girl\n2,1380.png,120,boy\n",
    "tabs and quotes": 'id\tboneage\tmale\n"1377"\t"180"\t"False"\n1380\t120\tTrue\n',
    "pipes": "id|boneage|male\n1377|180|F\n1380|120|M\n",
    "Mac line ends": "id,boneage,male\r1377,180,False\r1380,120,True\r",
    "more columns": "id,boneage,male,age,race\n1377,180,False,14,x\n1380,120,True,9,y\n",
    "explained headers": "Image ID (png),Bone Age (in months),Sex (M/F)\n1377,180,F\n1380,120,M\n",
    "short names": "nr,BA [mo],Geschlecht (m/w)\n1377,180,w\n1380,120,m\n",
    "the same column twice": "id,boneage,male,male\n1377,180,False,\n1380,120,True,\n",
    "blank lines": "id,boneage,male\n1377,180,False\n\n,,\n1380,120,True\n\n",
    "a title": "Bone ages of our clinic,,\n,,\nid,boneage,male\n1377,180,False\n1380,120,True\n",
}


@pytest.mark.parametrize("labels", FOUND_IN_THE_WILD.values(), ids=FOUND_IN_THE_WILD)
@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
def test_tables_as_people_have_them_give_the_same_two_children(tmp_path, labels, encoding):
    lay(tmp_path, None, "1377.png", "images/1380.dcm")
    (tmp_path / "labels.csv").write_bytes(labels.encode(encoding))
    cases, skipped = read_rsna(tmp_path)
    assert cases[["case_id", "sex", "bone_age"]].to_numpy().tolist() == [
        ["1377", "F", 15.0],
        ["1380", "M", 10.0],
    ]
    assert set(skipped["item"]) <= {"1", "2"}


def test_a_zero_where_no_other_child_is_below_a_year_is_not_read(tmp_path):
    lay(tmp_path, "id,boneage,male\n1377,180,False\n5,0,True\n", "1377.png", "5.png", "6.png")
    cases, skipped = read_rsna(tmp_path)
    assert cases["case_id"].tolist() == ["1377"]
    assert "counts as not read" in dict(skipped.itertuples(index=False))["5"]
    lay(tmp_path, "id,boneage,male\n1377,180,False\n5,0,True\n6,3,True\n")
    assert read_rsna(tmp_path)[0]["bone_age"].tolist() == [15.0, 0.0, 0.25]


def test_a_table_in_windows_1252_keeps_its_umlauts(tmp_path):
    lay(tmp_path, None, "1377.png", "1380.png")
    text = "id;Knochenalter (Monate);männlich\n1377;180;nein\n1380;120;ja\n"
    (tmp_path / "labels.csv").write_bytes(text.encode("cp1252"))
    assert read_rsna(tmp_path)[0]["sex"].tolist() == ["F", "M"]


def test_a_table_of_years_is_not_divided_by_twelve_without_a_word(tmp_path):
    ages = list(range(1, 19))
    rows = "".join(f"{100 + age},{age},True\n" for age in ages)
    lay(tmp_path, f"id,boneage,male\n{rows}", *(f"{100 + age}.png" for age in ages))
    with pytest.raises(BoneAgeError, match=r"train.csv: months or years\? .*--unit months or --unit years"):
        read_rsna(tmp_path)
    assert read_rsna(tmp_path, "years")[0]["bone_age"].tolist() == ages
    assert np.allclose(read_rsna(tmp_path, "months")[0]["bone_age"] * 12, ages)


@pytest.mark.parametrize(
    ("column", "age"), [("Bone Age (weeks)", "313.07"), ("bone_age_days", "2191.5"), ("boneage", "72")]
)
def test_the_unit_that_a_header_names_counts(tmp_path, column, age):
    cases, skipped = read_rsna(lay(tmp_path, f"id,{column},male\n1,{age},1\n2,{age},0\n", "1.png", "2.png"))
    assert skipped.empty
    assert cases["bone_age"].tolist() == pytest.approx([6.0, 6.0], abs=1e-3)


def test_each_table_has_a_unit_of_its_own_and_says_which(tmp_path):
    lay(tmp_path, "id,boneage,male\n1377,180,False\n", "1377.png", "1380.png")
    (tmp_path / "ours.csv").write_text("id,bone age (years),male\n1380,2,True\n")
    cases, _ = read_rsna(tmp_path)
    assert cases["bone_age"].tolist() == [15.0, 2.0]
    assert [(one["table"], one["unit"]) for one in cases.attrs["units"]] == [
        ("ours.csv", "years"),
        ("train.csv", "months"),
    ]


def test_sexes_that_can_mean_two_things_have_rows_that_say_so(tmp_path):
    lay(tmp_path, "id,boneage,sexo\n1377,180,H\n1380,120,M\n5,60,mujer\n", "1377.png", "1380.png", "5.png")
    cases, skipped = read_rsna(tmp_path)
    assert cases["case_id"].tolist() == ["5"]
    assert skipped["reason"].str.contains("H and M under sexo can mean a boy or a girl").sum() == 2
    lay(tmp_path, "id,boneage,sex\n1377,180,0\n1380,120,1\n")
    with pytest.raises(BoneAgeError, match=r"no image has a label; rows left out: 2 of 2 .*name it male"):
        read_rsna(tmp_path)


def test_two_columns_of_sexes_must_agree(tmp_path):
    lay(
        tmp_path,
        "id,boneage,male,sex\n1377,180,1,F\n1380,120,1,\n5,60,0,girl\n",
        "1377.png",
        "1380.png",
        "5.png",
    )
    cases, skipped = read_rsna(tmp_path)
    assert cases["sex"].tolist() == ["M", "F"]
    assert (
        "male is '1' and sex is 'F'; write the same sex in both"
        in dict(skipped.itertuples(index=False))["1377"]
    )


def test_a_workbook_is_read_sheet_by_sheet(tmp_path):
    openpyxl = pytest.importorskip("openpyxl")
    lay(tmp_path, None, "1377.png", "1380.png")
    book = openpyxl.Workbook()
    book.active.title = "About"
    book.active["A1"] = "who made this"
    labels = book.create_sheet("Labels")
    for row in (
        ["Bone ages"],
        [],
        ["id", "boneage", "male"],
        [1377, 180.0, False],
        ["01380", 120, True],
        [9, None, True],
    ):
        labels.append(row)
    book.save(tmp_path / "labels.xlsx")
    cases, skipped = read_rsna(tmp_path)
    assert cases[["case_id", "sex", "bone_age"]].to_numpy().tolist() == [
        ["1377", "F", 15.0],
        ["1380", "M", 10.0],
    ]
    found = dict(skipped.itertuples(index=False))
    assert "no reading" in found["9"]
    assert "not a label table" in found["labels.xlsx, sheet About"]


def test_without_openpyxl_a_workbook_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "openpyxl", None)
    lay(tmp_path, None, "1.png", "labels.xlsx")
    with pytest.raises(
        BoneAgeError, match=r"no label table found \(found: labels.xlsx: .*pip install openpyxl"
    ):
        read_rsna(tmp_path)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("labels.xlsx", b"<html>", "not a workbook"),
        ("labels.xlsx", b"\xd0\xcf\x11\xe0rest", "protected or from an old Excel"),
        ("labels.xls", b"\xd0\xcf\x11\xe0rest", ".xls is not supported; save it as CSV"),
        ("labels.ods", b"PK", "save it as CSV"),
        (
            "labels.csv",
            b"id,age,male\n1,2,True\n",
            r"no column for a bone age in its header \(id, age, male\)",
        ),
        ("labels.csv", b"id,boneage\n1,200\n", "no column for the sex"),
        ("labels.csv", b"", "empty"),
        ("labels.csv", b"<!doctype html>\n<html>", "a web page, not a table"),
        ("labels.csv", b"id,boneage,male\n1,1\x0020,True\n", "not UTF-8 text"),
        ("labels.csv", b"\x89PNG\xff\xfe\x00", "not UTF-8"),
        ("images.zip", b"PK\x03\x04", "an unsupported archive"),
        (
            "labels.csv",
            b"Case ID,Bone Age,Male,Location\n1,12,TRUE,Unknown\n",
            "a table made by this project",
        ),
    ],
)
def test_the_error_says_what_was_seen_and_why_it_was_not_used(tmp_path, name, content, words):
    lay(tmp_path, None, "1.png")
    (tmp_path / name).write_bytes(content)
    with pytest.raises(BoneAgeError, match=f"no label table found .*found: .*{name}: .*{words}") as caught:
        read_rsna(tmp_path)
    assert "\n" not in str(caught.value)


def test_a_workbook_that_unpacks_to_too_much_is_not_read(tmp_path, monkeypatch):
    monkeypatch.setattr("boneage.sources.label_tables.LARGEST_WORKBOOK_BYTES", 10**6)
    lay(tmp_path, None, "1.png")
    with zipfile.ZipFile(tmp_path / "bomb.xlsx", "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("xl/workbook.xml", b"0" * 10**7)
    with pytest.raises(BoneAgeError, match=r"bomb\.xlsx: too large for labels"):
        read_rsna(tmp_path)


def test_a_sheet_of_too_many_rows_is_refused_and_not_cut(tmp_path, monkeypatch):
    openpyxl = pytest.importorskip("openpyxl")
    monkeypatch.setattr("boneage.sources.label_tables._MOST_ROWS", 2)
    lay(tmp_path, None, "1.png")
    book = openpyxl.Workbook()
    for row in (["id", "boneage", "male"], [1, 120, True], [2, 120, True]):
        book.active.append(row)
    book.save(tmp_path / "labels.xlsx")
    with pytest.raises(BoneAgeError, match="more than 2 rows"):
        read_rsna(tmp_path)


def test_images_named_otherwise_are_shown_beside_the_ids(tmp_path):
    lay(tmp_path, "id,boneage,male\n1377,180,False\n", "hand-a.png")
    with pytest.raises(BoneAgeError, match=r"first image is hand-a.png, the first id '1377'"):
        read_rsna(tmp_path)


def test_a_table_that_is_there_twice_takes_one_row_and_one_that_says_otherwise_is_told(tmp_path):
    lay(tmp_path, "id,boneage,male\n1377,180,False\n1380,120,True\n", "1377.png", "1380.png")
    (tmp_path / "copy.csv").write_text("id,bone age (years),male\n1377,15,0\n1380,10,1\n")
    (tmp_path / "zzz.csv").write_text("id,boneage,male\n1377,60,True\n")
    cases, skipped = read_rsna(tmp_path)
    assert cases["bone_age"].tolist() == [15.0, 10.0]
    found = dict(skipped.itertuples(index=False))
    assert "2 of its 2 rows repeat another" in found["train.csv"]
    assert "different from the first (15 years, F)" in found["1377"]
    assert set(found) == {"train.csv", "1377"}


@pytest.mark.real_data
def test_the_real_rsna_images_all_join(real_data):
    cases, skipped = read_rsna(real_data / "rsna")
    assert len(cases) == 972
    assert skipped.empty
    assert np.isclose(cases["bone_age"].min() * 12, 10)
    assert cases["bone_age"].max() <= 19


@pytest.mark.parametrize("title", ["Ward 3,,\n", "Bone age,,2024\n", "Bone age,,\n\nread by,Dr A,\n"])
def test_titles_above_the_header_are_passed_over(tmp_path, title):
    lay(tmp_path, title + "Patient Nr.,Knochenalter [Monate],m/w\n1,30,m\n2,60,w\n", "1.png", "2.png")
    cases, skipped = read_rsna(tmp_path)
    assert skipped.empty
    assert cases[["case_id", "sex", "bone_age"]].to_numpy().tolist() == [["1", "M", 2.5], ["2", "F", 5.0]]


def test_two_columns_of_bone_ages_must_agree(tmp_path):
    rows = [f"{i},{age},{age * 12 + 5},1\n" for i, age in enumerate(range(3, 9), 10)]
    text = "id,bone_age_years,bone_age_months,male\n" + "".join(rows) + "20,15,24,1\n21,,60,1\n"
    cases, skipped = read_rsna(lay(tmp_path, text, *(f"{i}.png" for i in (*range(10, 16), 20, 21))))
    assert cases["bone_age"].tolist() == [3, 4, 5, 6, 7, 8, 5]
    assert skipped.to_numpy().tolist() == [
        ["20", "train.csv: bone_age_years says 15 and bone_age_months says 2 years; write the same in both"]
    ]
    twice = "id,boneage,male,boneage\n1,30,1,30\n2,30,1,90\n"
    cases, skipped = read_rsna(lay(tmp_path / "twice", twice, "1.png", "2.png"))
    assert cases["case_id"].tolist() == ["1"]
    assert skipped["item"].tolist() == ["2"]


@pytest.mark.parametrize(
    "header",
    ["id,boneage,boneage,boneage.1,male", "id,boneage, boneage,boneage,male", "id,id,boneage,id.1,male"],
)
@pytest.mark.parametrize("title", ["", "Ward 3,,,,\n"])
def test_a_column_that_is_there_twice_does_not_take_the_name_of_another(tmp_path, header, title):
    cells = {"id": "7", "boneage": "84", "male": "1"}
    row = ",".join(cells[name.strip().removesuffix(".1")] for name in header.split(","))
    cases, skipped = read_rsna(lay(tmp_path, f"{title}{header}\n{row}\n", "7.png"))
    assert skipped.empty
    assert cases[["case_id", "bone_age"]].to_numpy().tolist() == [["7", 7.0]]


def test_an_age_in_years_among_whole_months_is_not_taken_for_months(tmp_path):
    rows = "".join(f"{i},{60 + i},1\n" for i in range(6, 36))
    text = "id,boneage,male\n" + rows + "3,12.5,1\n4,11,0\n5,12.5 months,0\n"
    cases, skipped = read_rsna(lay(tmp_path, text, *(f"{i}.png" for i in range(3, 36))))
    assert set(cases["case_id"]) == {str(i) for i in range(4, 36)}
    assert skipped["item"].tolist() == ["3"]
    assert "seems to be in years" in skipped["reason"][0]


def test_a_table_of_predictions_beside_the_labels_does_not_win_by_its_name(tmp_path):
    images = [f"{i}.png" for i in range(8)]
    lay(tmp_path, "id,boneage,male\n" + "".join(f"{i},{60 + i},1\n" for i in range(8)), *images)
    (tmp_path / "answers.csv").write_text(
        "id,boneage,male\n" + "".join(f"{i},{80 + i},1\n" for i in range(8))
    )
    with pytest.raises(BoneAgeError, match=r"train\.csv: it contradicts answers\.csv on 8 of the 8"):
        read_rsna(tmp_path)


def test_an_archive_within_an_archive_that_was_unpacked_is_not_told_as_lost(tmp_path):
    data, inner = tmp_path / "data", tmp_path / "inner.zip"
    lay(data, "id,boneage,male\n1,30,1\n")
    with zipfile.ZipFile(inner, "w") as file:
        file.writestr("1.png", b"pixels")
    with zipfile.ZipFile(data / "outer.zip", "w") as file:
        file.write(inner, "inner.zip")
    cases, skipped = read_rsna(data, unpacked=unpack_below(data, tmp_path / "work"))
    assert cases["case_id"].tolist() == ["1"]
    assert skipped.empty


def test_two_archives_of_one_stem_within_an_archive_are_both_read(tmp_path):
    data = lay(tmp_path / "data", "id,boneage,male\n1,30,1\n2,60,0\n")
    with zipfile.ZipFile(tmp_path / "images.zip", "w") as file:
        file.writestr("1.png", b"pixels 1")
    with tarfile.open(tmp_path / "images.tar.gz", "w:gz") as file:
        file.addfile(tarfile.TarInfo("2.png"))
    with zipfile.ZipFile(data / "outer.zip", "w") as file:
        for name in ("images.zip", "images.tar.gz"):
            file.write(tmp_path / name, f"deep/{name}")
    for _ in range(2):
        cases, skipped = read_rsna(data, unpacked=unpack_below(data, tmp_path / "work"))
        assert cases["case_id"].tolist() == ["1", "2"]
        assert skipped.empty


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("编号,骨龄（月）,性别\n1,30,男\n2,60,女\n", "gb18030"),
        ("id;boneage;пол\n1;30;мальчик\n2;60;девочка\n", "cp1251"),
        ("Fallnummer;Knochenalter (Monate);Geschlecht\n1;30;männlich\n2;60;Mädchen\n", "cp1252"),
        ('id,boneage,male\n"=""1""",30,1\n="2",60,0\n', "utf-8"),
    ],
)
def test_tables_as_local_spreadsheets_save_them(tmp_path, text, encoding):
    lay(tmp_path, None, "1.png", "2.png")
    (tmp_path / "t.csv").write_bytes(text.encode(encoding))
    cases, skipped = read_rsna(tmp_path)
    assert skipped.empty
    assert cases[["case_id", "sex", "bone_age"]].to_numpy().tolist() == [["1", "M", 2.5], ["2", "F", 5.0]]


def test_a_word_that_tells_no_sex_is_not_called_a_code(tmp_path):
    text = "id,boneage,sex\n1,30,M\n2,60,unknown\n3,60,1\n4,60,FALSE\n"
    _, skipped = read_rsna(lay(tmp_path, text, *(f"{i}.png" for i in range(1, 5))))
    assert ["can mean either" in reason for reason in skipped["reason"]] == [False, True, True]
    assert "sex is 'unknown'; write" in skipped["reason"][0]
