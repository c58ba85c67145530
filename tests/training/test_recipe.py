"""The optimiser against Keras's own."""

import keras
import numpy as np
import pytest

from boneage.training.recipe import AdamW


def trained(optimiser: keras.optimizers.Optimizer) -> list[np.ndarray]:
    keras.utils.set_random_seed(1)
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(4), keras.layers.Dense(1)])
    model.compile(optimiser, loss="mse")
    numbers = np.random.default_rng(1).normal(size=(64, 4)).astype(np.float32)
    model.fit(numbers[:, :3], numbers[:, 3:], batch_size=8, epochs=2, verbose=0)
    return model.get_weights()


@pytest.mark.parametrize("decay", [0.0, 0.3])
def test_the_optimiser_moves_weights_as_the_one_of_keras_does(decay):
    schedule = keras.optimizers.schedules.CosineDecay(1e-4, 12, warmup_target=1e-2, warmup_steps=4)
    ours = AdamW.from_config(AdamW(schedule, decay).get_config())
    theirs = keras.optimizers.AdamW(schedule, weight_decay=decay)
    for our, their in zip(trained(ours), trained(theirs), strict=True):
        np.testing.assert_allclose(our, their, rtol=1e-6)
