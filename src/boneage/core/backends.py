"""Backend-specific code that Keras does not cover: gradients, faster steps, devices, TensorFlow's files.

Only this module and :mod:`boneage.core.runtime` may name TensorFlow.
"""

import contextlib
import functools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import keras
    import tensorflow


@contextlib.contextmanager
def precision(name: str) -> Iterator[None]:
    """Sets the numeric precision (one of ``settings.PRECISIONS``) of the layers built inside the block."""
    import keras

    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(name)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def gradient(function: Callable, at: np.ndarray) -> np.ndarray:
    """The gradient of the sum of a function's output with respect to its input, in the input's shape.

    Args:
        function: Built from Keras operations and layers, from one tensor to another.
        at: Where to take the gradient; float.
    """
    import keras

    if keras.backend.backend() == "jax":
        import jax

        return np.asarray(jax.grad(lambda given: function(given).sum())(at))
    import tensorflow

    given = tensorflow.convert_to_tensor(at)
    with tensorflow.GradientTape() as tape:
        tape.watch(given)
        said = function(given)
    return np.asarray(tape.gradient(said, given))


def hasten(model: "keras.Model") -> None:
    """Makes a model's steps fast where Keras does not; outputs change by rounding only.

    JAX: compiles whole steps. Keras marks its random layers as not compilable because TensorFlow cannot
    compile them, and would then run every operation of the model uncompiled on JAX too.

    TensorFlow: has a transformer's dense layers multiply all tokens of a batch at once. Otherwise each matrix
    and its gradient are repeated for every image (keras-team/keras, issue 22823), which doubles a step's
    time.

    Call it again on a model that was loaded or copied. Calling it twice is harmless.
    """
    import keras

    if keras.backend.backend() == "jax":
        for layer in layers_of(model):
            layer.supports_jit = True
        model.jit_compile = True
        return
    for layer in layers_of(model):
        for block in getattr(layer, "encoder_layers", ()):
            attention, mlp = block.mha, block.mlp
            for of_tokens in (
                *(attention.query_dense, attention.key_dense, attention.value_dense, attention.output_dense),
                *(mlp.dense_1, mlp.dense_2),
            ):
                of_tokens.call = functools.partial(_call_on_one_image, of_tokens)


def _call_on_one_image(
    layer: "keras.Layer", tokens: "keras.KerasTensor", **more: object
) -> "keras.KerasTensor":
    from keras import ops

    said = type(layer).call(layer, ops.reshape(tokens, (1, -1, *tokens.shape[2:])), **more)
    return ops.reshape(said, (-1, tokens.shape[1], *said.shape[2:]))


def build_for_training(model: "keras.Model") -> None:
    """Creates the variables of a compiled model's optimiser and metrics before its first step.

    TensorFlow traces a step that creates variables twice, which takes seconds for most networks. Does nothing
    on JAX, or with several devices.
    """
    import keras

    if keras.backend.backend() != "tensorflow" or mirrored() is not None:
        return
    # Built again, a loaded optimiser of half precision would lose its loss scale.
    if not model.optimizer.built:
        model.optimizer.build(model.trainable_variables)
    nothing = keras.ops.zeros((1, 1))
    model.compute_metrics(None, nothing, nothing)
    model.reset_metrics()


@contextlib.contextmanager
def graphs_released() -> Iterator[None]:
    """Has TensorFlow forget the graphs of what is trained or predicted inside the block.

    TensorFlow (2.20 at least) registers each custom gradient of a graph until the process ends, and with it
    the graph and all variables of the network and its optimiser (tensorflow/tensorflow, issue 97697). Keras's
    optimisers have one, and so have some activations. None of them is looked up once a step is traced. Does
    nothing on JAX.
    """
    import keras

    if keras.backend.backend() != "tensorflow":
        yield
        return
    from tensorflow.python.framework import ops

    # Its public interface has no way to do this, so another version may lack the place.
    registered = getattr(getattr(ops, "gradient_registry", None), "_registry", {})
    before = set(registered)
    try:
        yield
    finally:
        for name in registered.keys() - before:
            registered.pop(name, None)


def layers_of(model: "keras.Model") -> Iterator["keras.Layer"]:
    """All layers of a model, including those of nested models."""
    import keras

    for layer in model.layers:
        yield layer
        if isinstance(layer, keras.Model):
            yield from layers_of(layer)


@functools.cache
def mirrored() -> "tensorflow.distribute.Strategy | None":
    """The strategy that trains one model on all of TensorFlow's GPUs; None with a single device, or on JAX.

    A CPU divided into several logical devices counts as several.
    """
    import keras

    if keras.backend.backend() != "tensorflow":
        return None
    import tensorflow

    names = [
        one.name
        for one in tensorflow.config.list_logical_devices("GPU")
        or tensorflow.config.list_logical_devices("CPU")
    ]
    return tensorflow.distribute.MirroredStrategy(names) if len(names) > 1 else None


def replica_share(rows: "tensorflow.Tensor") -> "tensorflow.Tensor | float":
    """A replica's share of a batch's rows, where 1 is an even share."""
    import tensorflow

    replica = tensorflow.distribute.get_replica_context()
    # None while Keras builds a model, outside any replica.
    if replica is None:
        return 1.0
    rows = tensorflow.cast(rows, "float32")
    return rows * replica.num_replicas_in_sync / replica.all_reduce(tensorflow.distribute.ReduceOp.SUM, rows)


def read_saved_model(folder: Path) -> Callable[[list[np.ndarray]], np.ndarray]:
    """A SavedModel that Keras exported, as a function of its inputs."""
    import tensorflow

    # The function alone would not keep its weights.
    loaded = tensorflow.saved_model.load(str(folder))
    return lambda given: loaded.serve(given if len(given) > 1 else given[0]).numpy()


def write_litert(model: "keras.Model", path: Path) -> None:
    """Converts a model to LiteRT, of LiteRT's own operations alone, which every interpreter has."""
    import tensorflow

    own = {"supported_ops": [tensorflow.lite.OpsSet.TFLITE_BUILTINS]}
    model.export(str(path), format="litert", target_spec=own)


def read_litert(path: Path) -> Callable[[list[np.ndarray]], np.ndarray]:
    """A LiteRT model of one image, as a function of many; its inputs are in the order of their names."""
    import tensorflow

    runner = tensorflow.lite.Interpreter(model_path=str(path)).get_signature_runner()
    names = sorted(runner.get_input_details())

    def read(given: list[np.ndarray]) -> np.ndarray:
        said = []
        for at in range(len(given[0])):
            one = runner(**{name: array[at : at + 1] for name, array in zip(names, given, strict=True)})
            said.extend(one.values())
        return np.concatenate(said)

    return read
