"""The optimiser against Keras's own."""

import keras
import numpy as np
import pytest

from boneage.core.settings import Settings
from boneage.training.recipe import AdamW, compile_model


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
    theirs.exclude_from_weight_decay(var_names=["bias"])
    for our, their in zip(trained(ours), trained(theirs), strict=True):
        np.testing.assert_allclose(our, their, rtol=1e-6)


def test_biases_and_normalisation_are_not_decayed_nor_after_a_stop(tmp_path):
    images = keras.Input((4,), name="image")
    x = keras.layers.Dense(3, bias_initializer="ones", name="first")(images)
    x = keras.layers.BatchNormalization()(x)
    model = keras.Model(images, keras.layers.Dense(1, trainable=False)(x), name="cnn")
    compile_model(model, Settings(weight_decay=0.5, learning_rate=0.1), steps=20)
    assert _moved_by_decay(model) == {"first/kernel"}
    model.save(tmp_path / "model.keras")
    assert _moved_by_decay(keras.saving.load_model(tmp_path / "model.keras")) == {"first/kernel"}


def _moved_by_decay(model: keras.Model) -> set[str]:
    """Which weights a step without gradients moves."""
    weights = model.trainable_variables
    before = [np.array(one) for one in weights]
    model.optimizer.apply([keras.ops.zeros(one.shape) for one in weights], weights)
    return {one.path for one, old in zip(weights, before, strict=True) if (np.array(one) != old).any()}
