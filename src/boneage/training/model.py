"""A network with its regression head: from an image, and optionally the sex, to years."""

import keras
import numpy as np
from keras import ops
from scipy.optimize import brentq
from scipy.special import softmax

from boneage.evaluation.metrics import ACCURATE_YEARS
from boneage.networks import build_features

# Saved models hold one, and are read where no network has been built.
from boneage.networks.inputs import LocalContrast  # noqa: F401
from boneage.training.degrade import Degraded

DROPOUT = 0.3

# Largest rotation, shift and zoom in training, as shares of a full turn, the image side and its size.
ROTATION, SHIFT, ZOOM = 0.04, 0.06, 0.1
# Where images are damaged as well, so that one that lies askew costs little.
FURTHER_ROTATION = 0.07

MONTH_BINS = 240
"""Range of the month bins: birth to the end of the nineteenth year."""

LABEL_YEARS = 0.5
"""Standard deviation of the label distribution over the month bins: about that of a single reading, as two
readers differ by 0.63 year (root mean square)."""

_AGES = (np.arange(MONTH_BINS) + 0.5) / 12

# Wide enough to learn that the same bones are older in a boy, by an amount that depends on age.
_HIDDEN_WITH_SEX = 64


@keras.saving.register_keras_serializable(package="boneage")
def accuracy(truth: keras.KerasTensor, prediction: keras.KerasTensor) -> keras.KerasTensor:
    """Share of the cases with an absolute error below half a year."""
    return ops.mean(ops.cast(ops.abs(_in_years(prediction) - truth) < ACCURATE_YEARS, "float32"), axis=-1)


@keras.saving.register_keras_serializable(package="boneage")
def mae(truth: keras.KerasTensor, prediction: keras.KerasTensor) -> keras.KerasTensor:
    """Absolute error in years, of probabilities of the month bins that of their mean."""
    return ops.mean(ops.abs(_in_years(prediction) - truth), axis=-1)


@keras.saving.register_keras_serializable(package="boneage")
def label_distribution(truth: keras.KerasTensor, months: keras.KerasTensor) -> keras.KerasTensor:
    """Cross-entropy between a normal distribution about the label and the probabilities of the month bins.

    Label distribution learning: Gao, Xing, Xie, Wu and Geng, "Deep label distribution learning with label
    ambiguity", IEEE Transactions on Image Processing 2017; 26:2825-2838.

    Args:
        truth: Bone ages in years, (batch, 1).
        months: Probabilities, (batch, ``MONTH_BINS``).
    """
    wanted = ops.softmax(-0.5 * ops.square((_AGES.astype("float32") - truth) / LABEL_YEARS), axis=-1)
    return -ops.sum(wanted * ops.log(months + keras.config.epsilon()), axis=-1)


def _in_years(prediction: keras.KerasTensor) -> keras.KerasTensor:
    if prediction.shape[-1] == 1:
        return prediction
    return ops.sum(prediction * _AGES.astype("float32"), axis=-1, keepdims=True)


def build_model(
    network: str,
    size: int,
    mean_years: float,
    std_years: float,
    seed: int,
    width: str = "full",
    weights: str = "scratch",
    variant: str = "",
    degradation: float = 0.0,
) -> keras.Model:
    """A network with its regression head, not yet compiled.

    The head predicts one number in standard deviations from the training mean, so an untrained network
    predicts the mean, and the last layer converts it to years. Slight random rotation, shift and zoom, and
    degradation, act in training only.

    Args:
        network: Key of the network.
        size: Image side in pixels.
        mean_years: Mean bone age of the training cases.
        std_years: Its standard deviation.
        seed: Seeds the random transforms and dropout.
        width: ``"full"`` or ``"tiny"``.
        weights: ``"imagenet"`` or ``"scratch"``.
        variant: One of ``settings.VARIANTS``. ``"sex"`` adds a second input; ``"month_bins"`` has a head that
            gives each month of age a probability and predicts their mean, as in Rothe, Timofte and Van
            Gool, "Deep expectation of real and apparent age from a single image", IJCV 2018; see
            :func:`to_train` for how it is trained.
        degradation: The share of the images to which each kind of damage is done (:mod:`degrade`).

    Returns:
        A model from images (batch, size, size, 1), 0 to 255, to years (batch, 1). The variant ``"sex"``
        takes a list: the images, and 1 for male or 0 for female, (batch, 1).

    Raises:
        WeightsError: The pretrained weights are not available.
        BoneAgeError: The network does not take images of that size.
    """
    images = keras.Input((size, size, 1), name="image")
    # Nearest neighbour: interpolated images are smoother than the unchanged ones at prediction, and batch
    # normalisation would learn other averages. Not in half precision, which is too coarse for grey levels
    # above 128.
    rotation = FURTHER_ROTATION if degradation else ROTATION
    exact = {"fill_mode": "nearest", "interpolation": "nearest", "dtype": "float32"}
    x = keras.layers.RandomRotation(rotation, seed=seed, **exact)(images)
    x = keras.layers.RandomTranslation(SHIFT, SHIFT, seed=seed + 1, **exact)(x)
    x = keras.layers.RandomZoom(ZOOM, seed=seed + 2, **exact)(x)
    if degradation:
        x = Degraded(degradation, seed=seed + 4)(x)
    x = build_features(network, x, width, weights)
    x = keras.layers.Dropout(DROPOUT, seed=seed + 3)(x)
    inputs = images
    if variant == "sex":
        male = keras.Input((1,), name="male")
        inputs = [images, male]
        x = keras.layers.Concatenate()([x, male])
        x = keras.layers.Dense(_HIDDEN_WITH_SEX, activation="relu", name="with_sex")(x)
    if variant == "month_bins":
        return _over_months(images, x, network, mean_years, std_years)
    # Zeros, so that the first prediction is the mean whatever the features are.
    x = keras.layers.Dense(1, kernel_initializer="zeros", dtype="float32", name="standardised_years")(x)
    years = keras.layers.Rescaling(std_years, offset=mean_years, dtype="float32", name="years")(x)
    return keras.Model(inputs, years, name=network)


def to_train(model: keras.Model) -> keras.Model:
    """What is trained of a model: all of it, or with month bins what gives their probabilities."""
    months = [layer for layer in model.layers if layer.name == "month_bins"]
    return keras.Model(model.inputs, months[0].output, name=model.name) if months else model


def as_trained(model: keras.Model) -> keras.Model:
    """The whole model, whose predictions are years, of what :func:`to_train` gave."""
    if model.output.shape[-1] == 1:
        return model
    expected = keras.layers.Dense(1, use_bias=False, trainable=False, dtype="float32", name="years")
    whole = keras.Model(model.inputs, expected(model.output), name=model.name)
    expected.set_weights([_AGES[:, np.newaxis]])
    return whole


def _over_months(
    images: keras.KerasTensor, x: keras.KerasTensor, network: str, mean_years: float, std_years: float
) -> keras.Model:
    head = keras.layers.Dense(
        MONTH_BINS, activation="softmax", kernel_initializer="zeros", dtype="float32", name="month_bins"
    )
    model = as_trained(keras.Model(images, head(x), name=network))
    # So that this is the first prediction whatever the features are.
    head.bias.assign(_normal_logits(_AGES, mean_years, std_years))
    return model


def _normal_logits(ages: np.ndarray, mean_years: float, std_years: float) -> np.ndarray:
    """Logits of a normal distribution over the bins whose mean is the given one.

    Birth truncates a wide distribution, which raises its mean. A linear term in age moves the centre and
    keeps it normal, so its slope is solved for the mean.

    Args:
        ages: Bin centres in years, (bins,).
        mean_years: The mean, clipped to the second and the last but one bin centre.
        std_years: The standard deviation of the untruncated distribution; at least one bin.

    Returns:
        (bins,).
    """
    bin_years = ages[1] - ages[0]
    mean = np.clip(mean_years, ages[1], ages[-2])
    normal = -0.5 * ((ages - mean) / max(std_years, bin_years)) ** 2

    def excess(slope: float) -> float:
        return float(softmax(normal + slope * ages) @ ages) - mean

    # At this slope each bin has about 4000 times the probability of the one before: the mean is at an end.
    steepest = 100.0
    return normal + brentq(excess, -steepest, steepest) * ages
