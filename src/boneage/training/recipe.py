"""The training recipe: optimiser, learning-rate schedule and loss."""

import math
import re
from typing import Any

import keras

from boneage.core.runtime import has_gpu
from boneage.core.settings import Settings
from boneage.networks import find
from boneage.training.model import accuracy, label_distribution, mae

# Share of the steps in which the learning rate rises from a hundredth of its full value.
WARM_UP = 0.1

# Pretrained weights are fine-tuned at a tenth of the learning rate (Kolesnikov et al., "Big Transfer (BiT)",
# ECCV 2020, trained at 0.03 and fine-tuned at 0.003).
FINE_TUNING = 0.1

SMALLEST_BATCH, LARGEST_BATCH = 8, 64
"""Images per step: on a CPU, as a few hundred images would otherwise give few steps; and at most on a GPU."""

# A GPU takes larger batches only if so many steps remain. Chosen, not measured.
_LEAST_STEPS = 1000

_NOT_DECAYED = re.compile("bias|gamma|beta|position_embedding|class_token")


@keras.saving.register_keras_serializable(package="boneage")
class AdamW(keras.optimizers.Adam):
    """AdamW (Loshchilov and Hutter, ICLR 2019) that evaluates the schedule once a step.

    Keras's own (3.13) evaluates it again for every variable, and each copy is in the step's graph: a third
    of the time before the first step of a deep network. Biases, normalisation, position embeddings and class
    tokens are not decayed.

    Args:
        learning_rate: Number or schedule.
        decay: Share of a weight, times the learning rate, lost in each step.
        more: As for Adam.
    """

    def __init__(self, learning_rate: Any, decay: float, **more: Any):
        super().__init__(learning_rate, **more)
        self.decay = decay

    def build(self, variables: list[keras.Variable]) -> None:
        super().build(variables)
        self._decayed = [not _NOT_DECAYED.search(one.path) for one in variables]

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        if self._decayed[self._get_variable_index(variable)]:
            rate = keras.ops.cast(learning_rate, variable.dtype)
            self.assign_sub(variable, variable * self.decay * rate)
        super().update_step(gradient, variable, learning_rate)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "decay": self.decay}


def batch_size_for(network: str, settings: Settings, images: int) -> int:
    """Images per step: as the settings say, else by the device and by how much there is to learn from.

    Args:
        network: Key of the network.
        settings: Gives the batch size.
        images: Images that the whole run shows, over all epochs.
    """
    size = (settings.batch_size or SMALLEST_BATCH) * find(network).batch_factor
    if not settings.batch_size and has_gpu():
        while 2 * size <= LARGEST_BATCH and images >= 2 * size * _LEAST_STEPS:
            size *= 2
    return size


def compile_model(
    model: keras.Model, settings: Settings, steps: int, batch_size: int = 0, fine_tuned: bool = False
) -> None:
    """Compiles a model for training.

    The learning rate rises at first and then falls to zero along a cosine (Loshchilov and Hutter, ICLR 2017),
    so a run of other length is a different training; with the batch it grows by the square root (Malladi et
    al., "On the SDEs and scaling rules for adaptive gradient algorithms", NeurIPS 2022). The loss is the
    squared error, or for month bins the cross-entropy with the label distribution.

    Args:
        model: As ``to_train`` gives it, named after its network.
        settings: Gives learning rate and weight decay.
        steps: Steps of the whole run.
        batch_size: Images per step; by default as few as the network takes.
        fine_tuned: Whether it starts from pretrained weights.
    """
    warm_up = max(1, round(WARM_UP * steps))
    network = find(model.name)
    smallest = SMALLEST_BATCH * network.batch_factor
    highest = settings.learning_rate * network.learning_rate_factor
    highest *= math.sqrt((batch_size or smallest) / smallest) * (FINE_TUNING if fine_tuned else 1.0)
    schedule = keras.optimizers.schedules.CosineDecay(
        highest / 100,
        max(1, steps - warm_up),
        warmup_target=highest,
        warmup_steps=warm_up,
    )
    optimiser = AdamW(schedule, settings.weight_decay)
    loss = "mse" if model.output.shape[-1] == 1 else label_distribution
    model.compile(optimiser, loss=loss, metrics=[mae, accuracy])
