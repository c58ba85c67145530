"""Network inputs: local contrast, or colour channels in the range that pretrained weights expect."""

from typing import Any

import keras
from keras import ops

# Variance (grey levels 0 to 1) below which a neighbourhood counts as flat and is not amplified.
FLAT = 1e-4
# How many times the variance of the image's own noise counts the same: what is noise alone comes to a third.
NOISE_FACTOR = 8.0
# Side of the neighbourhood that a pixel is compared with, as a share of the image's: about a finger width.
NEIGHBOURHOOD = 0.1


@keras.saving.register_keras_serializable(package="boneage")
class LocalContrast(keras.layers.Layer):  # type: ignore[misc]
    """Standardises each pixel by the mean and deviation of the square around it.

    Local contrast normalisation, after Jarrett et al., "What is the best multi-stage architecture for
    object recognition?", ICCV 2009: exposure, collimation and haze, which say nothing about age, drop out
    before the first weight. What is no more than the image's own noise is not amplified.

    (batch, size, size, 1), 0 to 255, to the same shape, about -3 to 3; zero where a neighbourhood is flat.
    """

    def __init__(self, **options: Any):
        # In half precision the squares of small differences would vanish.
        super().__init__(**{**options, "dtype": "float32"})

    def call(self, images: keras.KerasTensor) -> keras.KerasTensor:
        side = max(3, round(NEIGHBOURHOOD * images.shape[1]))
        # The images take the place of the channels: pooling a single channel is six times slower on a
        # processor.
        levels = ops.transpose(images / 255, (3, 1, 2, 0))
        difference = levels - _neighbourhood_mean(levels, side)
        variance = _neighbourhood_mean(ops.square(difference), side)
        least = FLAT + NOISE_FACTOR * noise_variance(levels)
        return ops.transpose(difference / ops.sqrt(variance + least), (3, 1, 2, 0))


def local_contrast(images: keras.KerasTensor) -> keras.KerasTensor:
    """What :class:`LocalContrast` makes of images."""
    return LocalContrast()(images)


def noise_variance(images: keras.KerasTensor) -> keras.KerasTensor:
    """The variance of the noise of each image.

    Second differences along rows and columns leave noise and little else (Immerkaer, "Fast noise variance
    estimation", Computer Vision and Image Understanding 64, 1996). Their median over every fourth pixel each
    way, in place of his mean, so that bones and letters do not count: untouched radiographs of 128 px come to
    0.25 of 255 grey levels, and to 5 with noise of 5 added.

    Args:
        images: (1, height, width, images).

    Returns:
        (images,).
    """
    x = images[:, 2:] - 2 * images[:, 1:-1] + images[:, :-2]
    x = x[:, :, 2:] - 2 * x[:, :, 1:-1] + x[:, :, :-2]
    # Of noise of deviation 1, the deviation of these differences is 6, and the median of a normal
    # distribution's absolute values 0.6745 of its deviation.
    return ops.square(ops.median(ops.abs(x[0, ::4, ::4]), axis=(0, 1)) / (6 * 0.6745))


def _neighbourhood_mean(x: keras.KerasTensor, side: int) -> keras.KerasTensor:
    # Rows, then columns: the same mean as over the square, for 2 x side additions in place of side squared.
    for square in ((side, 1), (1, side)):
        x = ops.average_pool(x, square, strides=1, padding="same", data_format="channels_last")
    return x


def scaled_channels(
    images: keras.KerasTensor, scale: float | tuple[float, ...], offset: float | tuple[float, ...]
) -> keras.KerasTensor:
    """Grey images as three colour channels, in the range that a pretrained network expects.

    The grey is repeated rather than the first kernel summed over the colours: with a different offset for
    each colour, a summed kernel is wrong at the edge, where the network pads with zeros after scaling.

    Args:
        images: (batch, size, size, 1), 0 to 255.
        scale: Multiplies all channels, or each.
        offset: Added afterwards.

    Returns:
        (batch, size, size, 3).
    """
    colour = keras.layers.Concatenate()([images, images, images])
    # Lists, as in a saved model.
    scales, offsets = (list(one) if isinstance(one, tuple) else one for one in (scale, offset))
    return keras.layers.Rescaling(scales, offset=offsets, name="scaled")(colour)


def contrast_channels(images: keras.KerasTensor) -> keras.KerasTensor:
    """Local contrast as three colour channels, for published networks with random weights.

    The range of ImageNet's images does not matter then, and radiographs, most of them dark, fill it badly.

    Args:
        images: (batch, size, size, 1), 0 to 255.

    Returns:
        (batch, size, size, 3), see :func:`local_contrast`.
    """
    contrast = local_contrast(images)
    return keras.layers.Concatenate(name="scaled")([contrast, contrast, contrast])
