"""What a network does to a photo, stage by stage: the table that its notebook shows."""

import keras
import pandas as pd

STAGE_COLUMNS = ("Map", "Channels", "Convolutions", "Parameters", "Receptive field (px)")

# A layer's window in pixels of the photo, and how far apart two neighbouring windows are.
_Window = tuple[int, int]
_ONE_PIXEL: _Window = (1, 1)

_CONVOLUTION = keras.layers.Conv2D | keras.layers.DepthwiseConv2D
_POOLING = keras.layers.MaxPooling2D | keras.layers.AveragePooling2D


def stage_table(model: keras.Model) -> pd.DataFrame:
    """The convolutional part of a model, one row for each size that its maps have, in order.

    The receptive field of a convolution or pooling with kernel k, on windows of w pixels that lie d pixels
    apart, is w + (k - 1) d, and its own windows lie s d apart for a stride s (Araujo, Norris and Sim,
    "Computing Receptive Fields of Convolutional Neural Networks", Distill, 2019). It is counted from the
    first convolution on: what evens out the exposure before it takes part in no shape.

    Args:
        model: A model whose photos are square and whose layers are each used once.

    Returns:
        ``STAGE_COLUMNS``: map size in pixels (height × width), channels and receptive field at the end of
        the stage, convolutions and parameters in it. What convolves no map (padding, the head) is left out.
    """
    windows: dict[int, _Window] = {}
    stages: dict[str, dict[str, object]] = {}
    for layer in model.operations:
        if isinstance(layer, keras.layers.InputLayer) or not isinstance(layer.output, keras.KerasTensor):
            continue
        before = [windows.get(id(tensor), _ONE_PIXEL) for tensor in keras.tree.flatten(layer.input)]
        windows[id(layer.output)] = window = _window(layer, max(before, default=_ONE_PIXEL))
        if len(layer.output.shape) != 4:
            continue
        _, height, width, channels = layer.output.shape
        stage = stages.setdefault(f"{height} × {width}", {"Convolutions": 0, "Parameters": 0})
        stage["Channels"] = channels
        stage["Convolutions"] += _is_convolution(layer)
        stage["Parameters"] += layer.count_params() if isinstance(layer, keras.Layer) else 0
        stage["Receptive field (px)"] = window[0]
    rows = [{"Map": size, **stage} for size, stage in stages.items() if stage["Convolutions"]]
    return pd.DataFrame(rows, columns=list(STAGE_COLUMNS))


def _is_convolution(layer: keras.Operation) -> bool:
    return isinstance(layer, _CONVOLUTION)


def _window(layer: keras.Operation, before: _Window) -> _Window:
    width, distance = before
    if _is_convolution(layer):
        kernel, stride, dilation = layer.kernel_size[0], layer.strides[0], layer.dilation_rate[0]
    elif isinstance(layer, _POOLING) and before != _ONE_PIXEL:
        kernel, stride, dilation = layer.pool_size[0], layer.strides[0], 1
    else:
        return before
    return width + (kernel - 1) * dilation * distance, distance * stride
