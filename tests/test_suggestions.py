"""What suits an image, from its own exposure and pose."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from boneage import suggestions
from boneage.augmentations import DRAWN, NEUTRAL
from boneage.operators import apply_operators
from boneage.suggestions import suggest_augmentations


def a_hand(shade: int, left: int = 70, top: int = 50, askew: float = 0, detail: int = 60) -> np.ndarray:
    """A bright bar up from the lower edge on a dark ground, with stripes in it; uint8, (232, 232)."""
    photo = np.full((232, 232), 10, np.uint8)
    photo[top:, left : 232 - left] = shade
    for stripe in range(left, 232 - left, 12):
        photo[top:, stripe : stripe + 4] = min(255, shade + detail)
    turn = cv2.getRotationMatrix2D((116, 150), askew, 1.0)
    return cv2.warpAffine(photo, turn, (232, 232), borderValue=10)


def test_suggestions_follow_the_exposure():
    dark, medium, bright = (suggest_augmentations(a_hand(shade)) for shade in (45, 100, 160))
    assert {"brighten", "gamma lighter"} <= set(dark)
    assert not {"darken", "gamma darker"} & set(dark)
    assert {"brighten", "gamma lighter", "darken", "gamma darker"} <= set(medium)
    assert {"darken", "gamma darker"} <= set(bright)
    assert not {"brighten", "gamma lighter"} & set(bright)
    assert "flip" not in suggest_augmentations(a_hand(100), laterality_matters=True)
    # Bones that are nearly white already would be cut off.
    assert "brighten" not in suggest_augmentations(a_hand(100, detail=140))


def test_a_flat_photo_gets_contrast_and_never_less_of_it():
    flat, clear = suggest_augmentations(a_hand(40, detail=20)), suggest_augmentations(a_hand(40, detail=120))
    assert {"clahe", "contrast up"} <= set(flat)
    assert "contrast" not in flat
    assert "contrast" in clear
    assert not {"clahe", "contrast up"} & set(clear)


def test_suggestions_follow_the_pose():
    def turned(photo: np.ndarray) -> str:
        (name,) = {"rotate", "tilt"} & set(suggest_augmentations(photo))
        return name

    assert turned(a_hand(100)) == "rotate"
    # It fills the square to its edges, or lies askew already.
    assert turned(a_hand(100, left=10, top=5)) == "tilt"
    assert turned(a_hand(100, left=90, top=80, askew=20)) == "tilt"
    assert turned(a_hand(100, left=90, top=80, askew=-20)) == "tilt"
    assert turned(a_hand(100, left=90, top=80, askew=8)) == "rotate"


@pytest.mark.parametrize("shade", [0, 10, 255])
def test_a_photo_of_nothing_gets_suggestions_too(shade):
    assert suggest_augmentations(np.full((64, 64), shade, np.uint8))


@settings(deadline=None, max_examples=60)
@given(shade=st.integers(15, 250), detail=st.integers(0, 150))
def test_a_suggested_change_of_exposure_keeps_the_hand_in_the_range_of_real_ones(shade, detail):
    photo = a_hand(shade, detail=detail)
    hand = photo > 10
    least, most = suggestions._MIDDLE_SHADES
    before = np.median(photo[hand])
    for name in suggest_augmentations(photo):
        operator, values = DRAWN[name]
        if operator in ("brightness", "gamma"):
            for value in (values[0], values[-1]):
                recipe = [{"name": operator, NEUTRAL[operator][0]: value}]
                after = np.median(apply_operators(photo, recipe)[hand])
                assert min(least, before) - 2 <= after <= max(most, before) + 2
