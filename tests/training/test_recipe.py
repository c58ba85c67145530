"""The optimiser against Keras's own."""

import keras
import numpy as np
import pytest

from boneage.core.settings import Settings
from boneage.networks import NETWORKS
from boneage.training import recipe
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


@pytest.mark.parametrize(
    ("images", "cpu", "gpu"), [(633 * 10, 8, 8), (7123, 8, 8), (7123 * 10, 8, 64), (2_000_000, 8, 64)]
)
def test_a_gpu_takes_larger_batches_where_enough_steps_remain(images, cpu, gpu, monkeypatch):
    for has_gpu, size in ((False, cpu), (True, gpu)):
        monkeypatch.setattr(recipe, "has_gpu", lambda there=has_gpu: there)
        assert recipe.batch_size_for("cnn", Settings(), images) == size
        assert recipe.batch_size_for("cnn", Settings(batch_size=5), images) == 5
        of_fours = recipe.batch_size_for("efficientnetv2s", Settings(), images)
        assert of_fours == max(size, 8 * NETWORKS["efficientnetv2s"].batch_factor)


@pytest.mark.parametrize("network", ["cnn", "efficientnetv2s"])
def test_the_rate_grows_with_the_square_root_of_the_batch(network):
    def peak(batch_size: int) -> float:
        numbers = keras.Input((2,))
        model = keras.Model(numbers, keras.layers.Dense(1)(numbers), name=network)
        compile_model(model, Settings(learning_rate=0.01), 10, batch_size)
        return max(float(model.optimizer._learning_rate(step)) for step in range(10))

    usual = recipe.batch_size_for(network, Settings(batch_size=8), 1)
    assert peak(usual) == pytest.approx(0.01 * NETWORKS[network].learning_rate_factor)
    assert peak(4 * usual) == pytest.approx(2 * peak(usual))
    assert peak(0) == peak(usual)
