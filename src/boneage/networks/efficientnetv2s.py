"""EfficientNetV2S (Tan and Le, ICML 2021) from Keras."""

import re

import keras

from boneage.networks.inputs import contrast_channels, scaled_channels
from boneage.networks.layers import pooled
from boneage.networks.published import application, settled, shallow_at_first, thinned

TINY_DIVISOR = 8
# The tiny network keeps the first block of each stage but the fifth, which keeps the map's size, and one
# residual block of each kind (fused and not): 1a and 4b.
_LATER_BLOCK = re.compile(r"block([1236][b-z]|4[c-z]|5[a-z])_")


def features(images: keras.KerasTensor, width: str, weights: str) -> keras.KerasTensor:
    """The last feature maps of EfficientNetV2S, averaged; see ``networks.build_features``.

    With ImageNet weights Keras's model takes 0 to 255 and scales inside.
    """
    if weights == "imagenet":
        model = application(keras.applications.EfficientNetV2S, images.shape[1], weights)
        return pooled(model(scaled_channels(images, 1.0, 0.0)))
    build, size = keras.applications.EfficientNetV2S, images.shape[1]
    model = application(build, size, weights, include_preprocessing=False)
    if width == "tiny":
        model = thinned(model, TINY_DIVISOR, lambda name: bool(_LATER_BLOCK.match(name)))
    # Without this it learnt nothing in ten epochs of 633 images in batches of 8.
    model = shallow_at_first(model, "_project_bn", "_add")
    return pooled(settled(model)(contrast_channels(images)))
