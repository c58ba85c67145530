"""Soft attention over the maps of a VGG-style network: a mean in which some places count more."""

import keras

from boneage.networks.inputs import local_contrast
from boneage.networks.layers import convolution, pooled

WIDTHS = {"full": (32, 64, 128, 256), "tiny": (8, 16, 32, 64)}
CONVOLUTIONS = {"full": (2, 2, 3, 3), "tiny": (1, 1, 2, 2)}

ATTENTION = "attention"
"""The name of the layer that says how much each place counts: (batch, height, width, 1), sum 1 an image."""


def features(images: keras.KerasTensor, width: str, weights: str) -> keras.KerasTensor:
    """The weighted mean of the last maps; see ``networks.build_features``; there are no published weights.

    Each place gets a score from its own features by a small network, v . tanh(W f), as in Bahdanau, Cho and
    Bengio (ICLR 2015), and the scores become shares by a softmax over all places, as in the soft attention
    of Xu et al. (ICML 2015). There is no sentence that asks, so the question, v, is learnt.
    """
    x = local_contrast(images)
    for stage, (filters, times) in enumerate(zip(WIDTHS[width], CONVOLUTIONS[width], strict=True)):
        x = keras.layers.MaxPooling2D()(x) if stage else x
        for _ in range(times):
            x = convolution(x, filters)
    _, rows, columns, channels = x.shape
    score = keras.layers.Conv2D(channels // 4, 1, activation="tanh", name="question")(x)
    # Zeros, so that all places count the same until training says otherwise.
    score = keras.layers.Conv2D(1, 1, kernel_initializer="zeros", use_bias=False, name="score")(score)
    share = keras.layers.Softmax(dtype="float32")(keras.layers.Reshape((rows * columns,))(score))
    share = keras.layers.Reshape((rows, columns, 1), name=ATTENTION)(share)
    # A mean takes every place at one in rows x columns: the share is told as a multiple of that.
    return pooled(keras.layers.Multiply()([x, keras.layers.Rescaling(float(rows * columns))(share)]))
