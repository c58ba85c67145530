"""Each change does to an image what its name says, and the table tells what it does to the predictions."""

import cv2
import numpy as np
import pytest

from boneage.core.errors import BoneAgeError
from boneage.evaluation.robustness import (
    KINDS,
    PERTURBATIONS,
    ROBUSTNESS,
    UNCHANGED,
    Perturbation,
    perturbed,
    robustness_table,
)
from boneage.images.operators import rotated


def some_images(count=3, size=64):
    """Dark images with a bright bar, more of it to the left and the top, and a grain."""
    rng = np.random.default_rng(3)
    images = rng.integers(20, 60, (count, size, size))
    images[:, size // 8 : size // 2, size // 4 : size // 3] += 120
    return images.astype(np.uint8)


def mean_level(images):
    """A prediction that anyone can check: the mean grey level in tenths of a year."""
    return images.reshape(len(images), -1).mean(axis=1) / 10


def one(name, amount, images=None):
    return perturbed(some_images() if images is None else images, name, amount, seed=1)


@pytest.mark.parametrize("perturbation", PERTURBATIONS, ids=lambda one: one.words)
@pytest.mark.parametrize("size", [64, 75])
def test_every_perturbation_changes_images_of_any_size_and_leaves_the_given_ones(perturbation, size):
    images = some_images(size=size)
    before = images.copy()
    images.setflags(write=False)
    made = perturbed(images, perturbation.name, perturbation.amount, seed=1)
    assert made.dtype == np.uint8
    assert made.shape == images.shape
    assert np.array_equal(images, before)
    assert all((new != old).any() for new, old in zip(made, images, strict=True))
    again = perturbed(images, perturbation.name, perturbation.amount, seed=1)
    assert np.array_equal(made, again)


def test_perturbations_are_of_every_kind_and_each_has_words_of_its_own():
    assert {name for name, _, _ in PERTURBATIONS} == set(KINDS)
    assert len({words for _, _, words in PERTURBATIONS}) == len(PERTURBATIONS)
    turns = [amount for name, amount, _ in PERTURBATIONS if name == "rotation"]
    assert (turns[0], turns[-1]) == (5, 180)
    assert turns == sorted(turns)


def test_a_small_image_turns_as_if_it_had_been_turned_when_it_was_large():
    texture = np.random.default_rng(5).normal(128, 50, (512, 512)).clip(0, 255).astype(np.uint8)
    # Bones have edges a few pixels wide.
    large = cv2.normalize(cv2.GaussianBlur(texture, (0, 0), 6), None, 0, 255, cv2.NORM_MINMAX)

    def small(image):
        return cv2.resize(image, (64, 64), interpolation=cv2.INTER_AREA)

    def sharpness(image):
        return cv2.Laplacian(image, cv2.CV_64F)[12:-12, 12:-12].std()

    expected = sharpness(small(rotated(large, 5)))
    assert sharpness(one("rotation", 5, small(large)[np.newaxis])[0]) == pytest.approx(expected, rel=0.05)
    assert sharpness(rotated(small(large), 5)) < 0.9 * expected


def test_turns_and_flips_move_pixels_and_change_none():
    images = some_images()
    assert np.array_equal(one("rotation", 90), np.rot90(images, axes=(1, 2)))
    assert np.array_equal(one("rotation", 180), images[:, ::-1, ::-1])
    assert np.array_equal(one("flip left to right", None), images[:, :, ::-1])
    assert np.array_equal(one("flip top to bottom", None), images[:, ::-1])
    assert np.array_equal(one("inversion", None), 255 - images)


def test_levels_follow_the_amount():
    images = some_images()
    assert np.array_equal(one("brightness", 40), images + 40)
    # Some grey levels are cut off at black.
    assert np.array_equal(one("brightness", -40), np.maximum(images.astype(int) - 40, 0))
    assert one("contrast", 0.5).std() == pytest.approx(images.std() / 2, rel=0.03)
    grain = one("noise", 10).astype(int) - images
    assert grain.std() == pytest.approx(10, rel=0.03)
    assert abs(grain.mean()) < 0.5


def test_noise_is_that_of_the_seed_and_of_no_two_images():
    images = np.full((2, 64, 64), 128, np.uint8)
    made = perturbed(images, "noise", 10, seed=1)
    assert (made[0] != made[1]).any()
    assert (made != perturbed(images, "noise", 10, seed=2)).any()
    assert np.array_equal(made[:1], perturbed(images[:1], "noise", 10, seed=1))


@pytest.mark.parametrize(
    ("name", "milder", "stronger"),
    [("blur", 0.005, 0.02), ("resolution", 2, 8), ("JPEG", 75, 10), ("rotation", 5, 30), ("noise", 5, 20)],
)
def test_more_of_it_changes_more(name, milder, stronger):
    images = some_images().astype(int)
    little, much = (np.abs(one(name, amount) - images).mean() for amount in (milder, stronger))
    assert 0 < little < much


def test_blur_means_the_same_at_every_size():
    # An edge is as wide as the blur's standard deviation, as a share of the side.
    for size in (64, 256):
        edge = np.zeros((1, size, size), np.uint8)
        edge[:, :, size // 2 :] = 200
        slope = np.diff(one("blur", 0.02, edge)[0, 0].astype(float) / 200)
        place = np.arange(len(slope)) - np.average(np.arange(len(slope)), weights=slope)
        assert np.sqrt(np.average(place**2, weights=slope)) / size == pytest.approx(0.02, rel=0.05)


def test_less_resolution_leaves_blocks_of_one_mean():
    made = one("resolution", 8, some_images(size=64))
    small = cv2.resize(some_images(size=64)[0], (8, 8), interpolation=cv2.INTER_AREA)
    assert np.array_equal(made[0], cv2.resize(small, (64, 64), interpolation=cv2.INTER_LINEAR))
    assert np.array_equal(one("resolution", 1), some_images())


@pytest.mark.parametrize(("name", "filled"), [("letter L", 0.55), ("bright disc", np.pi / 4)])
@pytest.mark.parametrize("size", [32, 128, 256])
def test_a_marker_lies_in_the_darkest_corner_as_large_as_it_says(name, filled, size):
    images = np.full((1, size, size), 90, np.uint8)
    images[0, size // 2 :, size // 2 :] = 30
    made = one(name, 0.12, images)
    rows, columns = np.nonzero(made[0] != images[0])
    assert (made[0][rows, columns] == 255).all()
    assert min(rows.min(), columns.min()) > size / 2
    assert max(rows.max(), columns.max()) < size - 1
    height, width = np.ptp(rows) + 1, np.ptp(columns) + 1
    assert height == pytest.approx(0.12 * size, abs=1)
    assert len(rows) / (height * width) == pytest.approx(filled, abs=0.2)


def test_the_letter_is_an_l():
    made = one("letter L", 0.2, np.zeros((1, 100, 100), np.uint8))[0]
    rows, columns = np.nonzero(made)
    shape = made[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1] > 0
    assert shape[:, 0].all()
    assert shape[-1].all()
    assert not shape[: len(shape) // 2, shape.shape[1] // 2 :].any()


@pytest.mark.parametrize(
    ("images", "name", "amount", "words"),
    [
        (some_images(), "swirl", 1, "swirl.*rotation"),
        (some_images(), "rotation", 181, "rotation: amount must be from -180 to 180"),
        (some_images(), "rotation", None, "rotation: amount"),
        (some_images(), "noise", np.nan, "noise: amount"),
        (some_images(), "JPEG", 0, "JPEG: amount"),
        (some_images(), "inversion", 1, "inversion: takes no amount"),
        (some_images()[0], "inversion", None, "shape"),
        (some_images()[:, :9], "inversion", None, "shape"),
        (some_images()[:0], "inversion", None, "shape"),
        (some_images().astype(float), "inversion", None, "float64"),
    ],
)
def test_what_cannot_be_done_is_refused_in_one_line(images, name, amount, words):
    with pytest.raises(BoneAgeError, match=words) as caught:
        perturbed(images, name, amount)
    assert "\n" not in str(caught.value)


def test_the_table_tells_what_a_known_prediction_does():
    images = np.full((4, 32, 32), 100, np.uint8)
    tried = (
        Perturbation("brightness", 20, "brighter"),
        Perturbation("brightness", -5, "darker"),
        Perturbation("flip left to right", None, "flipped"),
    )
    # All images are said to be 10 years; 20 grey levels are 2 years.
    table = robustness_table(mean_level, images, np.array([9.0, 10.0, 12.0, 13.0]), perturbations=tried)
    assert list(table) == list(ROBUSTNESS)
    table = table.set_index("Images")
    assert table.index.tolist() == [UNCHANGED, "brighter", "darker", "flipped"]
    assert table["MAE (years)"].tolist() == pytest.approx([1.5, 1.5, 1.75, 1.5])
    assert table["Change in MAE (years)"].tolist() == pytest.approx([0, 0, 0.25, 0], abs=1e-12)
    assert table["Mean shift (years)"].tolist() == pytest.approx([0, 2, -0.5, 0])
    assert table["Mean movement (years)"].tolist() == pytest.approx([0, 2, 0.5, 0])
    assert table["95 % of movements within (years)"].tolist() == pytest.approx([0, 2, 0.5, 0])
    assert table["Moved over 1 year"].tolist() == [0, 1, 0, 0]
    assert table.loc["brighter", ["Perturbation", "Amount"]].tolist() == ["brightness", 20]
    assert np.isnan(table.loc["flipped", "Amount"])
    assert (table["Cases"] == 4).all()
    # Brighter is 2 years better for two images and 2 years worse for the two others.
    low, high = table.loc["brighter", ["Change low (years)", "Change high (years)"]]
    assert low == pytest.approx(-2)
    assert high == pytest.approx(2)
    assert table.loc["flipped", ["Change low (years)", "Change high (years)"]].tolist() == [0, 0]


def test_the_interval_is_of_the_paired_change_not_of_two_separate_errors():
    rng = np.random.default_rng(8)
    images = rng.integers(60, 140, (80, 1, 1)).repeat(32, 1).repeat(32, 2).astype(np.uint8)
    truth = mean_level(images) - rng.uniform(1, 9, 80)
    tried = (Perturbation("brightness", 3, "brighter"),)
    first, again, other = (robustness_table(mean_level, images, truth, seed, tried) for seed in (1, 1, 2))
    row = first.iloc[1]
    # Errors spread over 8 years, yet each grows by just 0.3.
    assert row["Change low (years)"] == pytest.approx(0.3)
    assert row["Change high (years)"] == pytest.approx(0.3)
    assert first.equals(again)
    noisy = (Perturbation("noise", 20, "noisy"),)
    told = [robustness_table(mean_level, images, truth, seed, noisy).iloc[1] for seed in (1, 2)]
    assert told[0]["MAE (years)"] != told[1]["MAE (years)"]
    assert all(
        row["Change low (years)"] < row["Change in MAE (years)"] < row["Change high (years)"] for row in told
    )
    assert other.iloc[0]["MAE (years)"] == first.iloc[0]["MAE (years)"]


def test_one_image_has_a_change_without_an_interval():
    table = robustness_table(mean_level, some_images(1), np.array([5.0]), perturbations=PERTURBATIONS[:1])
    assert table[["Change low (years)", "Change high (years)"]].isna().all(axis=None)
    assert np.isfinite(table["Change in MAE (years)"]).all()


@pytest.mark.parametrize(
    ("prediction", "truth", "words"),
    [
        (mean_level, [5.0], "3 images and"),
        (mean_level, [5.0, np.nan, 5.0], "each image needs its own"),
        (lambda images: mean_level(images)[:2], [5.0] * 3, "predictions of 3 images as they are"),
        (lambda images: mean_level(images) * np.nan, [5.0] * 3, "not a finite"),
    ],
)
def test_predictions_that_cannot_be_judged_are_refused(prediction, truth, words):
    with pytest.raises(BoneAgeError, match=words):
        robustness_table(prediction, some_images(), np.array(truth), perturbations=PERTURBATIONS[:1])


def test_no_image_is_refused():
    with pytest.raises(BoneAgeError, match="0 images"):
        robustness_table(mean_level, some_images()[:0], np.array([]))
