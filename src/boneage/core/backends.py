"""What Keras leaves to its backends: gradients, fast steps, several devices.

With :mod:`boneage.core.runtime` the only module that may name TensorFlow.
"""

import contextlib
import functools
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import keras
    import tensorflow


@contextlib.contextmanager
def precision(name: str) -> Iterator[None]:
    """Layers that are built inside do their sums in these numbers.

    Args:
        name: One of ``settings.PRECISIONS``.
    """
    import keras

    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(name)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def gradient(function: Callable, at: np.ndarray) -> np.ndarray:
    """How the sum of what a function says changes with each number that it is given; Keras has no such call.

    Args:
        function: Of Keras's operations and layers, from one tensor to another.
        at: Where to take the gradient; float.

    Returns:
        Of the shape of ``at``.
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
    """Has a backend do a model's steps the fast way, which Keras leaves undone.

    JAX compiles them as a whole. Keras marks its random layers as unfit for compilation because TensorFlow
    cannot compile them; for their sake it would run every operation of every layer by itself on JAX, too,
    which compiles them well.

    TensorFlow multiplies a transformer's matrices with all tokens of a batch at once. Left to itself it
    repeats each matrix, and its gradient, for every image (keras-team/keras, issue 22823), and a step takes
    twice the time; so the layers that work on each token by itself get the batch as one long image.

    A model that is loaded or copied begins without, and needs it again; a second time changes nothing.

    Args:
        model: Any; what it says stays the same but for rounding.
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
    """Makes the variables of a compiled model's optimiser and metrics, which its first step would make.

    TensorFlow traces a step that makes variables twice, which takes seconds for most networks.

    Args:
        model: Any; on JAX, and where several devices train it, nothing is done.
    """
    import keras

    if keras.backend.backend() != "tensorflow" or mirrored() is not None:
        return
    model.optimizer.build(model.trainable_variables)
    nothing = keras.ops.zeros((1, 1))
    model.compute_metrics(None, nothing, nothing)
    model.reset_metrics()


def layers_of(model: "keras.Model") -> Iterator["keras.Layer"]:
    """All layers of a model, those of the models in it among them."""
    import keras

    for layer in model.layers:
        yield layer
        if isinstance(layer, keras.Model):
            yield from layers_of(layer)


@functools.cache
def mirrored() -> "tensorflow.distribute.Strategy | None":
    """The strategy that has all of TensorFlow's GPUs train one model; None where there is one, or JAX.

    A CPU that was divided into several logical devices counts as several.
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
    """A replica's rows of a batch in shares of what each replica would have of an even one.

    Args:
        rows: The replica's number of rows.
    """
    import tensorflow

    replica = tensorflow.distribute.get_replica_context()
    # None while Keras builds a model, outside any replica.
    if replica is None:
        return 1.0
    rows = tensorflow.cast(rows, "float32")
    return rows * replica.num_replicas_in_sync / replica.all_reduce(tensorflow.distribute.ReduceOp.SUM, rows)
