"""A hand is found and put right, and each is said; what is no hand is refused with the reason."""

import cv2
import numpy as np
import pytest

from boneage.anomalies.hand import find_hand
from boneage.estimate.estimating import Child, estimate_hands
from boneage.estimate.hands import SIDE, check_hands
from boneage.estimate.models import load_ensemble
from boneage.images.operators import rotated
from boneage.images.square import square
from boneage.phantom.drawing import draw_hand


@pytest.fixture(scope="module")
def hand():
    return draw_hand(10, "F", 3, height=900).image


def test_a_left_hand_is_left_as_it_is(hand):
    (found,) = check_hands(hand)
    assert not found.refusal
    assert found.changes == ()
    np.testing.assert_array_equal(found.image, square(hand, SIDE))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda image: image[:, ::-1].copy(), "a right hand"),
        (lambda image: 255 - image, "black on white"),
        (lambda image: rotated(square(image, SIDE), 70), "clockwise"),
    ],
)
def test_what_lies_wrong_is_put_right_and_said(hand, change, said):
    (found,) = check_hands(change(hand))
    assert [said in one for one in found.changes] == [True]
    seen = find_hand(found.image)
    assert seen.found
    assert not seen.inverted
    assert seen.thumb_side == "right"
    assert abs(seen.up_degrees) < 20


def test_two_hands_on_a_film_are_two(hand):
    both = np.hstack([hand, hand[:, ::-1]])
    left, right = check_hands(both)
    assert (left.place, right.place) == ("left of the film", "right of the film")
    assert left.changes == ()
    assert len(right.changes) == 1
    apart = np.abs(left.image.astype(float) - right.image).mean()
    assert apart < 5
    # As large as on a film of its own, or the networks take it for another.
    (alone,) = check_hands(hand)
    assert left.hand.palm == pytest.approx(alone.hand.palm, rel=0.05)
    assert right.hand.palm == pytest.approx(alone.hand.palm, rel=0.05)
    above, below = check_hands(np.vstack([hand, hand]))
    assert (above.place, below.place) == ("top of the film", "bottom of the film")
    # The cut lies midway between the hands, not where the films meet.
    assert above.hand.palm == pytest.approx(alone.hand.palm, rel=0.2)
    assert below.hand.palm == pytest.approx(alone.hand.palm, rel=0.2)


def on_larger_ground(image, wider, right=0.5, down=0.5):
    """In a picture larger by a factor; of what is added these shares lie at its right and below it."""
    height, width = image.shape
    more = round((wider - 1) * height), round((wider - 1) * width)
    top, left = round((1 - down) * more[0]), round((1 - right) * more[1])
    level = int(np.median(image[:, 0]))
    bars = (top, more[0] - top, left, more[1] - left)
    return cv2.copyMakeBorder(image, *bars, cv2.BORDER_CONSTANT, value=level)


def turned_by_30(image):
    height, width = image.shape
    turn = cv2.getRotationMatrix2D((width / 2, height / 2), 30, 1)
    return cv2.warpAffine(image, turn, (width, height), borderValue=int(image[0, 0]))


@pytest.mark.parametrize(
    "change",
    [
        lambda image: on_larger_ground(image, 1.6),
        lambda image: on_larger_ground(image, 2.2, right=0.1, down=0.9),
        lambda image: turned_by_30(on_larger_ground(image, 1.8)),
    ],
)
def test_a_hand_on_a_larger_ground_is_as_large_as_usual(hand, change):
    (alone,), (found,) = check_hands(hand), check_hands(change(hand))
    assert not found.refusal
    assert "small in the picture, so what lies around it was cut off" in found.changes
    seen = find_hand(found.image)
    rows = np.flatnonzero(seen.mask.any(axis=1))
    assert (rows[-1] - rows[0]) / len(seen.mask) == pytest.approx(0.8, abs=0.06)
    assert len(seen.fingers) == len(alone.hand.fingers)
    assert not [one for one in found.warnings if "cropped" in one]


@pytest.mark.real_data
@pytest.mark.slow
def test_a_larger_ground_hardly_moves_the_estimate_of_a_real_radiograph(real_data):
    ensemble, apart = load_ensemble(), []
    for path in sorted((real_data / "rsna" / "images").iterdir())[::60]:
        image = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
        hands = [check_hands(one)[0] for one in (image, on_larger_ground(image, 1.5))]
        alone, small = estimate_hands(hands, ensemble, [Child(), Child()])
        apart.append(abs(alone.bone_age - small.bone_age))
    # Without the cut it was 1.5 years.
    assert np.nanmean(apart) < 0.75


def noise():
    return np.random.default_rng(0).integers(0, 256, (600, 500), np.uint8)


def disc():
    return cv2.circle(np.full((600, 600), 10, np.uint8), (300, 300), 200, 200, -1)


def bars():
    image = np.full((700, 600), 10, np.uint8)
    for left in range(60, 600, 110):
        cv2.rectangle(image, (left, 80), (left + 50, 650), 200, -1)
    return image


@pytest.mark.parametrize("picture", [noise, disc, bars, lambda: np.zeros((90, 80), np.uint8)])
def test_what_is_no_hand_is_refused(picture):
    (found,) = check_hands(picture())
    assert "hand" in found.refusal


def test_a_hand_without_bones_is_refused(hand):
    (found,) = check_hands(cv2.GaussianBlur(hand, (0, 0), 25))
    assert found.refusal


def test_letters_are_blanked_in_what_is_shown_unless_told_otherwise(hand):
    image = square(hand, SIDE)
    cv2.putText(image, "SMITH JOHN 2009", (150, 40), cv2.FONT_HERSHEY_SIMPLEX, 0.8, 235, 2)
    written = slice(15, 50), slice(145, 400)
    (hidden,), (kept,) = check_hands(image), check_hands(image, show_letters=True)
    assert not hidden.refusal
    assert hidden.shown[written].max() < 150
    assert "burnt-in text blanked" in hidden.changes
    np.testing.assert_array_equal(kept.shown, kept.image)
