"""Published networks: their pretrained weights, and narrower or shallower copies of them."""

import socket
from collections.abc import Callable
from typing import Any

import keras

from boneage.core.backends import layers_of
from boneage.networks import WeightsError
from boneage.networks.layers import MOMENTUM

# Seconds without data after which a download has failed; Keras itself would wait for ever.
_PATIENCE = 15.0


def application(build: Callable[..., keras.Model], size: int, weights: str, **options: object) -> keras.Model:
    """The convolutional part of a network of ``keras.applications``.

    Args:
        build: The function of ``keras.applications`` that builds it.
        size: Image side in pixels.
        weights: ``"imagenet"`` or ``"scratch"``.
        options: Further arguments of that function.

    Returns:
        A model from (batch, size, size, 3) to feature maps.

    Raises:
        WeightsError: The weights cannot be downloaded.
    """
    options = {"include_top": False, "input_shape": (size, size, 3), **options}
    if weights == "imagenet":
        return fetched(lambda: build(weights="imagenet", **options))
    return build(weights=None, **options)


def fetched(load: Callable[[], keras.Model]) -> keras.Model:
    """Loads a model with pretrained weights, from the internet or the cache.

    Its batch normalisation stays as it was pretrained: the statistics of a few images a step would only
    blur those of a million (Keras, "Transfer learning and fine-tuning").

    Raises:
        WeightsError: The weights cannot be downloaded.
    """
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(_PATIENCE)
    try:
        model = load()
    # The libraries raise anything here, down to a bare Exception.
    except Exception as error:
        lines = str(error).strip().splitlines() or [""]
        reason = f"{type(error).__name__}: {lines[0]}"[:200]
        raise WeightsError(f"the ImageNet weights cannot be downloaded ({reason})") from None
    finally:
        socket.setdefaulttimeout(before)
    for layer in layers_of(model):
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.trainable = False
    return model


def settled(model: keras.Model) -> keras.Model:
    """The same model with a lower batch normalisation momentum, which settles within a hundred steps."""
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = min(layer.momentum, MOMENTUM)
    return model


def shallow_at_first(model: keras.Model, last: str, sums: str) -> keras.Model:
    """The same model with residual branches that add nothing at first, and no stochastic depth.

    The last scale of each branch starts at zero (Goyal et al., "Accurate, large minibatch SGD: training
    ImageNet in 1 hour", arXiv 1706.02677, 2017), so a short training starts with a shallow network.

    Args:
        model: An untrained network.
        last: Suffix of the name of a branch's last batch normalisation.
        sums: Suffix that the name of the layer that adds the branch has in place of ``last``.
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

    Only whole blocks that keep the size and number of their feature maps may be left out: the next layer is
    connected to the last one kept.

    Args:
        model: A functional model with one input.
        divisor: Divides every number of filters.
        left_out: Whether to leave out the layer of that name.
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
        # The shapes that the original layer was built for.
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
    """The same configuration with its tensor histories, ``[layer, node, tensor]``, renamed."""
    if isinstance(value, dict):
        return {name: _renamed(one, stands_for) for name, one in value.items()}
    if isinstance(value, list | tuple):
        if value and isinstance(value[0], str) and value[0] in stands_for:
            return type(value)([stands_for[value[0]], *value[1:]])
        return type(value)(_renamed(one, stands_for) for one in value)
    return value
