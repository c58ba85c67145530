"""What several of the networks are made of."""

import socket
from collections.abc import Callable

import keras

from boneage.networks import WeightsError

POOLED = "pooled"
"""The name of the layer that takes the mean of each map."""

STANDARDISED = "standardised"
"""The name of the layer that standardises those means, in the networks that have one."""

# Keras's own momentum, 0.99, leaves the running averages unsettled after a few hundred steps.
MOMENTUM = 0.95

# Variance, of shades from 0 to 1, below which a neighbourhood counts as flat and is not amplified.
FLAT = 1e-4
# Side of the neighbourhood that a pixel is compared with, as a share of the photo's: about a finger width.
NEIGHBOURHOOD = 0.1

# A download that is silent for so many seconds has failed; Keras itself would wait for ever.
_PATIENCE = 15.0


def pooled(maps: keras.KerasTensor) -> keras.KerasTensor:
    """The mean of each map over all its places: (batch, height, width, maps) to (batch, maps)."""
    return keras.layers.GlobalAveragePooling2D(name=POOLED)(maps)


def standardised(features: keras.KerasTensor) -> keras.KerasTensor:
    """Features less their mean over the photos, divided by their deviation.

    For networks without batch normalisation: after many layers all photos have nearly the same features, and
    a head that sees the little that differs only as a ripple on much that does not learns next to nothing.
    """
    return keras.layers.BatchNormalization(momentum=MOMENTUM, name=STANDARDISED)(features)


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


def local_contrast(photos: keras.KerasTensor) -> keras.KerasTensor:
    """Standardises each pixel by the mean and deviation of the square around it.

    Local contrast normalisation, after Jarrett et al., "What is the best multi-stage architecture for
    object recognition?", ICCV 2009: exposure, collimation and haze, which say nothing about age, drop out
    before the first weight.

    Args:
        photos: (batch, size, size, 1), 0 to 255.

    Returns:
        The same shape, about -3 to 3; zero where a neighbourhood is flat.
    """
    side = max(3, round(NEIGHBOURHOOD * photos.shape[1]))
    # In half precision the squares of small differences would vanish.
    shades = keras.layers.Rescaling(1 / 255, dtype="float32")(photos)
    # The photos take the place of the channels: pooling a single channel is six times slower on a processor.
    shades = keras.ops.transpose(shades, (3, 1, 2, 0))
    difference = shades - _neighbourhood_mean(shades, side)
    variance = _neighbourhood_mean(keras.ops.square(difference), side)
    return keras.ops.transpose(difference / keras.ops.sqrt(variance + FLAT), (3, 1, 2, 0))


def _neighbourhood_mean(x: keras.KerasTensor, side: int) -> keras.KerasTensor:
    # Rows, then columns: the same mean as over the square, for 2 x side additions in place of side squared.
    # Layers, not keras.ops.average_pool: what JSON makes of its sizes, JAX does not take.
    for square in ((side, 1), (1, side)):
        x = keras.layers.AveragePooling2D(
            square, strides=1, padding="same", data_format="channels_last", dtype="float32"
        )(x)
    return x


def scaled_channels(
    photos: keras.KerasTensor, scale: float | tuple[float, ...], offset: float | tuple[float, ...]
) -> keras.KerasTensor:
    """Grey photos as the three colour channels, in the range that a published network was trained on.

    The grey is repeated, in place of the first kernel being summed over the colours: the network then gets
    exactly what it would get from a grey colour photo. With a different offset for each colour a summed
    kernel is not the same at the rim, where the network pads with zeros after scaling.

    Args:
        photos: (batch, size, size, 1), 0 to 255.
        scale: What each channel, or all, are multiplied with.
        offset: What is added after that.

    Returns:
        (batch, size, size, 3).
    """
    colour = keras.layers.Concatenate()([photos, photos, photos])
    scale = list(scale) if isinstance(scale, tuple) else scale
    offset = list(offset) if isinstance(offset, tuple) else offset
    return keras.layers.Rescaling(scale, offset=offset, name="scaled")(colour)


def contrast_channels(photos: keras.KerasTensor) -> keras.KerasTensor:
    """Local contrast as three colour channels: what a published network sees that begins at random weights.

    Nothing ties it to the range of ImageNet's photos then, and radiographs, most of them dark, fill that
    range badly.

    Args:
        photos: (batch, size, size, 1), 0 to 255.

    Returns:
        (batch, size, size, 3), see :func:`local_contrast`.
    """
    contrast = local_contrast(photos)
    return keras.layers.Concatenate(name="scaled")([contrast, contrast, contrast])


def application(build: Callable[..., keras.Model], size: int, weights: str, **options: object) -> keras.Model:
    """The convolutional part of a network of ``keras.applications``.

    Args:
        build: The function of ``keras.applications`` that builds it.
        size: Side of the photos in pixels.
        weights: ``"imagenet"`` or ``"scratch"``.
        options: Further arguments of that function.

    Returns:
        A model from (batch, size, size, 3) to maps.

    Raises:
        WeightsError: The weights cannot be had.
    """
    options = {"include_top": False, "input_shape": (size, size, 3), **options}
    if weights == "imagenet":
        return fetched(lambda: build(weights="imagenet", **options))
    return build(weights=None, **options)


def fetched(load: Callable[[], keras.Model]) -> keras.Model:
    """A model whose published weights are fetched from the internet, or found where they were kept before.

    Raises:
        WeightsError: They cannot be had.
    """
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(_PATIENCE)
    try:
        return load()
    # The libraries raise whatever their own ways of downloading raise, down to a bare Exception.
    except Exception as error:
        lines = str(error).strip().splitlines() or [""]
        reason = f"{type(error).__name__}: {lines[0]}"[:200]
        raise WeightsError(f"the ImageNet weights cannot be fetched ({reason})") from None
    finally:
        socket.setdefaulttimeout(before)


def settled(model: keras.Model) -> keras.Model:
    """The same model; its batch normalisation settles within a hundred steps, as short runs need it to."""
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = min(layer.momentum, MOMENTUM)
    return model


def shallow_at_first(model: keras.Model, last: str, sums: str) -> keras.Model:
    """The same model, whose residual branches add nothing until they have learnt to.

    The last scale of each branch begins at zero (Goyal et al., "Accurate, large minibatch SGD: training
    ImageNet in 1 hour", arXiv 1706.02677, 2017), so a short training begins with the few layers that no
    branch holds. And no branch is left out at random (stochastic depth).

    Args:
        model: A network that is not trained yet.
        last: How the name of a branch's last batch normalisation ends.
        sums: How the name of the layer ends that adds the branch, where there is one, in place of ``last``.
    """
    names = {layer.name for layer in model.layers}
    for layer in model.layers:
        if layer.name.endswith(last) and layer.name.removesuffix(last) + sums in names:
            layer.gamma.assign(keras.ops.zeros_like(layer.gamma))
        if isinstance(layer, keras.layers.Dropout):
            layer.rate = 0.0
    return model


def thinned(
    model: keras.Model,
    divisor: int = 1,
    left_out: Callable[[str], bool] = lambda name: False,
    **changes: object,
) -> keras.Model:
    """A narrower and shallower copy of a chain of blocks, with new weights.

    What follows a layer that is left out gets its input from the last kept layer before it; so what is left
    out must be whole blocks that change neither the size nor the number of their maps.

    Args:
        model: A functional model with one input.
        divisor: Every number of filters is divided by it.
        left_out: Tells from a layer's name whether to leave it out.
        changes: Set in the configuration of every convolution.
    """
    config = model.get_config()
    stands_for: dict[str, str] = {}
    layers = []
    for layer in config["layers"]:
        name = layer["name"]
        if left_out(name):
            stands_for[name] = layers[-1]["name"]
            continue
        # The shapes that the layer had been built for.
        layer.pop("build_config", None)
        of_layer = layer["config"]
        if "filters" in of_layer:
            of_layer.update(changes, filters=-(-of_layer["filters"] // divisor))
        if "target_shape" in of_layer:
            *places, channels = of_layer["target_shape"]
            of_layer["target_shape"] = (*places, -(-channels // divisor))
        layers.append(layer)
    config["layers"] = _renamed(layers, stands_for)
    config["output_layers"] = _renamed(config["output_layers"], stands_for)
    return type(model).from_config(config)


def _renamed(value: object, stands_for: dict[str, str]) -> object:
    """The same configuration with the histories of its tensors, ``[layer, node, tensor]``, renamed."""
    if isinstance(value, dict):
        return {name: _renamed(one, stands_for) for name, one in value.items()}
    if isinstance(value, list | tuple):
        if value and isinstance(value[0], str) and value[0] in stands_for:
            return type(value)([stands_for[value[0]], *value[1:]])
        return type(value)(_renamed(one, stands_for) for one in value)
    return value
