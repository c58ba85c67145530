"""Which parts of an image a prediction comes from, as far as the network itself can tell."""

import keras
import numpy as np

from boneage.networks.attention import ATTENTION
from boneage.networks.layers import POOLED, STANDARDISED

# Images at a time.
_LOT = 8


def years_by_place(model: keras.Model, images: np.ndarray) -> np.ndarray:
    """The years that each place of the last feature maps adds to the prediction or takes from it.

    Class activation map after Zhou et al., "Learning deep features for discriminative localization", CVPR
    2016: a linear head on pooled features is a mean over places. The prediction is the sum of the map and a
    constant.

    Args:
        model: A network with its head, as ``training.build_model`` makes it.
        images: (images, size, size), 0 to 255.

    Returns:
        (images, height, width) in years.
    """
    maps = outputs_of(model, model.get_layer(POOLED).input, images)
    weights = np.array(model.get_layer("standardised_years").kernel)
    if STANDARDISED in [layer.name for layer in model.layers]:
        layer = model.get_layer(STANDARDISED)
        deviation = np.sqrt(np.array(layer.moving_variance) + layer.epsilon)
        weights *= (np.array(layer.gamma) / deviation)[:, np.newaxis]
    years = maps @ weights * float(model.get_layer("years").scale)
    by_place: np.ndarray = years[..., 0] / (maps.shape[1] * maps.shape[2])
    return by_place


def attention_by_place(model: keras.Model, images: np.ndarray) -> np.ndarray | None:
    """The attention weight of each place; None for a network without attention.

    Args:
        model: A network with its head.
        images: (images, size, size), 0 to 255.

    Returns:
        (images, height, width), 0 to 1, with the sum 1 for each image.
    """
    if ATTENTION not in [layer.name for layer in model.layers]:
        return None
    return outputs_of(model, model.get_layer(ATTENTION).output, images)[..., 0]


def outputs_of(model: keras.Model, tensor: keras.KerasTensor, images: np.ndarray) -> np.ndarray:
    """The value of an intermediate tensor of a model that depends on the images only.

    Args:
        model: A network with its head.
        tensor: A tensor of the model.
        images: (images, size, size), 0 to 255.

    Returns:
        float32, of the tensor's shape.
    """
    part = keras.Model(model.inputs[0], tensor)
    # Not `predict`, which compiles for longer than a deep network takes to say a few maps.
    starts = range(0, len(images), _LOT)
    lots = [part(images[start : start + _LOT, ..., np.newaxis], training=False) for start in starts]
    return np.concatenate([np.asarray(lot, np.float32) for lot in lots])
