"""Layers that several of the networks are built of."""

import keras

POOLED = "pooled"
"""The name of the layer that takes the mean of each map."""

STANDARDISED = "standardised"
"""The name of the layer that standardises those means, in the networks that have one."""

# Keras's own momentum, 0.99, leaves the running averages unsettled after a few hundred steps.
MOMENTUM = 0.95


def convolution(x: keras.KerasTensor, width: int, stride: int = 1, kernel: int = 3) -> keras.KerasTensor:
    """A convolution, batch normalisation and ReLU.

    Args:
        x: (batch, height, width, channels).
        width: Filters.
        stride: Step of the window in pixels.
        kernel: Side of the window in pixels.
    """
    x = keras.layers.Conv2D(width, kernel, strides=stride, padding="same", use_bias=False)(x)
    x = keras.layers.BatchNormalization(momentum=MOMENTUM)(x)
    return keras.layers.Activation("relu")(x)


def pooled(maps: keras.KerasTensor) -> keras.KerasTensor:
    """The mean of each map over all its places: (batch, height, width, maps) to (batch, maps)."""
    return keras.layers.GlobalAveragePooling2D(name=POOLED)(maps)


def standardised(features: keras.KerasTensor) -> keras.KerasTensor:
    """Features less their mean over the images, divided by their deviation.

    For networks without batch normalisation: after many layers all images have nearly the same features, and
    a head that sees the little that differs only as a ripple on much that does not learns next to nothing.
    """
    return keras.layers.BatchNormalization(momentum=MOMENTUM, name=STANDARDISED)(features)
