"""The table of sexes and ages beside a folder of radiographs."""

import pytest

from boneage.core.errors import BoneAgeError
from boneage.estimate.children import read_children
from boneage.estimate.estimating import Child

FILES = ("a.png", "sub/b.png", "other/b.png", "0007.jpg")


def read(tmp_path, *rows, header="file,sex,age"):
    path = tmp_path / "children.csv"
    path.write_text("\n".join([header, *rows]))
    return read_children(path, FILES)


def test_a_file_is_named_whole_or_without_folder_and_ending(tmp_path):
    assert read(tmp_path, "a,F,9.5", "sub/b.png,m,", "0007,,3") == {
        "a.png": Child("F", 9.5),
        "sub/b.png": Child("M"),
        "0007.jpg": Child("", 3.0),
    }


def test_a_row_of_another_folder_is_of_another_radiograph(tmp_path):
    rows = ("clinic/a.png,M,3", "sub\\b.png,m,", "./other/b,F,7", "third/b.png,F,1")
    assert read(tmp_path, *rows) == {"sub/b.png": Child("M"), "other/b.png": Child("F", 7.0)}


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ("b.png,F,9", "'b.png': means sub/b.png and other/b.png; write the folder too"),
        ("a.png,X,9", "'a.png': sex: 'X' must be F or M"),
        ("a.png,F,nine", "'a.png': age: 'nine' must be a number"),
        ("a.png,F,114", "'a.png': age: 114 must be from 0 to"),
        ("a.png,F,nan", "'a.png': age: nan must be from 0 to"),
        ("c.png,F,9", "no row is of these radiographs; name them in `file` as here: a.png"),
        ("a,F,9\na.png,F,9", "'a.png': a.png has two rows; keep one"),
        ("../a.png,F,9", "no row is of these radiographs"),
    ],
)
def test_a_row_that_cannot_be_meant_is_named(tmp_path, row, words):
    with pytest.raises(BoneAgeError, match=r"children\.csv") as told:
        read(tmp_path, row)
    assert words in str(told.value)


def test_a_column_is_missing(tmp_path):
    with pytest.raises(BoneAgeError, match="column age is missing"):
        read(tmp_path, "a.png,F", header="file,sex")
