"""Tables are read with anomaly and written without harm."""

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from boneage.core.errors import BoneAgeError
from boneage.core.tables import CASE_TABLE, is_safe_id, read_cases, read_table, write_table


def written(path, text, encoding="utf-8"):
    path.write_bytes(text.encode(encoding))
    return path


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("id,age\n1,2\n", "utf-8"),
        ("id,age\n1,2\n", "utf-8-sig"),
        ("id;age\r\n1;2\r\n", "utf-8"),
        ("id\tage\n1\t2", "utf-8-sig"),
        (" id , age \n 1 , 2 \n", "utf-8"),
    ],
)
def test_byte_order_marks_semicolons_and_spaces_are_understood(tmp_path, text, encoding):
    table = read_table(written(tmp_path / "a.csv", text, encoding), ("id", "age"))
    assert table.to_dict("records") == [{"id": "1", "age": "2"}]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "empty"),
        ("\n", "empty"),
        ("id\n1\n", "column age is missing"),
        ("id,age\n1,2,3,4\n", "not a table"),
        ("id,age, age\n1,2,3\n", "column age is there twice"),
        ('id,age\n"1,2\n', "not a table"),
        ("id,age" + ",c" * 100_000, "more than 1000 columns"),
        ("id,age\n1," + "9" * 2**21, "line of over a million"),
    ],
)
def test_what_is_no_such_table_is_refused_by_name(tmp_path, text, words):
    with pytest.raises(BoneAgeError, match=words) as caught:
        read_table(written(tmp_path / "a.csv", text), ("id", "age"))
    assert "a.csv" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_bytes_that_are_no_text_are_refused(tmp_path):
    (tmp_path / "a.csv").write_bytes(b"\x89PNG\xff\xfe\x00")
    with pytest.raises(BoneAgeError, match="not UTF-8"):
        read_table(tmp_path / "a.csv", ("id",))


def test_an_absent_file_or_a_folder_is_said(tmp_path):
    with pytest.raises(BoneAgeError, match="check the path"):
        read_table(tmp_path / "absent.csv", ("id",))
    with pytest.raises(BoneAgeError, match="check the path"):
        read_table(tmp_path, ("id",))


def test_a_formula_is_defused_and_numbers_are_not(tmp_path):
    table = pd.DataFrame({"item": ["=1+1", "@x", "fine"], "error": [-1.5, 2.0, 0.0]})
    lines = write_table(tmp_path / "a.csv", table).read_text().splitlines()
    assert lines == ["item,error", "'=1+1,-1.5", "'@x,2.0", "fine,0.0"]


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠"])
def test_no_cell_and_no_column_begins_as_a_formula_does(start, tmp_path):
    frame = pd.DataFrame({f"{start}name": [f"{start}HYPERLINK(1)"]})
    text = write_table(tmp_path / "a.csv", frame).read_text(encoding="utf-8").replace('"', "")
    assert text.startswith(f"'{start}name\n'{start}HYPERLINK(1)".replace("\r", "\n")[:3])
    assert f"\n'{start}HYPERLINK".replace("\r", "\n") in text


@settings(deadline=None)
@given(st.lists(st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"])), min_size=1))
def test_any_text_survives_unless_it_is_a_formula(tmp_path_factory, texts):
    path = tmp_path_factory.mktemp("tables") / "a.csv"
    write_table(path, pd.DataFrame({"number": range(len(texts)), "text": texts}))
    back = read_table(path, ("number", "text"))["text"].tolist()
    expected = [
        f"'{text}" if text.startswith(("=", "+", "-", "@", "＝", "＋", "－", "＠")) else text
        for text in texts
    ]
    assert back == expected


@pytest.mark.parametrize("text", ["3145", "phantom-0001", "a_b", "A" * 64])
def test_safe_ids(text):
    assert is_safe_id(text)


@pytest.mark.parametrize("text", ["", "../x", "a/b", "a.png", "-rf", "=1", "A" * 65, "a b", "é", None, 3145])
def test_ids_that_cannot_name_a_file(text):
    assert not is_safe_id(text)


def test_a_case_table_comes_back_with_its_faults_named(tmp_path):
    header = ",".join(CASE_TABLE)
    rows = [
        "1,a.png,dha,F,Asian,7,7.5,7,8",
        "1,b.png,dha,F,Asian,7,7.5,7,8",
        "../2,c.png,dha,F,Asian,7,,,",
        "3,d.png,dha,F,Asian,7,-1,,",
        "4,e.png,dha,F,Asian,7,300,,",
        "5,f.png,dha,F,Asian,seven,7,,",
        "6,g.png,dha,F,Asian,7.5,7,,",
        "7,h.png,rsna,M,Unknown,,10.25,,",
    ]
    cases, skipped = read_cases(written(tmp_path / "cases.csv", "\n".join([header, *rows])))
    assert cases["case_id"].tolist() == ["1", "7"]
    assert cases["bone_age"].tolist() == [7.5, 10.25]
    assert cases["age_group"].isna().tolist() == [False, True]
    assert skipped["item"].tolist() == ["1", "../2", "3", "4", "5", "6"]
    assert all(skipped["reason"])


def test_where_semicolons_separate_a_number_may_have_a_decimal_comma(tmp_path):
    header = ";".join(CASE_TABLE)
    path = written(tmp_path / "cases.csv", f"{header}\n1;a,1.png;dha;F;Asian;7;7,25;7,0;7,5\n")
    cases, skipped = read_cases(path)
    assert skipped.empty
    assert cases.loc[0, ["image", "bone_age", "reading_1", "reading_2"]].tolist() == [
        "a,1.png",
        7.25,
        7.0,
        7.5,
    ]


def test_a_table_too_large_to_be_read_again_is_not_written(tmp_path, monkeypatch):
    monkeypatch.setattr("boneage.core.tables.LARGEST_TABLE_BYTES", 100)
    path = write_table(tmp_path / "a.csv", pd.DataFrame({"id": ["a"] * 10}))
    before = path.read_bytes()
    with pytest.raises(BoneAgeError, match="lower the total"):
        write_table(path, pd.DataFrame({"id": ["a"] * 100}))
    assert path.read_bytes() == before


def test_half_an_emoji_is_written_in_words(tmp_path):
    path = write_table(tmp_path / "a.csv", pd.DataFrame({"note": ["x \ud83d"]}))
    assert path.read_bytes() == b"note\nx \\ud83d\n"


def test_rows_of_separators_alone_are_no_rows(tmp_path):
    (tmp_path / "labels.csv").write_text("a;b\n1;2\n;\n3;\n; \n;\n")
    table = read_table(tmp_path / "labels.csv", ("a", "b"))
    assert table.to_numpy().tolist() == [["1", "2"], ["3", ""]]
    assert table.index.tolist() == [0, 1]
