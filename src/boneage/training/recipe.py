"""The training recipe: optimiser, learning-rate schedule and loss."""

import re
from typing import Any

import keras

from boneage.core.settings import Settings
from boneage.networks import find
from boneage.training.model import accuracy, label_distribution, mae

# Share of the steps in which the learning rate rises from a hundredth of its full value.
WARM_UP = 0.1

# Pretrained weights are fine-tuned at a tenth of the learning rate (Kolesnikov et al., "Big Transfer (BiT)",
# ECCV 2020, trained at 0.03 and fine-tuned at 0.003).
FINE_TUNING = 0.1

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


def compile_model(model: keras.Model, settings: Settings, steps: int, fine_tuned: bool = False) -> None:
    """Compiles a model for training.

    The learning rate rises at first and then falls to zero along a cosine (Loshchilov and Hutter, ICLR 2017),
    so a run of other length is a different training. The loss is the squared error, or for month bins the
    cross-entropy with the label distribution.

    Args:
        model: As ``to_train`` gives it, named after its network.
        settings: Gives learning rate and weight decay.
        steps: Steps of the whole run.
        fine_tuned: Whether it starts from pretrained weights.
    """
    warm_up = max(1, round(WARM_UP * steps))
    highest = (
        settings.learning_rate * find(model.name).learning_rate_factor * (FINE_TUNING if fine_tuned else 1.0)
    )
    schedule = keras.optimizers.schedules.CosineDecay(
        highest / 100,
        max(1, steps - warm_up),
        warmup_target=highest,
        warmup_steps=warm_up,
    )
    optimiser = AdamW(schedule, settings.weight_decay)
    loss = "mse" if model.output.shape[-1] == 1 else label_distribution
    model.compile(optimiser, loss=loss, metrics=[mae, accuracy])
