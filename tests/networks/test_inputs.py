"""Local contrast: exposure drops out of it, and so does noise where there is nothing else."""

import cv2
import numpy as np
import pytest
from keras import ops

from boneage.networks.inputs import LocalContrast, noise_variance


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    """Bright bars with soft edges on a dark ground, a part of it flat; float, (3, 128, 128)."""
    image = np.full((128, 128), 20.0, np.float32)
    for left in range(24, 104, 16):
        image[30:128, left : left + 9] = 150.0
    image = cv2.GaussianBlur(image, (0, 0), 1.5)
    return np.stack([image, np.roll(image, 5, axis=1), image[:, ::-1]])


def _contrast(images: np.ndarray) -> np.ndarray:
    return np.asarray(LocalContrast()(images[..., None]))[..., 0]


def _noisy(images: np.ndarray, levels: float) -> np.ndarray:
    noisy = images + np.random.default_rng(0).normal(0.0, levels, images.shape)
    return noisy.clip(0, 255).astype(np.float32)


@pytest.mark.parametrize("levels", [2.0, 5.0, 10.0])
def test_noise_is_told_from_bones(images, levels):
    noisy = _noisy(images, levels).transpose(1, 2, 0)[None] / 255
    found = np.sqrt(np.asarray(noise_variance(ops.convert_to_tensor(noisy)))) * 255
    np.testing.assert_allclose(found, levels, rtol=0.2)


def test_noise_is_not_amplified_where_there_is_nothing_else(images):
    flat = _contrast(_noisy(images, 5.0))[:, :20]
    assert flat.std() < 0.4
    bones = _contrast(_noisy(images, 5.0))[:, 60:]
    assert np.corrcoef(bones.ravel(), _contrast(images)[:, 60:].ravel())[0, 1] > 0.95


def test_exposure_drops_out(images):
    np.testing.assert_allclose(_contrast(images + 60), _contrast(images), atol=1e-3)
    assert np.abs(_contrast(images * 0.5) - _contrast(images)).max() < 0.1
