"""Soft attention over the feature maps of a VGG-style network: a weighted mean over places."""

import keras

from boneage.networks.inputs import local_contrast
from boneage.networks.layers import convolution, pooled

WIDTHS = {"full": (32, 64, 128, 256), "tiny": (8, 16, 32, 64)}
CONVOLUTIONS = {"full": (2, 2, 3, 3), "tiny": (1, 1, 2, 2)}

ATTENTION = "attention"
"""Name of the layer with the attention weights, (batch, height, width, 1), which sum to 1 for each image."""


def features(images: keras.KerasTensor, width: str, weights: str) -> keras.KerasTensor:
    """The attention-weighted mean of the last feature maps; see ``networks.build_features``.

    Each place is scored from its own features, v . tanh(W f), as in Bahdanau, Cho and Bengio (ICLR 2015), and
    a softmax over all places makes the scores weights, as in Xu et al. (ICML 2015). The query v is learnt, as
    there is no sentence to supply it.
    """
    x = local_contrast(images)
    for stage, (filters, times) in enumerate(zip(WIDTHS[width], CONVOLUTIONS[width], strict=True)):
        x = keras.layers.MaxPooling2D()(x) if stage else x
        for _ in range(times):
            x = convolution(x, filters)
    _, rows, columns, channels = x.shape
    score = keras.layers.Conv2D(channels // 4, 1, activation="tanh", name="question")(x)
    # Zeros, so that training starts from equal weights.
    score = keras.layers.Conv2D(1, 1, kernel_initializer="zeros", use_bias=False, name="score")(score)
    share = keras.layers.Softmax(dtype="float32")(keras.layers.Reshape((rows * columns,))(score))
    share = keras.layers.Reshape((rows, columns, 1), name=ATTENTION)(share)
    # The pooling divides by the number of places, so the weights are multiplied by it first.
    return pooled(keras.layers.Multiply()([x, keras.layers.Rescaling(float(rows * columns))(share)]))
