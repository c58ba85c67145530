"""What a network begins with: ImageNet weights, what it learnt from drawn hands, or random numbers."""

from pathlib import Path

import keras

from boneage.core.errors import BoneAgeError
from boneage.core.runtime import seed_everything
from boneage.core.settings import Settings
from boneage.evaluation import read_run
from boneage.networks import WeightsError, find
from boneage.training.model import build_model
from boneage.training.predictions import load_model

# What a record says of a network that began with them.
FROM_IMAGENET, FROM_SCRATCH = "from ImageNet", "from scratch"


def new_model(
    network: str, size: int, moments: tuple[float, float], variant: str, settings: Settings
) -> tuple[keras.Model, str]:
    """The untrained model, and what it begins with, in words.

    Args:
        network: Key of the network.
        size: Side of the images in pixels.
        moments: Mean and standard deviation of the bone ages of the training cases, in years.
        variant: One of ``settings.VARIANTS``.
        settings: Weights, width, seed, degradation and the work folder are used.

    Raises:
        WeightsError: The weights that the settings insist on cannot be had.
    """

    def build(weights: str) -> keras.Model:
        return build_model(
            network,
            size,
            *moments,
            settings.train_seed,
            settings.width,
            weights,
            variant,
            settings.degradation,
        )

    if settings.weights == "phantom":
        model = build("scratch")
        run = find_pretrained(network, size, variant, settings)
        begin_with(model, load_model(run))
        record = read_run(run).record
        return model, f"from {record['cases']['train']} drawn hands, {record['epochs']} epochs"
    if settings.weights != "scratch" and settings.width == "full" and find(network).imagenet:
        try:
            return build("imagenet"), FROM_IMAGENET
        except WeightsError as error:
            if settings.weights == "imagenet":
                raise
            print(f"{network}: {error}; training from scratch")
        # The failed attempt drew random numbers.
        seed_everything(settings.train_seed)
    return build("scratch"), FROM_SCRATCH


def pretrained_runs(size: int, settings: Settings) -> Path:
    """The folder of the runs on drawn hands of a size."""
    return Path(settings.cache or settings.work) / "pretrained" / f"{size}px"


def find_pretrained(network: str, size: int, variant: str, settings: Settings) -> Path:
    """The finished run on drawn hands that a network begins with.

    Raises:
        WeightsError: There is none of that network, variant, size and width.
    """
    runs = pretrained_runs(size, settings)
    wanted = (network, variant, settings.width)
    for path in sorted(runs.glob("*/record.json")):
        record = read_run(path.parent).record
        if (record["network"], record["variant"], record["settings"]["width"]) == wanted:
            return path.parent
    of = f" --variant {variant}" if variant else ""
    raise WeightsError(
        f"{network}: {runs} holds nothing that it learnt from drawn hands; run `python -m boneage pretrain "
        f"--arch {network}{of} --train-size {size}` first"
    )


def begin_with(model: keras.Model, known: keras.Model) -> None:
    """Gives a model the weights of another of the same layers, whose head speaks of years about another mean.

    Raises:
        BoneAgeError: Their layers differ.
    """
    if [one.shape for one in model.weights] != [one.shape for one in known.weights]:
        raise BoneAgeError(f"{model.name}: other layers than those that were pretrained; run pretrain again")
    model.set_weights(known.get_weights())
    ours, theirs = model.get_layer("years"), known.get_layer("years")
    if isinstance(ours, keras.layers.Rescaling):
        kernel, bias = known.get_layer("standardised_years").get_weights()
        bias = bias * theirs.scale + theirs.offset - ours.offset
        model.get_layer("standardised_years").set_weights(
            [kernel * theirs.scale / ours.scale, bias / ours.scale]
        )
