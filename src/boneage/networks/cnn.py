"""A plain convolutional network, sized to be learnt from scratch on some hundreds of radiographs."""

import keras

WIDTHS = (32, 64, 128, 256)


def features(photos: keras.KerasTensor, widths: tuple[int, ...] = WIDTHS) -> keras.KerasTensor:
    """Stages of two 3 x 3 convolutions and a halving each, then the mean over the picture.

    Each photo is first standardised by its own mean and deviation, so that exposure, which says nothing
    about age, drops out before the first weight. Batch normalisation follows Ioffe and Szegedy (2015),
    the mean over the picture in place of a flattened map Lin, Chen and Yan (2014).

    Args:
        photos: (batch, size, size, 1), 0 to 255; size at least 32.
        widths: Filters of each stage.

    Returns:
        (batch, widths[-1]).
    """
    # One group over the one channel: the mean and deviation of the whole photo.
    x = keras.layers.GroupNormalization(groups=1, center=False, scale=False, name="standardise")(photos)
    x = _convolution(x, widths[0], stride=2)
    for stage, width in enumerate(widths):
        x = _convolution(x, width)
        x = _convolution(x, width)
        if stage < len(widths) - 1:
            x = keras.layers.MaxPooling2D()(x)
    return keras.layers.GlobalAveragePooling2D(name="pooled")(x)


def _convolution(x: keras.KerasTensor, width: int, stride: int = 1) -> keras.KerasTensor:
    x = keras.layers.Conv2D(width, 3, strides=stride, padding="same", use_bias=False)(x)
    x = keras.layers.BatchNormalization()(x)
    return keras.layers.Activation("relu")(x)
