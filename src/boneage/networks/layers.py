"""Layers shared by several networks."""

import keras

POOLED = "pooled"
"""Name of the global average pooling layer."""

STANDARDISED = "standardised"
"""Name of the layer that standardises the pooled features, in networks that have one."""

# With Keras's default momentum of 0.99 the running averages have not settled after a few hundred steps.
MOMENTUM = 0.95


def convolution(x: keras.KerasTensor, width: int, stride: int = 1, kernel: int = 3) -> keras.KerasTensor:
    """Convolution with ``width`` filters, batch normalisation, ReLU; (batch, height, width, channels)."""
    x = keras.layers.Conv2D(width, kernel, strides=stride, padding="same", use_bias=False)(x)
    x = keras.layers.BatchNormalization(momentum=MOMENTUM)(x)
    return keras.layers.Activation("relu")(x)


def pooled(maps: keras.KerasTensor) -> keras.KerasTensor:
    """Global average pooling: (batch, height, width, maps) to (batch, maps)."""
    return keras.layers.GlobalAveragePooling2D(name=POOLED)(maps)


def standardised(features: keras.KerasTensor) -> keras.KerasTensor:
    """Batch-normalised features, for networks without batch normalisation of their own.

    After many layers all images have nearly the same features, and a head learns next to nothing from the
    small differences between them.
    """
    return keras.layers.BatchNormalization(momentum=MOMENTUM, name=STANDARDISED)(features)
