"""Images made worse while training, as clinics make them: blurred, coarse, noisy, compressed, under-exposed.

Each image draws for itself what happens to it and how much. All of it runs on the device that trains, in
about a hundredth of a training step, so that no loader has to keep up with a GPU.
"""

from typing import Any

import keras
import numpy as np
from keras import ops

SHARE = 0.25
"""The share of the images to which each kind of damage is done; noise, the worst, to twice as many."""

NOISE = 10.0
"""The largest standard deviation of noise, in grey levels of 255."""

CONTRAST, BRIGHTNESS = (0.5, 1.2), 20.0
"""The range of the factor on the grey levels, and the most that is added to them or taken away."""

QUALITY = (20.0, 95.0)
"""The range of the JPEG quality, 1 to 100."""

_BLOCK = 8
# The luminance table of the JPEG standard (ITU-T T.81, annex K.1), for quality 50.
_QUANTISATION = (
    (16, 11, 10, 16, 24, 40, 51, 61),
    (12, 12, 14, 19, 26, 58, 60, 55),
    (14, 13, 16, 24, 40, 57, 69, 56),
    (14, 17, 22, 29, 51, 87, 80, 62),
    (18, 22, 37, 56, 68, 109, 103, 77),
    (24, 35, 55, 64, 81, 104, 113, 92),
    (49, 64, 78, 87, 103, 121, 120, 101),
    (72, 92, 95, 98, 112, 100, 103, 99),
)


@keras.saving.register_keras_serializable(package="boneage")
class Degraded(keras.layers.Layer):
    """Makes images worse while training, and leaves them as they are otherwise.

    (batch, size, size, 1), 0 to 255, to the same; whole grey levels, as in a file.

    Args:
        share: The share of the images to which each kind of damage is done; noise to twice as many.
        noise: The largest standard deviation of noise in grey levels.
        seed: Seeds the draws.
    """

    def __init__(self, share: float = SHARE, noise: float = NOISE, seed: int = 0, **options: Any):
        # In half precision, grey levels above 128 are told apart by eighths at best.
        super().__init__(**{**options, "dtype": "float32"})
        self.share, self.noise, self.seed = share, noise, seed
        self._generator = keras.random.SeedGenerator(seed)

    def call(self, images: keras.KerasTensor, training: bool = False) -> keras.KerasTensor:
        if not training:
            return images
        # The images take the place of the channels: pooling a single channel is six times slower on a
        # processor, and what is drawn for each image meets its own.
        x = ops.transpose(ops.cast(images, "float32"), (3, 1, 2, 0))
        x = x + self._drawn(x, 0.5, 1.0) * (coarse(x) - x)
        x = x + self._drawn(x, 0.0, 1.0) * (blurred(x) - x)
        x = x * (1 + self._drawn(x, CONTRAST[0] - 1, CONTRAST[1] - 1)) + self._drawn(
            x, -BRIGHTNESS, BRIGHTNESS
        )
        x = x + self._drawn(x, 0.0, self.noise, 2.0) * keras.random.normal(ops.shape(x), seed=self._generator)
        x = _grey_levels(x)
        damaged = self._drawn(x, 1.0, 1.0)
        quality = keras.random.uniform((ops.shape(x)[-1],), *QUALITY, seed=self._generator)
        x = ops.where(damaged > 0, compressed(x, quality), x)
        return ops.transpose(x, (3, 1, 2, 0))

    def _drawn(
        self, x: keras.KerasTensor, least: float, most: float, times: float = 1.0
    ) -> keras.KerasTensor:
        """An amount for each image, (batch,); 0 for those that are spared."""
        count = (ops.shape(x)[-1],)
        amount = keras.random.uniform(count, least, most, seed=self._generator) if most > least else most
        spared = keras.random.uniform(count, seed=self._generator) >= times * self.share
        return ops.where(spared, 0.0, amount)

    def get_config(self) -> dict:
        return {**super().get_config(), "share": self.share, "noise": self.noise, "seed": self.seed}


def coarse(x: keras.KerasTensor) -> keras.KerasTensor:
    """Images at half their resolution: the mean of each two by two pixels, drawn at full size again.

    Args:
        x: (1, height, width, images).
    """
    # On JAX, Keras (3.13) widens strides that are left out twice.
    half = ops.average_pool(x, 2, strides=2, padding="same", data_format="channels_last")
    return ops.image.resize(half, x.shape[1:3], interpolation="bilinear", data_format="channels_last")


def blurred(x: keras.KerasTensor) -> keras.KerasTensor:
    """Images smoothed over about a hundredth of their side: three by three pixels twice, for 128.

    Args:
        x: (1, height, width, images).
    """
    side = 2 * round(x.shape[1] / 128) + 1 if x.shape[1] > 128 else 3
    for _ in range(2):
        x = ops.average_pool(x, side, strides=1, padding="same", data_format="channels_last")
    return x


def compressed(x: keras.KerasTensor, quality: keras.KerasTensor) -> keras.KerasTensor:
    """Images as baseline JPEG gives them back, rounded to whole grey levels.

    Args:
        x: (1, height, width, images), 0 to 255.
        quality: 1 to 100, (images,), as libjpeg means it.
    """
    height, width = x.shape[1:3]
    # The last row and column are repeated until blocks are full.
    down, across = (np.minimum(np.arange(side + -side % _BLOCK), side - 1) for side in (height, width))
    whole = ops.take(ops.take(x[0] - 128.0, down, axis=0), across, axis=1)
    blocks = ops.reshape(whole, (len(down) // _BLOCK, _BLOCK, len(across) // _BLOCK, _BLOCK, -1))
    scale = ops.where(quality < 50, 50 / quality, 2 - quality / 50)
    # A half is rounded up, as libjpeg does.
    step = ops.floor(ops.convert_to_tensor(_QUANTISATION, "float32")[..., None] * scale + 0.5)
    step = ops.clip(step, 1, 255)
    step = ops.reshape(step, (1, _BLOCK, 1, _BLOCK, -1))
    cosines = ops.convert_to_tensor(_cosines())
    waves = ops.einsum("ui,ricjn,vj->rucvn", cosines, blocks, cosines)
    waves = ops.round(waves / step) * step
    blocks = ops.einsum("ui,rucvn,vj->ricjn", cosines, waves, cosines)
    whole = ops.reshape(blocks, (len(down), len(across), -1))
    return _grey_levels(whole[None, :height, :width] + 128.0)


def _grey_levels(x: keras.KerasTensor) -> keras.KerasTensor:
    return ops.clip(ops.round(x), 0.0, 255.0)


def _cosines() -> np.ndarray:
    """The orthonormal discrete cosine transform of eight numbers, (waves, places)."""
    waves, places = np.mgrid[:_BLOCK, :_BLOCK]
    table = np.cos((2 * places + 1) * waves * np.pi / (2 * _BLOCK)) * np.sqrt(2 / _BLOCK)
    table[0] /= np.sqrt(2)
    return table.astype(np.float32)
