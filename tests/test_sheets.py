"""Sheets of photos: boxes where they belong, every operator shown, a photo that is gone left out."""

import numpy as np
import pandas as pd

from boneage.errors import BoneAgeError
from boneage.operators import OPERATORS, parse_operators
from boneage.phantom import draw_hand
from boneage.preprocess import square
from boneage.sheets import SHOWN_OPERATORS, operator_sheet, suspicion_sheet, with_box


def test_a_box_is_drawn_where_it_is_and_nowhere_else():
    photo = np.full((200, 100), 90, np.uint8)
    drawn = with_box(photo, (0.5, 0.25, 0.3, 0.5))
    changed = np.argwhere(drawn != photo)
    assert np.abs(changed.min(axis=0) - (50, 50)).max() <= 3
    assert np.abs(changed.max(axis=0) - (150, 80)).max() <= 3
    assert {0, 255} <= set(np.unique(drawn))
    assert (photo == 90).all()


def test_every_operator_is_on_the_sheet_with_values_that_it_takes():
    shown = [operator for _, operator in SHOWN_OPERATORS if operator]
    assert {operator["name"] for operator in shown} == set(OPERATORS)
    photo = square(draw_hand(9.0, "F", 1, height=400).photo, 256)
    sheet = operator_sheet(photo)
    assert sheet.dtype == np.uint8
    assert sheet.shape[0] > 3 * 220
    assert sheet.shape[1] > 5 * 220
    parse_operators(str(shown).replace("'", '"'))


def test_the_front_of_the_queue_leaves_out_a_photo_that_is_gone():
    table = pd.DataFrame(
        {
            "case_id": ["gone", "a", "a", "b"],
            "kind": ["ring", "ring", "dark", "dark"],
            "score": [0.9, 0.8, 0.7, 0.6],
            "x": [0.1, 0.1, np.nan, np.nan],
            "y": [0.1, 0.1, np.nan, np.nan],
            "width": [0.2, 0.2, np.nan, np.nan],
            "height": [0.2, 0.2, np.nan, np.nan],
        }
    )
    read = []

    def read_photo(case_id):
        if case_id == "gone":
            raise BoneAgeError("gone.png: cannot be read")
        read.append(case_id)
        return np.full((64, 64), 50, np.uint8)

    sheet = suspicion_sheet(table, read_photo)
    assert read == ["a", "b"]
    assert sheet.max() == 255
    assert suspicion_sheet(table.iloc[:0], read_photo).size
    assert suspicion_sheet(table, read_photo, count=1).size
    assert read == ["a", "b", "a"]
