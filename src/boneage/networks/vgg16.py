"""VGG16 (Simonyan and Zisserman, ICLR 2015) from Keras: five blocks of 3 x 3 convolutions."""

from collections.abc import Callable

import keras

from boneage.networks.inputs import contrast_channels, scaled_channels
from boneage.networks.layers import pooled, standardised
from boneage.networks.published import application, thinned

# Minus the mean ImageNet colour (blue, green, red; 0 to 255), as the pretrained weights expect.
CAFFE_OFFSET = (-103.939, -116.779, -123.68)

# Without batch normalisation the signal fades over so many layers unless the initial weights are scaled for
# ReLU (He et al., "Delving deep into rectifiers", ICCV 2015).
INITIALIZER = "he_normal"

TINY_DIVISOR = 8


def features(images: keras.KerasTensor, width: str, weights: str) -> keras.KerasTensor:
    """The last feature maps of VGG16, averaged; see ``networks.build_features``."""
    return vgg(keras.applications.VGG16, images, width, weights)


def vgg(
    build: Callable[..., keras.Model], images: keras.KerasTensor, width: str, weights: str
) -> keras.KerasTensor:
    """The last feature maps, averaged, of a VGG network of ``keras.applications``."""
    model = application(build, images.shape[1], weights)
    if weights == "imagenet":
        return standardised(pooled(model(scaled_channels(images, 1.0, CAFFE_OFFSET))))
    model = thinned(model, TINY_DIVISOR if width == "tiny" else 1, kernel_initializer=INITIALIZER)
    return standardised(pooled(model(contrast_channels(images))))
