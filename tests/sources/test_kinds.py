"""A file is of the kind that its name says, or what is wrong with it is said with what to do."""

import io
import zipfile

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from boneage.sources.kinds import fault_of, page_in_words

TABLE = b"image_ID,patient_ID,sex,bone_age\na.png,8123,M,150\n"
COLUMNS = ("patient_ID", "sex", "bone_age")


def archive() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        file.writestr("1.png", b"1")
    return buffer.getvalue()


def picture(suffix: str) -> bytes:
    return cv2.imencode(suffix, np.zeros((8, 8), np.uint8))[1].tobytes()


@pytest.fixture
def fault(tmp_path):
    def find(name, data, *more):
        (tmp_path / "came").write_bytes(data)
        return fault_of(tmp_path / "came", name, *more)

    return find


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("la_dha.csv", TABLE),
        ("la_dha.csv", b"\xef\xbb\xbf" + TABLE.replace(b",", b";")),
        ("la_dha.csv", b"Patient ID,Sex,Bone Age\n8123,M,150\n"),
        ("atlas.zip", archive()),
        ("1.PNG", picture(".png")),
        ("1.jpg", picture(".jpg")),
        ("1.tiff", picture(".tiff")),
        ("1.bmp", picture(".bmp")),
        ("1.dcm", bytes(128) + b"DICM" + bytes(9)),
        ("data.bin", b"anything"),
        ("page.html", b"<html>wanted</html>"),
    ],
)
def test_what_is_of_its_kind_has_no_fault(fault, name, data):
    assert fault(name, data, COLUMNS if name.endswith(".csv") else ()) is None


PAGES = {
    "web page": b"<!DOCTYPE html><title>Not what you asked for</title>",
    "sign-in": b"\n <HTML><body>Welcome to the hospital's Wi-Fi. Accept the terms.",
    "too many downloads": b"<!-- x --><html>Sorry, you can't view or download this file: Quota exceeded",
    "virus scan": b"<html><title>Google Drive - Virus scan warning</title>Download anyway",
    "human visitor": b"<html>Checking your browser before accessing",
}


@pytest.mark.parametrize("name", ["la_dha.csv", "atlas.zip", "1.png", "1.dcm", "data.bin", "model.keras"])
@pytest.mark.parametrize("words", PAGES)
def test_a_page_in_a_files_place_is_told_by_what_it_says(fault, name, words):
    assert words in fault(name, PAGES[words])
    assert words in fault(name, b"\xff\xfe" + PAGES[words].decode().encode("utf-16-le"))


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        ("la_dha.csv", b"", "empty"),
        ("la_dha.csv", b"id,boneage,male\n1377,180,False\n", "column patient_ID, sex"),
        ("la_dha.csv", b'{"error": "rate limit"}', "another table"),
        ("la_dha.csv", b"patient_ID,sex,bone_age\n", "not a table with several columns"),
        ("la_dha.csv", archive(), "not a table"),
        ("la_dha.csv", TABLE[:-5], "its last row is cut off"),
        ("la_dha.csv", b"404: Not Found", "another table"),
        ("atlas.zip", b'<meta http-equiv="refresh" content="0;url=http://login.hotel/">', "sign-in"),
        ("atlas.zip", TABLE, "not an archive"),
        ("atlas.zip", b"7z\xbc\xaf\x27\x1c....", "a 7z archive, which is not supported"),
        ("1.png", picture(".jpg"), "does not begin like a .png"),
        ("1.dcm", b"version https://git-lfs.github.com/spec/v1", "not a DICOM"),
    ],
)
def test_what_is_of_another_kind_is_said(fault, name, data, words):
    assert words in fault(name, data, COLUMNS if name.endswith(".csv") else ())


def test_a_table_that_is_cut_off_is_known_by_its_rows(fault):
    whole = TABLE + b"b.png,8124,F,99\n"
    assert fault("la_dha.csv", whole, COLUMNS, 2) is None
    assert "has 1 rows, the manifest says 2" in fault("la_dha.csv", TABLE, COLUMNS, 2)


@given(st.binary(max_size=200), st.sampled_from(["a.csv", "a.zip", "a.png", "a.dcm", "a.bin", "a"]))
def test_any_bytes_have_an_answer_of_one_line(tmp_path_factory, data, name):
    path = tmp_path_factory.mktemp("kinds") / "came"
    path.write_bytes(data)
    found = fault_of(path, name)
    assert found is None or (found and "\n" not in found)


@given(st.binary(max_size=200).filter(lambda start: b"<" not in start))
def test_what_has_no_tag_is_no_page(start):
    assert page_in_words(start) is None
