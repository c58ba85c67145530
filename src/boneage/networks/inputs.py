"""What the networks see of a grey image: its local contrast, or colours as published weights expect them."""

import keras

# Variance, of grey levels from 0 to 1, below which a neighbourhood counts as flat and is not amplified.
FLAT = 1e-4
# Side of the neighbourhood that a pixel is compared with, as a share of the image's: about a finger width.
NEIGHBOURHOOD = 0.1


def local_contrast(images: keras.KerasTensor) -> keras.KerasTensor:
    """Standardises each pixel by the mean and deviation of the square around it.

    Local contrast normalisation, after Jarrett et al., "What is the best multi-stage architecture for
    object recognition?", ICCV 2009: exposure, collimation and haze, which say nothing about age, drop out
    before the first weight.

    Args:
        images: (batch, size, size, 1), 0 to 255.

    Returns:
        The same shape, about -3 to 3; zero where a neighbourhood is flat.
    """
    side = max(3, round(NEIGHBOURHOOD * images.shape[1]))
    # In half precision the squares of small differences would vanish.
    levels = keras.layers.Rescaling(1 / 255, dtype="float32")(images)
    # The images take the place of the channels: pooling a single channel is six times slower on a processor.
    levels = keras.ops.transpose(levels, (3, 1, 2, 0))
    difference = levels - _neighbourhood_mean(levels, side)
    variance = _neighbourhood_mean(keras.ops.square(difference), side)
    return keras.ops.transpose(difference / keras.ops.sqrt(variance + FLAT), (3, 1, 2, 0))


def _neighbourhood_mean(x: keras.KerasTensor, side: int) -> keras.KerasTensor:
    # Rows, then columns: the same mean as over the square, for 2 x side additions in place of side squared.
    # Layers, not keras.ops.average_pool: what JSON makes of its sizes, JAX does not take.
    for square in ((side, 1), (1, side)):
        x = keras.layers.AveragePooling2D(
            square, strides=1, padding="same", data_format="channels_last", dtype="float32"
        )(x)
    return x


def scaled_channels(
    images: keras.KerasTensor, scale: float | tuple[float, ...], offset: float | tuple[float, ...]
) -> keras.KerasTensor:
    """Grey images as the three colour channels, in the range that a published network was trained on.

    The grey is repeated, in place of the first kernel being summed over the colours: the network then gets
    exactly what it would get from a grey colour image. With a different offset for each colour a summed
    kernel is not the same at the rim, where the network pads with zeros after scaling.

    Args:
        images: (batch, size, size, 1), 0 to 255.
        scale: What each channel, or all, are multiplied with.
        offset: What is added after that.

    Returns:
        (batch, size, size, 3).
    """
    colour = keras.layers.Concatenate()([images, images, images])
    # Lists, as a saved model has them.
    scales, offsets = (list(one) if isinstance(one, tuple) else one for one in (scale, offset))
    return keras.layers.Rescaling(scales, offset=offsets, name="scaled")(colour)


def contrast_channels(images: keras.KerasTensor) -> keras.KerasTensor:
    """Local contrast as three colour channels: what a published network sees that begins at random weights.

    Nothing ties it to the range of ImageNet's images then, and radiographs, most of them dark, fill that
    range badly.

    Args:
        images: (batch, size, size, 1), 0 to 255.

    Returns:
        (batch, size, size, 3), see :func:`local_contrast`.
    """
    contrast = local_contrast(images)
    return keras.layers.Concatenate(name="scaled")([contrast, contrast, contrast])
