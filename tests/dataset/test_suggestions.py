"""What suits an image, from its own exposure and pose."""

import cv2
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from boneage.anomalies import ANOMALY_TABLE, image_anomalies
from boneage.anomalies.hand import find_hand
from boneage.anomalies.markers import has_letters
from boneage.core.errors import BoneAgeError
from boneage.dataset import suggestions
from boneage.dataset.plan import balanced_plan
from boneage.dataset.suggestions import (
    hand_levels,
    mirrored_letters,
    suggest_augmentations,
    suggest_corrections,
)
from boneage.images.augmentations import DRAWN, NEUTRAL, drawn_by_name, format_augmentations
from boneage.images.operators import apply_operators, format_corrections
from boneage.images.square import square
from boneage.phantom.drawing import draw_hand

FLIP = {"name": "flip"}


def a_hand(level: int, left: int = 70, top: int = 50, askew: float = 0, detail: int = 60) -> np.ndarray:
    """A bright bar up from the lower edge on a dark ground, with stripes in it; uint8, (232, 232)."""
    image = np.full((232, 232), 10, np.uint8)
    image[top:, left : 232 - left] = level
    for stripe in range(left, 232 - left, 12):
        image[top:, stripe : stripe + 4] = min(255, level + detail)
    turn = cv2.getRotationMatrix2D((116, 150), askew, 1.0)
    return cv2.warpAffine(image, turn, (232, 232), borderValue=10)


def test_suggestions_follow_the_exposure():
    dark, medium, bright = (suggest_augmentations(a_hand(level)) for level in (45, 100, 160))
    assert {"brighten", "gamma lighter"} <= set(dark)
    assert not {"darken", "gamma darker"} & set(dark)
    assert {"brighten", "gamma lighter", "darken", "gamma darker"} <= set(medium)
    assert {"darken", "gamma darker"} <= set(bright)
    assert not {"brighten", "gamma lighter"} & set(bright)
    assert "flip" not in suggest_augmentations(a_hand(100), laterality_matters=True)
    # Bones that are nearly white already would be cut off.
    assert "brighten" not in suggest_augmentations(a_hand(100, detail=140))


def test_a_flat_image_gets_contrast_and_never_less_of_it():
    flat, clear = suggest_augmentations(a_hand(40, detail=20)), suggest_augmentations(a_hand(40, detail=120))
    assert {"clahe", "contrast up"} <= set(flat)
    assert "contrast" not in flat
    assert "contrast" in clear
    assert not {"clahe", "contrast up"} & set(clear)


def test_suggestions_follow_the_pose():
    def turned(image: np.ndarray) -> str:
        (name,) = {"rotate", "tilt"} & set(suggest_augmentations(image))
        return name

    assert turned(a_hand(100)) == "rotate"
    # It fills the square to its edges, or lies askew already.
    assert turned(a_hand(100, left=10, top=5)) == "tilt"
    assert turned(a_hand(100, left=90, top=80, askew=20)) == "tilt"
    assert turned(a_hand(100, left=90, top=80, askew=-20)) == "tilt"
    assert turned(a_hand(100, left=90, top=80, askew=8)) == "rotate"


@pytest.mark.parametrize("level", [0, 10, 255])
def test_an_image_of_nothing_gets_suggestions_too(level):
    assert suggest_augmentations(np.full((64, 64), level, np.uint8))


@settings(deadline=None, max_examples=60)
@given(level=st.integers(15, 250), detail=st.integers(0, 150))
def test_a_suggested_change_of_exposure_keeps_the_hand_in_the_range_of_real_ones(level, detail):
    image = a_hand(level, detail=detail)
    hand = image > 10
    least, most = suggestions._MIDDLE_LEVELS
    before = np.median(image[hand])
    for name in suggest_augmentations(image):
        operator, values = DRAWN[name]
        if operator in ("brightness", "gamma"):
            for value in (values[0], values[-1]):
                recipe = [{"name": operator, NEUTRAL[operator][0]: value}]
                after = np.median(apply_operators(image, recipe)[hand])
                assert min(least, before) - 2 <= after <= max(most, before) + 2


def flagged(*rows: tuple) -> pd.DataFrame:
    """Anomalies of one case: kind, score and what was measured."""
    table = pd.DataFrame(rows, columns=["kind", "score", "measured"])
    return table.assign(case_id="a").reindex(columns=list(ANOMALY_TABLE))


@pytest.mark.parametrize(
    ("rows", "chosen"),
    [
        ([], []),
        ([("tilted scan", 0.9, -9.4)], [{"name": "rotate", "degrees": -9.4}]),
        ([("tilted scan", 0.4, -9.4)], []),
        ([("rotated", 1.0, 178.0)], [{"name": "rotate", "degrees": 178.0}]),
        # The hand is what must stand upright, not the plate below it.
        ([("rotated", 0.7, 31.0), ("tilted scan", 0.9, 12.0)], [{"name": "rotate", "degrees": 31.0}]),
        ([("rotated", 0.1, 13.0), ("tilted scan", 0.9, 12.0)], [{"name": "rotate", "degrees": 12.0}]),
        ([("tilted scan", 0.9, 39.0)], []),
        ([("tilted scan", 0.9, np.nan)], []),
        # Mirrored, it leans to the other side.
        ([("right hand", 0.8, np.nan), ("rotated", 0.7, 30.0)], [FLIP, {"name": "rotate", "degrees": -30.0}]),
        ([("right hand", 0.4, np.nan)], []),
    ],
)
def test_what_was_measured_is_what_puts_an_image_right(rows, chosen):
    assert suggest_corrections(a_hand(100), flagged(*rows)) == chosen


@settings(deadline=None, max_examples=40)
@given(level=st.integers(14, 250), detail=st.integers(1, 150))
def test_a_dark_or_flat_hand_is_carried_into_the_range_of_real_ones(level, detail):
    image = a_hand(level, detail=detail)
    kinds = flagged(("dark", 1.0, np.nan), ("low contrast", 1.0, np.nan))
    made = apply_operators(image, suggest_corrections(image, kinds))
    least, most = suggestions._MIDDLE_LEVELS
    assert least - 2 <= hand_levels(made)[1] <= most + 2


def test_a_turned_hand_is_put_upright_by_what_is_measured_on_it():
    hand = square(draw_hand(9.0, "F", 10, height=928).image, 464)
    for degrees in (-60, 45, 170):
        turned = apply_operators(hand, [{"name": "rotate", "degrees": degrees}])
        found = [(one.kind, one.score, one.measured) for one in image_anomalies(turned)]
        turns = [one for one in suggest_corrections(turned, flagged(*found)) if one["name"] == "rotate"]
        upright = find_hand(apply_operators(turned, turns)).up_degrees
        assert abs(upright) < 10


def test_letters_are_blanked_where_the_hand_is_mirrored_and_no_copy_mirrors_them():
    hand = square(draw_hand(9.0, "F", 10, height=928).image, 928)
    assert has_letters(hand)
    assert "flip" not in suggest_augmentations(hand)
    chosen = suggest_corrections(hand, flagged(("right hand", 0.9, np.nan)))
    assert [one["name"] for one in chosen][-1] == "flip"
    assert not has_letters(apply_operators(hand, chosen))
    assert "flip" in suggest_augmentations(apply_operators(hand, chosen))
    # No bone is hidden.
    hidden = apply_operators(hand, chosen[:-1]) != hand
    mask = cv2.resize(find_hand(hand).mask.astype(np.uint8), hidden.shape) > 0
    assert not (hidden & mask).any()


def test_a_mirrored_image_that_shows_its_letters_is_told(tmp_path):
    hand = square(draw_hand(9.0, "F", 10, height=928).image, 928)
    cv2.imwrite(str(tmp_path / "a.png"), hand)
    cv2.imwrite(str(tmp_path / "b.png"), hand)
    boxes = suggest_corrections(hand, flagged(("right hand", 0.9, np.nan)))
    corrections = {
        "a": format_corrections([FLIP]),
        "b": format_corrections(boxes),
        "gone": '[{"name": "flip"}]',
    }
    assert mirrored_letters(corrections, tmp_path) == ["a"]


@settings(deadline=None, max_examples=40)
@given(level=st.integers(15, 250), detail=st.integers(0, 150), askew=st.integers(-30, 30))
def test_a_suggestion_taken_allows_as_many_copies_as_none(level, detail, askew):
    names = suggest_augmentations(a_hand(level, detail=detail, askew=askew))
    cases = pd.DataFrame(
        {"case_id": ["a", "b"], "year": 3, "sex": "F", "race": "Asian", "split": "train"}
    ).assign(augmentations=["", format_augmentations(names)])
    allowed = {"a": names, "b": names}
    most = []
    for _, case in cases.groupby("case_id"):
        with pytest.raises(BoneAgeError, match="different") as refused:
            balanced_plan(case, 10**9, allowed)
        most.append(int(str(refused.value).split(" different")[0].rsplit(" ", 1)[1]))
    assert most[1] >= most[0] > 30
    # A turn is suggested to both sides.
    turns = {one["degrees"] for name in names for one in drawn_by_name(name) if one["name"] == "rotate"}
    assert turns == {-degrees for degrees in turns}
