"""EfficientNetV2S (Tan and Le, ICML 2021) as Keras has it."""

import re

import keras

from boneage.networks.inputs import contrast_channels, scaled_channels
from boneage.networks.layers import pooled
from boneage.networks.published import application, settled, shallow_at_first, thinned

TINY_DIVISOR = 8
# All blocks of a stage but the first, which may halve the map; of each of the two kinds of block, fused and
# not, one more stays, which adds its input to its result.
_LATER_BLOCK = re.compile(r"block([1356][b-z]|[24][c-z])_")


def features(images: keras.KerasTensor, width: str, weights: str) -> keras.KerasTensor:
    """The last maps of EfficientNetV2S, averaged; see ``networks.build_features``.

    Keras's model takes 0 to 255 and scales inside.
    """
    if weights == "imagenet":
        model = application(keras.applications.EfficientNetV2S, images.shape[1], weights)
        return pooled(settled(model)(scaled_channels(images, 1.0, 0.0)))
    build, size = keras.applications.EfficientNetV2S, images.shape[1]
    model = application(build, size, weights, include_preprocessing=False)
    if width == "tiny":
        model = thinned(model, TINY_DIVISOR, lambda name: bool(_LATER_BLOCK.match(name)))
    # Without this it had learnt nothing after ten epochs of 633 images in batches of 8.
    model = shallow_at_first(model, "_project_bn", "_add")
    return pooled(settled(model)(contrast_channels(images)))
