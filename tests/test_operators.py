"""The operators: what each does to a photo, and how a faulty recipe is refused."""

import cv2
import numpy as np
import pytest

from boneage.errors import BoneAgeError
from boneage.operators import OPERATORS, apply_operators, format_operators, parse_operators

EVERY = [
    {"name": "blank", "x": 0.5, "y": 0.5, "width": 0.5, "height": 0.5},
    {"name": "invert"},
    {"name": "flip"},
    {"name": "rotate", "degrees": 7.5},
    {"name": "brightness", "shades": 20},
    {"name": "contrast", "factor": 1.2},
    {"name": "gamma", "power": 0.8},
    {"name": "clahe", "clip": 2.0},
    {"name": "sharpen", "amount": 0.5},
    {"name": "tint", "warmth": 0.4},
]


def a_photo(seed: int = 0, side: int = 96) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(90, 50, (side, side)).astype(np.float32)
    return np.clip(cv2.GaussianBlur(noise, (0, 0), 3) * 2 - 90, 0, 255).astype(np.uint8)


@pytest.mark.parametrize("operator", EVERY, ids=lambda operator: operator["name"])
def test_every_operator_changes_the_photo_and_leaves_its_input_alone(operator):
    photo = a_photo()
    kept = photo.copy()
    made = apply_operators(photo, [operator])
    assert made.dtype == np.uint8
    assert made.shape == photo.shape
    assert not np.array_equal(made, photo)
    assert np.array_equal(photo, kept)
    assert parse_operators(format_operators([operator])) == [operator]


def test_every_operator_of_the_registry_is_tested():
    assert {operator["name"] for operator in EVERY} == set(OPERATORS)


def test_operators_do_what_their_names_say():
    photo = a_photo()
    assert np.array_equal(apply_operators(photo, [{"name": "flip"}]), photo[:, ::-1])
    assert np.array_equal(apply_operators(photo, [{"name": "invert"}] * 2), photo)
    assert (apply_operators(photo, EVERY[:1])[48:, 48:] == 0).all()
    assert apply_operators(photo, [{"name": "gamma", "power": 0.5}]).mean() > photo.mean()
    quarter = apply_operators(photo, [{"name": "rotate", "degrees": 90}])
    assert np.array_equal(quarter, np.rot90(photo))


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("[{", "not JSON"),
        ("", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ('{"name": "flip"}', "list"),
        ("[3]", "name"),
        ('[{"name": "swirl"}]', "swirl"),
        ('[{"name": "rotate"}]', "degrees"),
        ('[{"name": "flip", "degrees": 1}]', "flip"),
        ('[{"name": "rotate", "degrees": "5"}]', "degrees"),
        ('[{"name": "rotate", "degrees": true}]', "degrees"),
        ('[{"name": "rotate", "degrees": NaN}]', "degrees"),
        ('[{"name": "gamma", "power": 99}]', "power"),
    ],
)
def test_a_faulty_recipe_is_refused_in_one_line(text, named):
    with pytest.raises(BoneAgeError, match=named) as caught:
        parse_operators(text)
    assert "\n" not in str(caught.value)
