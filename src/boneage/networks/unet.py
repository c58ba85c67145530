"""A U-Net (Ronneberger, Fischer and Brox, MICCAI 2015) whose picture is averaged to one number."""

import keras

from boneage.networks.inputs import local_contrast
from boneage.networks.layers import convolution, pooled

WIDTHS = {"full": (32, 64, 128, 256), "tiny": (8, 16, 32)}
# Maps that the mean is taken of: the decoder's last stage is the narrowest, and has seen everything.
LAST_MAPS = {"full": 128, "tiny": 32}


def features(images: keras.KerasTensor, width: str, weights: str) -> keras.KerasTensor:
    """Down by halvings, up again by transposed convolutions, and across by skips; then the mean.

    The way up ends at half the image's side, where the way down begins. See ``networks.build_features``;
    there are no published weights.
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
    """Without the last row and column where an odd number of them was halved."""
    over = skip.shape[1] - like.shape[1]
    return keras.layers.Cropping2D(((0, over), (0, over)))(skip) if over else skip
