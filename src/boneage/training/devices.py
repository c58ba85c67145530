"""Training on several devices and hosts: they share each batch, and the losses equal those of one device.

On JAX every device gets the whole batch and takes its rows inside the step. The number of rows need not be
divisible by the number of devices, so the last batch of an epoch needs no padding, which would distort batch
normalisation; every host reads the same batch. On TensorFlow ``MirroredStrategy`` gives each GPU a slice, and
unequal slices are weighted by their rows.
"""

import atexit
import contextlib
import os
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import keras
import numpy as np

from boneage.core.backends import hasten, layers_of, mirrored, replica_share
from boneage.core.errors import BoneAgeError
from boneage.core.runtime import device

# What the errors of an exchange between processes name: the libraries that do it, and JAX's service.
_EXCHANGE = re.compile("Gloo|NCCL|coordination service")

# Read by `keras.distribution.initialize`, like the addresses of the hosts.
_PROCESSES, _PROCESS = "KERAS_DISTRIBUTION_NUM_PROCESSES", "KERAS_DISTRIBUTION_PROCESS_ID"


def join_hosts(seed: int) -> None:
    """Joins the other processes of a run on several hosts; does nothing if there is one process.

    Every process runs the same command on the same work folder, with these variables set:
    ``KERAS_DISTRIBUTION_JOB_ADDRESSES`` (host and port of process 0), ``KERAS_DISTRIBUTION_NUM_PROCESSES``
    and ``KERAS_DISTRIBUTION_PROCESS_ID`` (from 0). Call it before any computation.

    Raises:
        BoneAgeError: The backend is not JAX, a variable is missing, or the processes cannot connect.
    """
    if os.environ.get(_PROCESSES, "1") == "1":
        return
    if keras.backend.backend() != "jax":
        raise BoneAgeError(f"{_PROCESSES}: several hosts need JAX; add --backend jax, or unset the variable")
    if _PROCESS not in os.environ:
        raise BoneAgeError(f"{_PROCESS}: not set; give each process its number, from 0")
    import jax

    if jax.distributed.is_initialized():
        return
    # Without a seed Keras would run a computation across the processes to agree on one.
    keras.utils.set_random_seed(seed)
    try:
        keras.distribution.initialize()
    except (RuntimeError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise BoneAgeError(
            f"{_PROCESSES}: the processes cannot connect ({reason}); check the addresses and start them again"
        ) from None


def is_first() -> bool:
    """Whether this process writes the files and shows progress bars."""
    return keras.backend.backend() != "jax" or _processes()[0] == 0


def wait_for_all() -> None:
    """Waits for all processes, so that all can read what the first one wrote."""
    if keras.backend.backend() == "jax" and _processes()[1] > 1:
        from jax.experimental import multihost_utils

        multihost_utils.sync_global_devices("boneage")


def check_agreed(value: int, run: Path) -> None:
    """Raises BoneAgeError unless all processes found the same number in the shared run folder."""
    if keras.backend.backend() != "jax" or _processes()[1] == 1:
        return
    from jax.experimental import multihost_utils

    if len(np.unique(multihost_utils.process_allgather(np.int32(value)))) > 1:
        raise BoneAgeError(
            f"{run}: the hosts see different files there; give all of them the same work folder"
        )


@contextlib.contextmanager
def all_processes_needed(run: Path) -> Iterator[None]:
    """Tells in one line that another process of the run has ended, where an exchange with it fails.

    Raises:
        BoneAgeError: Another process has ended.
    """
    try:
        yield
    except (ValueError, RuntimeError) as error:
        lost = keras.backend.backend() == "jax" and _processes()[1] > 1 and _EXCHANGE.search(str(error))
        if not lost:
            raise
        atexit.register(_end_at_once)
        raise BoneAgeError(
            f"{run}: another process of this run has ended or cannot be reached; start the same command on "
            "all hosts again, it goes on from the last epoch"
        ) from None


def _end_at_once() -> None:
    # JAX would wait for the lost process for minutes, and then abort this one.
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(2)


def devices_in_words() -> str:
    """The training devices: ``"NVIDIA H200"``, ``"4 × NVIDIA H200"``."""
    strategy = mirrored()
    count = strategy.num_replicas_in_sync if strategy else 1
    if keras.backend.backend() == "jax":
        count = len(keras.distribution.list_devices())
    return device() if count == 1 else f"{count} × {device()}"


@contextlib.contextmanager
def all_devices() -> Iterator[None]:
    """Models built, loaded and trained inside use all devices."""
    strategy = mirrored()
    if strategy is not None:
        with strategy.scope():
            yield
    elif keras.backend.backend() == "jax" and len(keras.distribution.list_devices()) > 1:
        with _WholeBatches(auto_shard_dataset=False).scope():
            yield
    else:
        yield


@contextlib.contextmanager
def alone() -> Iterator[None]:
    """Inside :func:`all_devices`, lets one process work without waiting for the others.

    Keras creates variables even when it saves a model, and would synchronise them across all processes.
    """
    before = keras.distribution.distribution()
    keras.distribution.set_distribution(None)
    try:
        yield
    finally:
        keras.distribution.set_distribution(before)


def share_out(model: keras.Model) -> None:
    """Makes the devices share each batch of a compiled model built within :func:`all_devices`."""
    if keras.distribution.distribution() is not None:
        model.train_step, model.test_step = _shared(model.train_step), _shared(model.test_step)
    elif mirrored() is not None:
        model.compute_loss = _weighed(model.compute_loss)
        for layer in layers_of(model):
            if isinstance(layer, keras.layers.BatchNormalization):
                layer.synchronized = True


def on_one_device(model: keras.Model) -> keras.Model:
    """The model, or if it is on several devices a copy on one, for prediction only.

    Prediction takes little of a run's time, and a replica or host may have no share of a small batch.
    """
    if mirrored() is None and (
        keras.backend.backend() != "jax" or len(keras.distribution.list_devices()) == 1
    ):
        return model
    copy = keras.models.clone_model(model)
    copy.set_weights(model.get_weights())
    hasten(copy)
    return copy


def check_shares(rows: int, batch_size: int) -> None:
    """Raises BoneAgeError if a batch would leave a GPU without images, which not every layer can handle."""
    strategy = mirrored()
    replicas = strategy.num_replicas_in_sync if strategy else 1
    for batch in (min(rows, batch_size), rows % batch_size):
        # TensorFlow gives each replica its share rounded up until nothing is left.
        if batch and -(-batch // replicas) * (replicas - 1) >= batch:
            raise BoneAgeError(
                f"batches of {batch_size}: a batch of {batch} images leaves one of {replicas} GPUs with none;"
                " choose another batch_size, add --backend jax, or list fewer in CUDA_VISIBLE_DEVICES"
            )


class _WholeBatches(keras.distribution.DataParallel):
    """Data parallelism in which every device gets the whole batch; :func:`_shared` splits it."""

    def get_data_layout(self, data_shape: tuple[int, ...]) -> keras.distribution.TensorLayout:
        return keras.distribution.TensorLayout([None] * len(data_shape), self.device_mesh)


def _shared(step: Callable) -> Callable:
    import jax
    from jax.sharding import NamedSharding, PartitionSpec

    distribution = keras.distribution.distribution()
    mesh = distribution.device_mesh.backend_mesh
    by_rows = NamedSharding(mesh, PartitionSpec(distribution.batch_dim_name))
    whole = NamedSharding(mesh, PartitionSpec())

    def run(state: tuple, data: tuple) -> tuple:
        outputs, state = step(state, jax.lax.with_sharding_constraint(data, by_rows))
        # Replicated, so that every process can read the losses and metrics after each step.
        return jax.lax.with_sharding_constraint(outputs, whole), state

    return run


def _weighed(whole: Callable) -> Callable:
    """A replica's loss, with a gradient that weights every row equally however many the replica has."""

    def compute_loss(x=None, y=None, y_pred=None, sample_weight=None, training=True):
        loss = whole(x=x, y=y, y_pred=y_pred, sample_weight=sample_weight, training=training)
        share = replica_share(keras.ops.shape(y)[0])
        # The value stays the mean over the replica's rows: Keras weights it by rows itself.
        return share * loss + keras.ops.stop_gradient((1 - share) * loss)

    return compute_loss


def _processes() -> tuple[int, int]:
    import jax

    return jax.process_index(), jax.process_count()
