"""ResNet50 (He et al., CVPR 2016) from Keras."""

import re

import keras

from boneage.networks.inputs import contrast_channels, scaled_channels
from boneage.networks.layers import pooled
from boneage.networks.published import application, settled, thinned
from boneage.networks.vgg16 import CAFFE_OFFSET

TINY_DIVISOR = 8
# The tiny network keeps the first block of each stage, and in the first stage one that adds its input itself.
_LATER_BLOCK = re.compile(r"conv(2_block3|[345]_block[2-6])_")


def features(images: keras.KerasTensor, width: str, weights: str) -> keras.KerasTensor:
    """The last feature maps of ResNet50, averaged; see ``networks.build_features``."""
    model = application(keras.applications.ResNet50, images.shape[1], weights)
    if width == "tiny":
        model = thinned(model, TINY_DIVISOR, lambda name: bool(_LATER_BLOCK.match(name)))
    if weights == "imagenet":
        return pooled(model(scaled_channels(images, 1.0, CAFFE_OFFSET)))
    return pooled(settled(model)(contrast_channels(images)))
