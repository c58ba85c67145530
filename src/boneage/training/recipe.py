"""How a network is trained: the optimiser, its rate from step to step, and what is minimised."""

import keras

from boneage.core.settings import Settings
from boneage.networks import find
from boneage.training.model import accuracy

# Share of the steps in which the learning rate rises from a hundredth to its full value.
WARM_UP = 0.1

# Share of the rate with which weights are moved that know something already: a tenth (Kolesnikov et al.,
# "Big Transfer (BiT)", ECCV 2020, trained at 0.03 and fine-tuned at 0.003).
FINE_TUNING = 0.1


def compile_model(model: keras.Model, settings: Settings, steps: int, fine_tuned: bool = False) -> None:
    """Makes a model ready for training.

    AdamW (Loshchilov and Hutter, ICLR 2019) with a rate that rises at first and then falls to zero along a
    cosine (Loshchilov and Hutter, ICLR 2017), so that a run of other epochs is another training.

    Args:
        model: As ``build_model`` makes it, named by its network.
        settings: Learning rate and weight decay are used.
        steps: Steps of the whole run.
        fine_tuned: Whether it begins with published weights.
    """
    warm_up = max(1, round(WARM_UP * steps))
    highest = settings.learning_rate * find(model.name).rate * (FINE_TUNING if fine_tuned else 1.0)
    schedule = keras.optimizers.schedules.CosineDecay(
        highest / 100,
        max(1, steps - warm_up),
        warmup_target=highest,
        warmup_steps=warm_up,
    )
    optimiser = keras.optimizers.AdamW(schedule, weight_decay=settings.weight_decay)
    model.compile(optimiser, loss="mse", metrics=["mae", accuracy])
