"""A plain convolutional network, sized to be learnt from scratch on some hundreds of radiographs."""

import keras

WIDTHS = (32, 64, 128, 256)

# Side of the neighbourhood that a pixel is compared with, as a share of the photo's: about a finger width.
NEIGHBOURHOOD = 0.1
# Variance, of shades from 0 to 1, below which a neighbourhood counts as flat and is not amplified.
FLAT = 1e-4


def features(photos: keras.KerasTensor, widths: tuple[int, ...] = WIDTHS) -> keras.KerasTensor:
    """Stages of two 3 x 3 convolutions and a halving each, then the mean over the picture.

    Each pixel is first standardised by the mean and deviation of its neighbourhood (local contrast
    normalisation, Jarrett et al., ICCV 2009), so that exposure, collimation and haze, which say nothing
    about age, drop out before the first weight. Batch normalisation follows Ioffe and Szegedy (2015), the
    mean over the picture in place of a flattened map Lin, Chen and Yan (2014).

    Args:
        photos: (batch, size, size, 1), 0 to 255; size at least 32.
        widths: Filters of each stage.

    Returns:
        (batch, widths[-1]).
    """
    x = local_contrast(photos, max(3, round(NEIGHBOURHOOD * photos.shape[1])))
    x = _convolution(x, widths[0], stride=2)
    for stage, width in enumerate(widths):
        x = _convolution(x, width)
        x = _convolution(x, width)
        if stage < len(widths) - 1:
            x = keras.layers.MaxPooling2D()(x)
    return keras.layers.GlobalAveragePooling2D(name="pooled")(x)


def local_contrast(photos: keras.KerasTensor, side: int) -> keras.KerasTensor:
    """Standardises each pixel by the mean and deviation of the square around it.

    Args:
        photos: (batch, size, size, 1), 0 to 255.
        side: Side of the square in pixels.

    Returns:
        The same shape, about -3 to 3; zero where a neighbourhood is flat.
    """
    shades = keras.layers.Rescaling(1 / 255)(photos)
    difference = shades - _neighbourhood_mean(shades, side)
    variance = _neighbourhood_mean(keras.ops.square(difference), side)
    return difference / keras.ops.sqrt(variance + FLAT)


def _neighbourhood_mean(x: keras.KerasTensor, side: int) -> keras.KerasTensor:
    # Rows, then columns: the same mean as over the square, for 2 x side additions in place of side squared.
    x = keras.layers.AveragePooling2D((side, 1), strides=1, padding="same")(x)
    return keras.layers.AveragePooling2D((1, side), strides=1, padding="same")(x)


def _convolution(x: keras.KerasTensor, width: int, stride: int = 1) -> keras.KerasTensor:
    x = keras.layers.Conv2D(width, 3, strides=stride, padding="same", use_bias=False)(x)
    # Keras's own momentum, 0.99, leaves the running averages unsettled after a few hundred steps.
    x = keras.layers.BatchNormalization(momentum=0.95)(x)
    return keras.layers.Activation("relu")(x)
