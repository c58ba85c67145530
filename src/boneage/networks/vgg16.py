"""VGG16 (Simonyan and Zisserman, ICLR 2015) as Keras has it: five blocks of 3 x 3 convolutions."""

import keras

from boneage.networks.parts import (
    application,
    contrast_channels,
    pooled,
    scaled_channels,
    standardised,
    thinned,
)

# Blue, green and red of the mean ImageNet photo, 0 to 255: what the published weights have subtracted.
CAFFE_OFFSET = (-103.939, -116.779, -123.68)

# Without batch normalisation a signal fades through so many layers unless the first weights are scaled for
# ReLU (He et al., "Delving deep into rectifiers", ICCV 2015).
INITIALIZER = "he_normal"

TINY_DIVISOR = 8


def features(photos: keras.KerasTensor, width: str, weights: str) -> keras.KerasTensor:
    """The last maps of VGG16, averaged; see ``networks.build_features``."""
    return vgg(keras.applications.VGG16, photos, width, weights)


def vgg(build, photos: keras.KerasTensor, width: str, weights: str) -> keras.KerasTensor:
    """The last maps, averaged, of a VGG network of ``keras.applications``."""
    model = application(build, photos.shape[1], weights)
    if weights == "imagenet":
        return standardised(pooled(model(scaled_channels(photos, 1.0, CAFFE_OFFSET))))
    model = thinned(model, TINY_DIVISOR if width == "tiny" else 1, kernel_initializer=INITIALIZER)
    return standardised(pooled(model(contrast_channels(photos))))
