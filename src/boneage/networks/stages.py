"""The table of a network's stages that its notebook shows."""

from collections.abc import Iterator
from typing import Any

import keras
import pandas as pd

from boneage.core.columns import Column, Table

STAGE_TABLE = Table(
    "Stages of a network",
    [
        Column("Map", "Size of the feature map in pixels, or number of patches."),
        Column("Channels", "Number of channels.", ",.0f"),
        Column("Convolutions", "Number of convolutions in the stage.", ",.0f"),
        Column("Parameters", "Number of weights in the stage.", ",.0f"),
        Column(
            "Receptive field (px)", "Side of the part of the image that one place of the map sees.", ",.0f"
        ),
    ],
    about="One row per stage, from input to output.",
)

# Receptive field of a layer and distance between neighbouring ones, in pixels of the image.
_Window = tuple[int, int]
_ONE_PIXEL: _Window = (1, 1)
# After global pooling a value has no place: it only weights a whole map.
_NO_PLACE: _Window = (0, 0)

_CONVOLUTION = keras.layers.Conv2D | keras.layers.DepthwiseConv2D
_UP = keras.layers.Conv2DTranspose
_POOLING = keras.layers.MaxPooling2D | keras.layers.AveragePooling2D


def stage_table(model: keras.Model) -> pd.DataFrame:
    """The convolutional or patch-based part of a model, one row for each map size in turn.

    A convolution or pooling with kernel k and stride s, on receptive fields of w pixels that lie d pixels
    apart, sees w + (k - 1) d pixels, s d apart (Araujo, Norris and Sim, "Computing Receptive Fields of
    Convolutional Neural Networks", Distill, 2019); a transposed convolution divides the distance by s. Local
    contrast normalisation before the first convolution is not counted. A transformer's patches see the whole
    image from the first block on.

    Args:
        model: A model of square images that uses each layer once; nested models are opened.

    Returns:
        ``STAGE_TABLE``: map size in pixels (height × width) or number of patches, channels and receptive
        field at the end of the stage, convolutions and parameters in it. Stages without weights are left out.
    """
    image = model.input_shape[1]
    windows: dict[int, _Window] = {}
    window = _ONE_PIXEL
    stages: list[dict[str, Any]] = []
    for layer in _operations(model):
        # What a model in the model is given is what came before it.
        before = [windows.get(id(tensor), window) for tensor in keras.tree.flatten(layer.input)]
        window = _window(layer, max(before, default=_ONE_PIXEL), image)
        outputs = keras.tree.flatten(layer.output)
        windows |= {id(tensor): window for tensor in outputs}
        shape = outputs[0].shape
        if len(shape) == 3:
            size = f"{_patches(shape)} patches" + ("" if _patch_size(layer) else ", attending")
        elif len(shape) == 4:
            size = f"{shape[1]} × {shape[2]}"
        else:
            continue
        if window != _NO_PLACE and (not stages or stages[-1]["Map"] != size):
            stages.append({"Map": size, "Convolutions": 0, "Parameters": 0})
        stage = stages[-1]
        stage["Convolutions"] += _is_convolution(layer)
        stage["Parameters"] += layer.count_params() if isinstance(layer, keras.Layer) else 0
        if window != _NO_PLACE:
            stage["Channels"] = shape[-1]
            stage["Receptive field (px)"] = window[0]
    return pd.DataFrame(_joined(stages), columns=list(STAGE_TABLE))


def _operations(model: keras.Model) -> Iterator[keras.Operation]:
    for layer in model.operations:
        if isinstance(layer, keras.Model):
            yield from _operations(layer)
        elif not isinstance(layer, keras.layers.InputLayer):
            yield layer


def _joined(stages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Leaves out stages without weights, such as padding, and joins those on either side."""
    rows: list[dict[str, Any]] = []
    for stage in stages:
        if not stage["Parameters"]:
            continue
        if rows and rows[-1]["Map"] == stage["Map"]:
            for name in ("Convolutions", "Parameters"):
                stage = {**stage, name: rows[-1][name] + stage[name]}
            rows.pop()
        rows.append(stage)
    return rows


def _patches(shape: tuple[int, ...]) -> str:
    side = round((shape[1] - 1) ** 0.5)
    return f"{side} × {side}" if side * side + 1 == shape[1] else str(shape[1])


def _is_convolution(layer: keras.Operation) -> bool:
    return isinstance(layer, _CONVOLUTION | _UP) or _patch_size(layer) is not None


def _patch_size(layer: keras.Operation) -> int | None:
    side: int | None = getattr(layer, "patch_size", (None,))[0]
    return side


def _window(layer: keras.Operation, before: _Window, image: int) -> _Window:
    width, distance = before
    if isinstance(layer, keras.layers.GlobalAveragePooling2D):
        return _NO_PLACE
    if (side := _patch_size(layer)) is not None:
        return width + (side - 1) * distance, distance * side
    if isinstance(layer.output, keras.KerasTensor) and len(layer.output.shape) == 3:
        return image, distance
    if isinstance(layer, _UP):
        reach = -(-layer.kernel_size[0] // layer.strides[0])
        return width + (reach - 1) * distance, distance // layer.strides[0]
    if isinstance(layer, _CONVOLUTION):
        kernel, stride, dilation = layer.kernel_size[0], layer.strides[0], layer.dilation_rate[0]
    elif isinstance(layer, _POOLING) and before != _ONE_PIXEL:
        kernel, stride, dilation = layer.pool_size[0], layer.strides[0], 1
    else:
        return before
    return width + (kernel - 1) * dilation * distance, distance * stride
