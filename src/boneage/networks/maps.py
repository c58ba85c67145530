"""Which places of a photo an estimate comes from, as far as the network itself can tell."""

import keras
import numpy as np

from boneage.networks.attention import ATTENTION
from boneage.networks.parts import POOLED, STANDARDISED


def years_by_place(model: keras.Model, photos: np.ndarray) -> np.ndarray:
    """How many years each place of the last maps adds to the estimate, or takes from it.

    The head weighs the means of the maps, so the estimate is a mean over places to begin with: the class
    activation map of Zhou et al., "Learning deep features for discriminative localization", CVPR 2016. The
    sum of a map and a number that is the same for all photos is the estimate.

    Args:
        model: A network with its head, as ``training.build_model`` makes it.
        photos: (photos, size, size), 0 to 255.

    Returns:
        (photos, height, width) in years.
    """
    maps = outputs_of(model, model.get_layer(POOLED).input, photos)
    weights = np.array(model.get_layer("standardised_years").kernel)
    if STANDARDISED in [layer.name for layer in model.layers]:
        layer = model.get_layer(STANDARDISED)
        deviation = np.sqrt(np.array(layer.moving_variance) + layer.epsilon)
        weights *= (np.array(layer.gamma) / deviation)[:, np.newaxis]
    years = maps @ weights * float(model.get_layer("years").scale)
    return years[..., 0] / (maps.shape[1] * maps.shape[2])


def attention_by_place(model: keras.Model, photos: np.ndarray) -> np.ndarray | None:
    """How much each place counts, as a share of all, where the network attends; None where it does not.

    Args:
        model: A network with its head.
        photos: (photos, size, size), 0 to 255.

    Returns:
        (photos, height, width), 0 to 1, with the sum 1 for each photo.
    """
    if ATTENTION not in [layer.name for layer in model.layers]:
        return None
    return outputs_of(model, model.get_layer(ATTENTION).output, photos)[..., 0]


def outputs_of(model: keras.Model, tensor: keras.KerasTensor, photos: np.ndarray) -> np.ndarray:
    """What a part of a model that sees nothing but the photos says of them.

    Args:
        model: A network with its head.
        tensor: What to compute, somewhere in the model.
        photos: (photos, size, size), 0 to 255.

    Returns:
        float32, of the tensor's shape.
    """
    part = keras.Model(model.inputs[0], tensor)
    return np.asarray(part.predict(photos[..., np.newaxis], batch_size=8, verbose=0), np.float32)
