"""What a stage left out is said where a person sees it: how many, and the commonest reason."""

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from boneage.core.left_out import in_words, leave_out
from boneage.core.tables import SKIPPED_TABLE, read_table, skipped_table


def test_reasons_that_differ_in_what_they_quote_are_one_and_the_first_speaks_for_all():
    ages = [(str(months), f"Bone Age {months} is outside 0 to 20 years") for months in (142, 93.5, "1,200")]
    sexes = [("9", "Male 'FALSCH' must be TRUE or FALSE"), ("8", "Male 'it's a boy' must be TRUE or FALSE")]
    assert in_words(skipped_table(sexes + ages), 60) == "5 of 60 (3: Bone Age 142 is outside 0 to 20 years)"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (
            "label without an image: /data/a b/12.png: not a picture",
            "label without an image: /x/9.png: not a picture",
        ),
        ("the same file as case ASIF05_5260", "the same file as case HISM12_7185"),
        ("手.png: not a picture", "hand.png: not a picture"),
        ("Bone Age -1 is outside 0 to 20 years", "Bone Age nan is outside 0 to 20 years"),
        ("no image 0012.png in images/; run preprocess", "no image 7.png in augmented/; run preprocess"),
        ('race "Martian" must be one of these', 'race "" must be one of these'),
    ],
)
def test_what_is_quoted_is_no_reason_of_its_own(one, other):
    assert in_words(skipped_table([("a", one), ("b", other)]), 2).startswith("2 of 2 (2: ")


def test_no_name_of_a_file_reaches_the_terminal_as_a_command(tmp_path, capsys):
    leave_out(tmp_path / "skipped.csv", skipped_table([("a", "a\x1b[2J\nb.png: not a picture")]), 1)
    assert capsys.readouterr().out.startswith("left out: 1 of 2 (1: a\\x1b[2J\\nb.png: not a picture); each")


def test_different_reasons_stay_apart():
    reasons = ["the atlas folder's year is missing", "the Source ID is empty", "the Source ID is empty"]
    assert in_words(skipped_table(enumerate(reasons)), 9) == "3 of 9 (2: the Source ID is empty)"


def test_nothing_left_out_says_nothing_and_writes_an_empty_table(tmp_path, capsys):
    leave_out(tmp_path / "skipped-labels.csv", skipped_table([]), 60)
    assert capsys.readouterr().out == ""
    assert read_table(tmp_path / "skipped-labels.csv", SKIPPED_TABLE).empty


def test_a_remark_on_a_row_that_was_kept_is_no_loss(tmp_path, capsys):
    path = tmp_path / "skipped-cases.csv"
    skipped = skipped_table([("7", "no reading; empty"), ("8", "no reading; empty"), ("x", "not an image")])
    leave_out(path, skipped, 3, noted=["6", "7", "8"])
    assert capsys.readouterr().out.splitlines() == [
        f"left out: 1 of 4 (1: not an image); each with its reason in {path}",
        f"kept, but with a remark: 2 of 3 (2: no reading; empty); each in {path}",
    ]


@given(st.lists(st.tuples(st.text(), st.text()), min_size=1), st.integers(0, 50))
def test_any_reasons_are_counted_whole_and_the_example_is_one_of_them(rows, kept):
    said = in_words(skipped_table(rows), kept + len(rows))
    assert said.startswith(f"{len(rows)} of {kept + len(rows)} (")
    count, example = said.split(" (", 1)[1][:-1].split(": ", 1)
    assert 1 <= int(count) <= len(rows)
    assert example in pd.DataFrame(rows)[1].tolist()


def test_several_remarks_on_one_item_count_once(tmp_path, capsys):
    path = tmp_path / "skipped-cases.csv"
    rows = skipped_table([("1", "no reading"), ("1", "far from its age"), ("2", "no reading")])
    leave_out(path, rows, 2, noted=["1", "2"])
    assert capsys.readouterr().out == f"kept, but with a remark: 2 of 2 (2: no reading); each in {path}\n"
