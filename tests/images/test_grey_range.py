"""Sixteen bits become eight so that the hand has all the grey levels, whatever else is in the picture."""

import cv2
import numpy as np
import pytest
from image_files import a_hand

from boneage.images.grey_range import grey_range, to_uint8


def a_deep_hand(bits: int, offset: int = 0) -> np.ndarray:
    """A bright oval on noise, (300, 250), that uses so many bits above the offset."""
    rows, columns = np.mgrid[-1:1:300j, -1:1:250j]
    inside = np.clip(1 - rows**2 / 0.6 - columns**2 / 0.5, 0, 1)
    noise = np.random.default_rng(3).normal(0, 0.01, inside.shape)
    shares = 0.05 + 0.85 * np.sqrt(inside) + noise
    return (np.clip(shares, 0, 1) * (2**bits - 1) + offset).astype(np.uint16)


def marked(image: np.ndarray, value: int, where: str, soft: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """An image with a letter, a rim or a corner of one value; and where it is still itself."""
    mark = np.zeros(image.shape, np.uint8)
    if where == "letter":
        cv2.putText(mark, "L", (10, 60), 0, 2, 255, 6)
    elif where == "rim":
        mark[:30] = mark[-30:] = 255
        mark[:, :20] = mark[:, -20:] = 255
    else:
        mark[:40, :40] = 255
    share = mark / 255.0
    if soft:
        share = cv2.GaussianBlur(share, (0, 0), 0.7)
    return np.rint(image * (1 - share) + value * share).astype(np.uint16), share == 0


def uses_all_levels(image: np.ndarray, where: np.ndarray) -> bool:
    low, high = np.percentile(to_uint8(image)[where], [0.5, 99.5])
    return bool(low < 25 and high > 225)


class TestMarksAndPadding:
    @pytest.mark.parametrize("soft", [False, True])
    @pytest.mark.parametrize("where", ["letter", "rim", "corner"])
    @pytest.mark.parametrize(("bits", "value"), [(12, 65535), (10, 4095), (10, 65535), (14, 65535)])
    def test_a_mark_does_not_set_the_range(self, bits: int, value: int, where: str, soft: bool) -> None:
        image, itself = marked(a_deep_hand(bits), value, where, soft)
        assert uses_all_levels(image, itself)

    def test_neither_does_padding_of_zero_nor_both(self) -> None:
        image, without_rim = marked(a_deep_hand(12, 30_000), 0, "rim")
        assert uses_all_levels(image, without_rim)
        image, without_letter = marked(image, 65535, "letter")
        assert uses_all_levels(image, without_rim & without_letter)

    @pytest.mark.parametrize("bits", [10, 12, 16])
    def test_an_image_without_a_mark_keeps_its_robust_range(self, bits: int) -> None:
        image = a_deep_hand(bits)
        assert grey_range(image) == tuple(np.quantile(image, [0.001, 0.999], method="nearest"))

    def test_a_small_bright_hand_is_no_mark(self) -> None:
        image = np.random.default_rng(1).normal(100, 10, (400, 400))
        image += 3500 * cv2.GaussianBlur(np.pad(np.ones((60, 40)), ((170, 170), (180, 180))), (0, 0), 9)
        hand = to_uint8(image.astype(np.uint16))[170:230, 180:220]
        assert len(np.unique(hand)) > 100
        assert np.mean(hand == 255) < 0.2

    def test_what_is_not_shown_is_black_and_sets_no_range(self) -> None:
        image, itself = marked(a_deep_hand(12), 9000, "rim")
        levels = to_uint8(image, itself)
        assert (levels[~itself] == 0).all()
        low, high = np.percentile(levels[itself], [0.5, 99.5])
        assert low < 25
        assert high > 225

    @pytest.mark.parametrize("value", [np.nan, 7.0, 0.0])
    def test_numbers_that_show_nothing_stay_one_level(self, value: float) -> None:
        assert len(np.unique(to_uint8(np.full((40, 40), value)))) == 1


class TestToUint8:
    def test_8_bit_is_left_alone(self) -> None:
        assert (to_uint8(a_hand()) == a_hand()).all()

    @pytest.mark.parametrize("bits", [10, 12, 14, 16])
    def test_what_the_detector_wrote_fills_the_range_without_bands(self, bits: int) -> None:
        ramp = np.linspace(0, 2**bits - 1, 300 * 300).astype(np.uint16).reshape(300, 300)
        image = to_uint8(ramp)
        assert (image.min(), image.max()) == (0, 255)
        assert len(np.unique(image)) == 256
        assert (np.diff(image.ravel().astype(int)) >= 0).all()

    def test_a_few_hot_and_dead_pixels_do_not_set_the_range(self) -> None:
        deep = np.random.default_rng(1).integers(1000, 3000, (200, 200)).astype(np.uint16)
        deep[0, :10], deep[1, :10] = 65535, 0
        assert to_uint8(deep)[2:].std() > 60

    @pytest.mark.parametrize("value", [0, 4095, 65535])
    def test_a_constant_image_stays_constant(self, value: int) -> None:
        assert len(np.unique(to_uint8(np.full((40, 40), value, np.uint16)))) == 1

    def test_a_nearly_constant_image_keeps_what_it_shows(self) -> None:
        deep = np.full((200, 200), 5000, np.uint16)
        deep[3, 3] = 6000
        assert to_uint8(deep)[3, 3] == 255
