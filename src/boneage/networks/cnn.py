"""A plain convolutional network, small enough to train from scratch on some hundreds of radiographs."""

import keras

from boneage.networks.inputs import local_contrast
from boneage.networks.layers import convolution, pooled

WIDTHS = {"full": (32, 64, 128, 256), "tiny": (16, 16, 32, 64)}


def features(images: keras.KerasTensor, width: str, weights: str) -> keras.KerasTensor:
    """Stages of two 3 x 3 convolutions and max pooling, then global average pooling.

    Batch normalisation after Ioffe and Szegedy (2015), global average pooling after Lin, Chen and Yan (2014).
    See ``networks.build_features``.
    """
    return pooled(maps(local_contrast(images), width))


def maps(images: keras.KerasTensor, width: str) -> keras.KerasTensor:
    """The last feature maps, (batch, size / 16, size / 16, maps), of images in any range."""
    widths = WIDTHS[width]
    x = convolution(images, widths[0], stride=2)
    for stage, filters in enumerate(widths):
        x = convolution(x, filters)
        x = convolution(x, filters)
        if stage < len(widths) - 1:
            x = keras.layers.MaxPooling2D()(x)
    return x
