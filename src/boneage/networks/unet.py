"""A U-Net (Ronneberger, Fischer and Brox, MICCAI 2015) with global average pooling on top."""

import keras

from boneage.networks.inputs import local_contrast
from boneage.networks.layers import convolution, pooled

WIDTHS = {"full": (32, 64, 128, 256), "tiny": (8, 16, 32)}
# Feature maps before pooling; the decoder's own last stage is too narrow for the head.
LAST_MAPS = {"full": 128, "tiny": 32}


def features(images: keras.KerasTensor, width: str, weights: str) -> keras.KerasTensor:
    """Encoder, decoder with transposed convolutions, skip connections, and the mean; see ``build_features``.

    Encoder and decoder both work at half the image side at most.
    """
    *widths, bottom = WIDTHS[width]
    x = convolution(local_contrast(images), widths[0], stride=2)
    skips = []
    for filters in widths:
        x = _twice(x, filters)
        skips.append(x)
        x = keras.layers.MaxPooling2D()(x)
    x = _twice(x, bottom)
    for filters, skip in zip(reversed(widths), reversed(skips), strict=True):
        x = keras.layers.Conv2DTranspose(filters, 2, strides=2)(x)
        x = keras.layers.Concatenate()([_cropped(skip, x), x])
        x = _twice(x, filters)
    return pooled(convolution(x, LAST_MAPS[width], kernel=1))


def _twice(x: keras.KerasTensor, filters: int) -> keras.KerasTensor:
    return convolution(convolution(x, filters), filters)


def _cropped(skip: keras.KerasTensor, like: keras.KerasTensor) -> keras.KerasTensor:
    """Drops the last row and column where an odd size was halved."""
    over = skip.shape[1] - like.shape[1]
    return keras.layers.Cropping2D(((0, over), (0, over)))(skip) if over else skip
