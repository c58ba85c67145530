"""Images made worse while training: as clinics do it, each image for itself, and never outside training."""

import cv2
import keras
import numpy as np
import pytest
from keras import ops

from boneage.evaluation.robustness import perturbed
from boneage.training.degrade import Degraded, coarse, compressed


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    """Smooth shapes with edges, uint8, (12, 64, 64)."""
    rng = np.random.default_rng(0)
    coarse_noise = rng.uniform(0, 255, (12, 8, 8)).astype(np.float32)
    return np.stack([cv2.resize(one, (64, 64), interpolation=cv2.INTER_CUBIC) for one in coarse_noise]).clip(
        0, 255
    ).astype(np.uint8)  # fmt: skip


def _degraded(images: np.ndarray, **options) -> np.ndarray:
    return np.asarray(Degraded(seed=1, **options)(images[..., None].astype("float32"), training=True))[..., 0]


def _images_last(images: np.ndarray) -> np.ndarray:
    return images.transpose(1, 2, 0)[None].astype(np.float32)


def test_only_training_sees_it(images):
    images = images[..., None].astype("float32")
    assert (np.asarray(Degraded(seed=1)(images)) == images).all()
    assert (np.asarray(Degraded(seed=1)(images, training=True)) != images).any()


def test_it_gives_whole_grey_levels_and_spares_the_share_that_it_should(images):
    many = np.tile(images, (20, 1, 1))
    worse = _degraded(many, share=0.2)
    assert worse.min() >= 0
    assert worse.max() <= 255
    assert (worse == np.rint(worse)).all()
    spared = (worse == many).all(axis=(1, 2)).mean()
    # Six draws, noise twice as likely as the others; 240 images, so give or take a tenth.
    assert spared == pytest.approx(0.8**5 * 0.6, abs=0.1)
    assert (_degraded(images, share=0.0) == images).all()


def test_the_same_seed_gives_the_same_images_and_each_batch_others(images):
    layer, again = Degraded(seed=3), Degraded(seed=3)
    images = images[..., None].astype("float32")
    first = np.asarray(layer(images, training=True))
    assert (first == np.asarray(again(images, training=True))).all()
    assert (first != np.asarray(layer(images, training=True))).any()


def test_coarse_is_half_the_resolution(images):
    ours = np.asarray(coarse(ops.convert_to_tensor(_images_last(images))))[0].transpose(2, 0, 1)
    theirs = perturbed(images, "resolution", 2.0)
    assert np.abs(ours - theirs).max() <= 1.0


@pytest.mark.parametrize("quality", [10, 40, 75, 95])
@pytest.mark.parametrize("side", [64, 60])
def test_compressed_is_what_jpeg_files_give_back(images, quality, side):
    images = np.ascontiguousarray(images[:, :side, :side])
    said = compressed(
        ops.convert_to_tensor(_images_last(images)), ops.full((len(images),), quality, "float32")
    )
    theirs = perturbed(images, "JPEG", quality).astype(float)
    difference = np.abs(np.asarray(said)[0].transpose(2, 0, 1) - theirs)
    # libjpeg's transform is done in whole numbers.
    assert difference.mean() < 0.3
    assert np.abs(theirs - images).mean() > 2 * difference.mean()


def test_it_is_kept_with_a_model(images, tmp_path):
    images = keras.Input((64, 64, 1))
    keras.Model(images, Degraded(share=0.3, noise=6.0, seed=4)(images)).save(tmp_path / "model.keras")
    layer = keras.saving.load_model(tmp_path / "model.keras").layers[-1]
    assert (layer.share, layer.noise, layer.seed) == (0.3, 6.0, 4)
