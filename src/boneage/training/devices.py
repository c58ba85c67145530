"""One run on several devices and hosts: they share every batch, and the losses are those of one device.

On JAX a batch is handed to every device whole, and its rows are shared out inside the step. There a number of
rows that the devices do not divide is allowed, so the last batch of an epoch needs no padding, which batch
normalisation would count; and every host reads the same batch. On TensorFlow ``MirroredStrategy`` gives each
GPU a slice, and the replicas' unequal slices are weighed by their rows.
"""

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import keras
import numpy as np

from boneage.core.backends import hasten, layers_of, mirrored, replica_share
from boneage.core.errors import BoneAgeError
from boneage.core.runtime import device

# As `keras.distribution.initialize` reads them, beside the addresses of the hosts.
_PROCESSES, _PROCESS = "KERAS_DISTRIBUTION_NUM_PROCESSES", "KERAS_DISTRIBUTION_PROCESS_ID"


def join_hosts(seed: int) -> None:
    """Joins the other processes of a run on several hosts; does nothing where there is one.

    Every process runs the same command on the same work folder, with these variables set:
    ``KERAS_DISTRIBUTION_JOB_ADDRESSES`` (host and port of process 0), ``KERAS_DISTRIBUTION_NUM_PROCESSES``
    and ``KERAS_DISTRIBUTION_PROCESS_ID`` (from 0). To be called before anything is computed.

    Raises:
        BoneAgeError: The backend is not JAX, a variable is missing, or the processes do not meet.
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
    # Where there is none, Keras would have the processes agree on a seed by a computation of its own.
    keras.utils.set_random_seed(seed)
    try:
        keras.distribution.initialize()
    except (RuntimeError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise BoneAgeError(
            f"{_PROCESSES}: the processes do not meet ({reason}); check the addresses, and start them anew"
        ) from None


def is_first() -> bool:
    """Whether this process is the one that writes files and shows bars."""
    return keras.backend.backend() != "jax" or _processes()[0] == 0


def wait_for_all() -> None:
    """Waits until every process has come here, so that what the first one wrote is there for all."""
    if keras.backend.backend() == "jax" and _processes()[1] > 1:
        from jax.experimental import multihost_utils

        multihost_utils.sync_global_devices("boneage")


def check_agreed(value: int, run: Path) -> None:
    """Raises BoneAgeError unless all processes found the same number in the run folder, which they share."""
    if keras.backend.backend() != "jax" or _processes()[1] == 1:
        return
    from jax.experimental import multihost_utils

    if len(np.unique(multihost_utils.process_allgather(np.int32(value)))) > 1:
        raise BoneAgeError(f"{run}: the hosts do not see the same files there; give all the same work folder")


def devices_in_words() -> str:
    """The devices that train: ``"NVIDIA H200"``, ``"4 × NVIDIA H200"``."""
    strategy = mirrored()
    count = strategy.num_replicas_in_sync if strategy else 1
    if keras.backend.backend() == "jax":
        count = len(keras.distribution.list_devices())
    return device() if count == 1 else f"{count} × {device()}"


@contextlib.contextmanager
def all_devices() -> Iterator[None]:
    """Models that are built, loaded and trained inside live on all devices; where there is one, as ever."""
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
    """What one process does inside, within :func:`all_devices`, waits for no other.

    Keras makes variables even to save a model, and would have all processes agree on what is in them.
    """
    before = keras.distribution.distribution()
    keras.distribution.set_distribution(None)
    try:
        yield
    finally:
        keras.distribution.set_distribution(before)


def share_out(model: keras.Model) -> None:
    """Has the devices share each batch of a compiled model that was built within :func:`all_devices`."""
    if keras.distribution.distribution() is not None:
        model.train_step, model.test_step = _shared(model.train_step), _shared(model.test_step)
    elif mirrored() is not None:
        model.compute_loss = _weighed(model.compute_loss)
        for layer in layers_of(model):
            if isinstance(layer, keras.layers.BatchNormalization):
                layer.synchronized = True


def on_one_device(model: keras.Model) -> keras.Model:
    """The same model where it lives on one device; else a copy that does, to be asked and no more.

    Asking takes a small part of a run's time, and a replica or a host need not have its share of the answers.
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
    """Raises BoneAgeError where a batch of so many images leaves a GPU none: not every layer bears that."""
    strategy = mirrored()
    replicas = strategy.num_replicas_in_sync if strategy else 1
    for batch in (min(rows, batch_size), rows % batch_size):
        # Each gets the next whole share, rounded up, until nothing is left.
        if batch and -(-batch // replicas) * (replicas - 1) >= batch:
            raise BoneAgeError(
                f"batches of {batch_size}: a batch of {batch} images leaves one of {replicas} GPUs without; "
                "choose another batch_size, add --backend jax, or show it fewer in CUDA_VISIBLE_DEVICES"
            )


class _WholeBatches(keras.distribution.DataParallel):
    """Data parallel, with batches that every device is handed whole; :func:`_shared` shares them out."""

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
        # What is told after each step lies whole on every device, where its process can read it.
        return jax.lax.with_sharding_constraint(outputs, whole), state

    return run


def _weighed(whole: Callable) -> Callable:
    """A replica's loss with a gradient that counts each row the same, however many the replica has."""

    def compute_loss(x=None, y=None, y_pred=None, sample_weight=None, training=True):
        loss = whole(x=x, y=y, y_pred=y_pred, sample_weight=sample_weight, training=training)
        share = replica_share(keras.ops.shape(y)[0])
        # The value stays the mean over the replica's rows, which Keras counts by rows itself.
        return share * loss + keras.ops.stop_gradient((1 - share) * loss)

    return compute_loss


def _processes() -> tuple[int, int]:
    import jax

    return jax.process_index(), jax.process_count()
