"""Networks of kept libraries: their weights fetched, and narrower or steadier copies of them."""

import socket
from collections.abc import Callable
from typing import Any

import keras

from boneage.networks import WeightsError
from boneage.networks.layers import MOMENTUM

# A download that is silent for so many seconds has failed; Keras itself would wait for ever.
_PATIENCE = 15.0


def application(build: Callable[..., keras.Model], size: int, weights: str, **options: object) -> keras.Model:
    """The convolutional part of a network of ``keras.applications``.

    Args:
        build: The function of ``keras.applications`` that builds it.
        size: Side of the images in pixels.
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
    layers: list[dict[str, Any]] = []
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
