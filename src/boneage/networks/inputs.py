"""Network inputs: local contrast, or colour channels in the range that pretrained weights expect."""

import keras

# Variance (grey levels 0 to 1) below which a neighbourhood counts as flat and is not amplified.
FLAT = 1e-4
# Side of a pixel's neighbourhood as a share of the image side: about a finger's width.
NEIGHBOURHOOD = 0.1


def local_contrast(images: keras.KerasTensor) -> keras.KerasTensor:
    """Standardises each pixel by the mean and standard deviation of the square around it.

    Local contrast normalisation, after Jarrett et al., "What is the best multi-stage architecture for
    object recognition?", ICCV 2009: it removes exposure, collimation and haze, which say nothing about age.

    Args:
        images: (batch, size, size, 1), 0 to 255.

    Returns:
        The same shape, about -3 to 3; zero where the neighbourhood is flat.
    """
    side = max(3, round(NEIGHBOURHOOD * images.shape[1]))
    # In half precision the squares of small differences would underflow.
    levels = keras.layers.Rescaling(1 / 255, dtype="float32")(images)
    # Images as channels: pooling a single channel is six times slower on a processor.
    levels = keras.ops.transpose(levels, (3, 1, 2, 0))
    difference = levels - _neighbourhood_mean(levels, side)
    variance = _neighbourhood_mean(keras.ops.square(difference), side)
    return keras.ops.transpose(difference / keras.ops.sqrt(variance + FLAT), (3, 1, 2, 0))


def _neighbourhood_mean(x: keras.KerasTensor, side: int) -> keras.KerasTensor:
    # Rows, then columns: the same mean in 2 x side additions instead of side squared.
    # Layers, not keras.ops.average_pool, whose sizes JAX refuses once they have been through JSON.
    for square in ((side, 1), (1, side)):
        x = keras.layers.AveragePooling2D(
            square, strides=1, padding="same", data_format="channels_last", dtype="float32"
        )(x)
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
