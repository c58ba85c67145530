"""The operators: what each does to an image, and how a faulty recipe is refused."""

import cv2
import numpy as np
import pytest

from boneage.core.errors import BoneAgeError
from boneage.images.operators import (
    OPERATORS,
    apply_operators,
    format_corrections,
    format_operators,
    operators_of_image,
    parse_corrections,
    parse_operators,
)

EVERY = [
    {"name": "blank", "x": 0.5, "y": 0.5, "width": 0.5, "height": 0.5},
    {"name": "invert"},
    {"name": "flip"},
    {"name": "rotate", "degrees": 7.5},
    {"name": "brightness", "levels": 20},
    {"name": "contrast", "factor": 1.2},
    {"name": "gamma", "power": 0.8},
    {"name": "clahe", "clip": 2.0},
    {"name": "sharpen", "amount": 0.5},
    {"name": "tint", "warmth": 0.4},
]


def an_image(seed: int = 0, side: int = 96) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(90, 50, (side, side)).astype(np.float32)
    return np.clip(cv2.GaussianBlur(noise, (0, 0), 3) * 2 - 90, 0, 255).astype(np.uint8)


@pytest.mark.parametrize("operator", EVERY, ids=lambda operator: operator["name"])
def test_every_operator_changes_the_image_and_leaves_its_input_alone(operator):
    image = an_image()
    kept = image.copy()
    made = apply_operators(image, [operator])
    assert made.dtype == np.uint8
    assert made.shape == image.shape
    assert not np.array_equal(made, image)
    assert np.array_equal(image, kept)
    assert parse_operators(format_operators([operator])) == [operator]


def test_every_operator_of_the_registry_is_tested():
    assert {operator["name"] for operator in EVERY} == set(OPERATORS)


def test_operators_do_what_their_names_say():
    image = an_image()
    assert np.array_equal(apply_operators(image, [{"name": "flip"}]), image[:, ::-1])
    assert np.array_equal(apply_operators(image, [{"name": "invert"}] * 2), image)
    blanked = apply_operators(image, EVERY[:1])
    # It goes over into what lies beside it.
    assert np.abs(blanked[50:, 47].astype(int) - blanked[50:, 48]).mean() < 20
    assert np.array_equal(blanked[:48], image[:48])
    assert np.array_equal(blanked[:, :48], image[:, :48])
    assert apply_operators(image, [{"name": "gamma", "power": 0.5}]).mean() > image.mean()
    quarter = apply_operators(image, [{"name": "rotate", "degrees": 90}])
    assert np.array_equal(quarter, np.rot90(image))


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


@pytest.mark.parametrize("level", [25, 200])
def test_contrast_turns_no_dark_image_black_and_no_bright_one_white(level):
    image = np.clip(an_image().astype(int) // 8 + level - 10, 0, 255).astype(np.uint8)
    made = apply_operators(image, [{"name": "contrast", "factor": 1.4}])
    assert abs(made.mean() - image.mean()) < 1
    assert made.std() == pytest.approx(1.4 * image.std(), rel=0.05)


def test_nothing_under_boxes_has_a_part_in_the_image():
    boxes = [
        {"name": "blank", "x": 0.0, "y": 0.0, "width": 1.0, "height": 0.3},
        {"name": "blank", "x": 0.0, "y": 0.0, "width": 0.4, "height": 1.0},
    ]
    image = an_image()
    other = image.copy()
    other[:28] = 0
    other[:, :38] = 255
    assert np.array_equal(apply_operators(image, boxes), apply_operators(other, boxes))
    everything = [{"name": "blank", "x": 0.0, "y": 0.0, "width": 1.0, "height": 1.0}]
    assert not apply_operators(image, everything).any()


def test_a_box_hides_the_same_wherever_it_stands_among_the_operators():
    image = an_image()
    image[60:80, 20:40] = 255
    box = {"name": "blank", "x": 20 / 96, "y": 60 / 96, "width": 20 / 96, "height": 20 / 96}
    others = [{"name": "flip"}, {"name": "rotate", "degrees": 90}]
    made = apply_operators(image, [*others, box])
    assert np.array_equal(made, apply_operators(image, [box, *others]))
    assert (made != 255).all()


@pytest.mark.parametrize("operators", [["flip"], "flip", [3], None, [None]])
def test_what_is_no_list_of_operators_is_refused(operators):
    with pytest.raises(BoneAgeError, match="operators: "):
        apply_operators(an_image(), operators)
    with pytest.raises(BoneAgeError, match="operators: "):
        format_operators(operators)


def test_corrections_stand_in_the_order_in_which_they_are_applied():
    said = [{"name": "gamma", "power": 0.5}, {"name": "rotate", "degrees": 90}, {"name": "flip"}, EVERY[0]]
    text = format_corrections(said)
    assert [one["name"] for one in parse_corrections(text)] == ["blank", "flip", "rotate", "gamma"]
    image = an_image()
    made = apply_operators(image, parse_corrections(text))
    mirrored = apply_operators(image, EVERY[:1])[:, ::-1]
    assert np.array_equal(made, apply_operators(np.rot90(mirrored).copy(), said[:1]))


@pytest.mark.parametrize(
    ("operators", "named"),
    [([{"name": "tint", "warmth": 1}], "not a correct"), ([{"name": "invert"}, {"name": "invert"}], "twice")],
)
def test_what_cannot_put_an_image_right_is_refused(operators, named):
    with pytest.raises(BoneAgeError, match=named):
        format_corrections(operators)


def test_an_image_is_made_of_boxes_then_corrections_then_augmentations():
    corrections = format_corrections([{"name": "gamma", "power": 0.5}])
    augmentations = format_operators([{"name": "flip"}, {"name": "rotate", "degrees": 5}])
    names = [one["name"] for one in operators_of_image(corrections, augmentations)]
    assert names == ["gamma", "flip", "rotate"]


def test_turned_the_background_goes_on_without_a_step():
    """A ramp of air, a bright forearm at its foot, a film's bright line along its left edge."""
    image = np.tile(np.linspace(20, 120, 232).astype(np.uint8), (232, 1))
    image[150:, 90:140] = 200
    image[:, 0] = 255
    for degrees in (15, -15):
        made = apply_operators(image, [{"name": "rotate", "degrees": degrees}]).astype(int)
        # No grey level of the foot or of the right edge differs by more than the forearm's own edges do.
        corner = made[:, -60:]
        assert np.abs(np.diff(corner[:60], axis=0)).max() <= 8
        assert made[-1].max() > 150, "the forearm goes on to the edge"
        assert (made == 255).sum() < 3 * 232, "the line is not drawn out into a corner"


def test_a_box_on_an_even_plate_leaves_no_square():
    image = np.full((96, 96), 10, np.uint8)
    image[10:90, 30:] = 120
    image[40:50, 60:70] = 255
    box = {"name": "blank", "x": 0.5, "y": 0.375, "width": 0.3, "height": 0.2}
    made = apply_operators(image, [box])
    assert np.abs(made[30:60, 40:80].astype(int) - 120).max() <= 1


def test_bars_that_made_an_image_square_are_not_turned_with_it():
    image = np.full((232, 232), 7, np.uint8)
    image[:, 40:192] = 90
    made = apply_operators(image, [{"name": "rotate", "degrees": 12}])
    assert (np.abs(made.astype(int) - 90) <= 1).all()
    quarter = apply_operators(image, [{"name": "rotate", "degrees": -90}])
    assert np.array_equal(quarter, np.rot90(image, -1))


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (9, 1), (2, 2), (3, 200), (201, 7)])
def test_every_operator_takes_any_size(shape):
    image = np.random.default_rng(1).integers(0, 256, shape, np.uint8)
    for operator in EVERY:
        assert apply_operators(image, [operator]).shape == shape
    assert apply_operators(np.full(shape, 9, np.uint8), EVERY[:4]).shape == shape
