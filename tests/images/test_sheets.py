"""Sheets of images: boxes where they belong, every operator shown, an image that is gone left out."""

import cv2
import numpy as np
import pandas as pd
import pytest

from boneage.core.errors import BoneAgeError
from boneage.images.operators import OPERATORS, parse_operators
from boneage.images.sheets import (
    SHOWN_OPERATORS,
    anomaly_sheet,
    copies_sheet,
    operator_sheet,
    sheet_of,
    with_box,
    words_of,
)
from boneage.images.square import square
from boneage.phantom.drawing import draw_hand


def test_a_box_is_drawn_where_it_is_and_nowhere_else():
    image = np.full((200, 100), 90, np.uint8)
    drawn = with_box(image, (0.5, 0.25, 0.3, 0.5))
    changed = np.argwhere(drawn != image)
    assert np.abs(changed.min(axis=0) - (50, 50)).max() <= 3
    assert np.abs(changed.max(axis=0) - (150, 80)).max() <= 3
    assert {0, 255} <= set(np.unique(drawn))
    assert (image == 90).all()


def test_every_operator_is_on_the_sheet_with_values_that_it_takes():
    shown = [operator for _, operator in SHOWN_OPERATORS if operator]
    assert {operator["name"] for operator in shown} == set(OPERATORS)
    image = square(draw_hand(9.0, "F", 1, height=400).image, 256)
    sheet = operator_sheet(image)
    assert sheet.pixels.dtype == np.uint8
    assert sheet.pixels.shape[0] > 3 * 180
    assert sheet.pixels.shape[1] > 5 * 180
    assert all(caption in sheet.words for caption, _ in SHOWN_OPERATORS)
    parse_operators(str(shown).replace("'", '"'))


def test_the_front_of_the_queue_leaves_out_an_image_that_is_gone():
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

    def read_image(case_id):
        if case_id == "gone":
            raise BoneAgeError("gone.png: cannot be read")
        read.append(case_id)
        return np.full((64, 64), 50, np.uint8)

    sheet = anomaly_sheet(table, read_image)
    assert read == ["a", "b"]
    assert sheet.pixels.max() == 255
    assert "a, ring 0.80; b, dark 0.60" in sheet.words
    assert anomaly_sheet(table.iloc[:0], read_image).pixels.size
    assert anomaly_sheet(table, read_image, count=1).pixels.size
    assert read == ["a", "b", "a"]


def test_copies_say_which_operators_made_them(tmp_path):
    for name in ("a", "a_1"):
        cv2.imwrite(str(tmp_path / f"{name}.png"), np.full((32, 32), 90, np.uint8))
    operators = '[{"name": "rotate", "degrees": -8}, {"name": "flip"}]'
    assert words_of(operators) == ["rotate −8", "flip"]
    sheet = copies_sheet(iter([("a", "[]"), ("a_1", operators), ("gone", "[]")]), tmp_path, count=2)
    assert sheet.words == "A case and its augmented copies. original; rotate −8, flip."
    with pytest.raises(BoneAgeError, match="gone"):
        copies_sheet([("gone", "[]")], tmp_path)


def test_a_sheet_with_a_colour_in_it_has_colours_and_one_of_few_images_no_empty_room():
    grey, coloured = np.full((32, 32), 80, np.uint8), np.zeros((32, 32, 3), np.uint8)
    coloured[..., 0] = 200
    assert sheet_of([("a", grey)] * 2, "Two", thumb=64).pixels.ndim == 2
    sheet = sheet_of([("a", grey), ("b\nsecond line", coloured)], "Two", columns=4, thumb=64).pixels
    assert sheet.shape[2] == 3
    assert sheet.shape[1] < 3 * 64
    assert (sheet == (200, 0, 0)).all(axis=2).sum() == 64 * 64


def test_a_minus_is_drawn_as_one():
    image = np.zeros((64, 64), np.uint8)
    minus, hyphen = (sheet_of([(f"{sign}3.4 years", image)], "One").pixels for sign in "−-")
    np.testing.assert_array_equal(minus, hyphen)
