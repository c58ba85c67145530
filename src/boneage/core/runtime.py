"""Where the code runs: Colab or not, which Keras backend, which device; seeds and versions.

The only module that may name TensorFlow. Keras reads its backend once, when it is first imported, so
:func:`choose_backend` comes before any import of ``keras``.
"""

import contextlib
import functools
import importlib
import importlib.metadata
import importlib.util
import os
import platform
import queue
import sys
import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from itertools import islice
from types import ModuleType
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from boneage.core.errors import BoneAgeError
from boneage.core.settings import BACKENDS

if TYPE_CHECKING:
    import keras
    import tensorflow

REPORTED_PACKAGES = (
    "boneage",
    "tensorflow",
    "jax",
    "keras",
    "keras-hub",
    "numpy",
    "pandas",
    "opencv-python-headless",
    "opencv-python",
    "ipywidgets",
)

# What the user asked for: read before choose_backend settles the variable for this process.
BACKEND_OF_USER = os.environ.get("KERAS_BACKEND", "")

T = TypeVar("T")
R = TypeVar("R")

_JOBS_UNDER_WAY_PER_CORE = 4

_LONGEST_REASON = 300

GPU_ADVICE = "no GPU: on Colab choose Runtime > Change runtime type > T4 GPU, then Runtime > Run all"


def on_colab() -> bool:
    """Whether this is a Google Colab runtime."""
    return "COLAB_RELEASE_TAG" in os.environ


def choose_backend(name: str = "") -> str:
    """Settles the Keras backend before Keras is imported.

    Args:
        name: ``"tensorflow"``, ``"jax"``, or ``""`` for ``KERAS_BACKEND`` where it is set, else TensorFlow
            where it is installed, else JAX.

    Returns:
        The backend in use.

    Raises:
        BoneAgeError: An unknown backend, one that is not installed, or Keras already runs on another.
    """
    if "keras" in sys.modules:
        import keras

        if name in ("", keras.backend.backend()):
            return keras.backend.backend()
        raise BoneAgeError(
            f"backend {name}: Keras already runs on {keras.backend.backend()}; restart the runtime "
            "(Runtime > Restart session) and choose the backend in the first cell"
        )
    wanted = name or os.environ.get("KERAS_BACKEND", "")
    if not wanted:
        wanted = next((one for one in BACKENDS if importlib.util.find_spec(one)), BACKENDS[0])
    if wanted not in BACKENDS:
        raise BoneAgeError(f"backend {wanted}: must be one of {', '.join(BACKENDS)}")
    if importlib.util.find_spec(wanted) is None:
        raise BoneAgeError(f"backend {wanted}: not installed; run `pip install {wanted}`")
    os.environ["KERAS_BACKEND"] = wanted
    # TensorFlow tells of every library that it does not find; none of it concerns the reader.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    return wanted


def package(name: str, advice: str) -> ModuleType:
    """A package that is imported only where it is needed, and may be missing or unfit for what is beside it.

    Args:
        name: The module's name.
        advice: What to do where it cannot be imported.

    Raises:
        BoneAgeError: It cannot be imported.
    """
    try:
        return importlib.import_module(name)
    except Exception as error:
        # A package that was built for another version of its neighbours raises whatever it likes.
        raise BoneAgeError(f"{name}: cannot be imported ({reason_of(error)}); {advice}") from None


def reason_of(error: BaseException) -> str:
    """What an error of another package says, in a line that is not too long to read."""
    words = " ".join(str(error).split())[:_LONGEST_REASON]
    if isinstance(error, ImportError) and words:
        return words
    return f"{type(error).__name__}: {words}".removesuffix(": ")


def seed_everything(seed: int) -> None:
    """Seeds Python, NumPy and Keras, and asks for operations that give the same result twice."""
    import keras

    keras.utils.set_random_seed(seed)
    if keras.backend.backend() == "tensorflow":
        import tensorflow

        tensorflow.config.experimental.enable_op_determinism()


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


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that the device's memory does not hold what it was asked to."""
    # TensorFlow has a class of its own for it; JAX says it in the words of XLA.
    return (
        isinstance(error, MemoryError)
        or type(error).__name__ == "ResourceExhaustedError"
        or "RESOURCE_EXHAUSTED" in str(error)
    )


def device() -> str:
    """The device that trains, in words: ``"NVIDIA H200"``, ``"CPU (2 cores)"``."""
    accelerators = _accelerators()
    return accelerators[0] if accelerators else f"CPU ({os.cpu_count()} cores)"


def has_gpu() -> bool:
    """Whether Keras sees a GPU or a TPU."""
    return bool(_accelerators())


def hasten(model: "keras.Model") -> None:
    """Has a backend do a model's steps the fast way, which Keras leaves undone.

    JAX compiles them as a whole. Keras marks its random layers as unfit for compilation because TensorFlow
    cannot compile them; for their sake it would run every operation of every layer by itself on JAX, too,
    which compiles them well.

    TensorFlow multiplies a transformer's matrices with all tokens of a batch at once. Left to itself it
    repeats each matrix, and its gradient, for every photo (keras-team/keras, issue 22823), and a step takes
    twice the time; so the layers that work on each token by itself get the batch as one long photo.

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
                of_tokens.call = functools.partial(_call_on_one_photo, of_tokens)


def _call_on_one_photo(
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


def _accelerators() -> list[str]:
    import keras

    if keras.backend.backend() == "jax":
        import jax

        return [one.device_kind for one in jax.devices() if one.platform != "cpu"]
    import tensorflow

    details = tensorflow.config.experimental.get_device_details
    return [
        details(one).get("device_name", one.name) for one in tensorflow.config.list_physical_devices("GPU")
    ]


def versions() -> dict[str, str]:
    """The versions that matter, by package name, with Python's own first; absent packages are left out."""
    found = {"python": platform.python_version()}
    for package in REPORTED_PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def interruptible(items: Generator[T, None, None]) -> Generator[T, None, None]:
    """What a generator yields, with the generator run in a thread of its own, one step at a time.

    Python raises KeyboardInterrupt in the main thread between any two steps. Inside a thread pool it can
    strike while a lock of the pool is held, which then is never released: the pool's threads wait for it,
    and the program for them. Here the main thread only waits on queues, which have no such moment.

    Args:
        items: A generator that works with a thread pool; it is closed at the end, whatever the end.
    """
    wanted, found = queue.SimpleQueue(), queue.SimpleQueue()

    def run() -> None:
        try:
            while wanted.get():
                found.put((next(items), None))
        except BaseException as error:
            found.put((None, error))
        finally:
            items.close()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        while True:
            wanted.put(True)
            item, error = found.get()
            if isinstance(error, StopIteration):
                return
            if error is not None:
                raise error
            yield item
    finally:
        wanted.put(False)
        thread.join()


def on_all_cores(
    work: Callable[[T], R], jobs: Sequence[T], title: str, progress: bool = True
) -> Generator[R, None, None]:
    """Does jobs on all cores under a progress bar; yields what they return, in the order they are done.

    Threads, not processes: safe in a notebook, and OpenCV and NumPy work outside Python's lock. So many
    jobs are under way at most that memory knows no number of jobs, and a stop by hand ends it cleanly.

    Args:
        work: Done once for each job; what it raises ends the generator and is raised from it.
        jobs: What to work on.
        title: What the bar says.
        progress: Whether a bar shows how far it is.
    """
    import cv2
    from tqdm.auto import tqdm

    opencv_threads = cv2.getNumThreads()
    # One photo a core is faster than one photo on all cores, and the two fight each other.
    cv2.setNumThreads(1)
    try:
        with (
            contextlib.closing(interruptible(_done(work, jobs))) as results,
            tqdm(total=len(jobs), desc=title, unit="photo", disable=not progress) as bar,
        ):
            for result in results:
                bar.update()
                yield result
    finally:
        cv2.setNumThreads(opencv_threads)


def _done(work: Callable[[T], R], jobs: Sequence[T]) -> Generator[R, None, None]:
    cores, waiting = os.cpu_count() or 1, iter(jobs)
    with ThreadPoolExecutor(cores) as pool:
        running = {pool.submit(work, job) for job in islice(waiting, cores * _JOBS_UNDER_WAY_PER_CORE)}
        try:
            while running:
                done, running = wait(running, return_when=FIRST_COMPLETED)
                running |= {pool.submit(work, job) for job in islice(waiting, len(done))}
                for future in done:
                    yield future.result()
        finally:
            for future in running:
                future.cancel()


def mount_drive(folder: str = "/content/drive") -> None:
    """Mounts the user's Google Drive on Colab; Colab asks for permission.

    Raises:
        BoneAgeError: This is not Colab.
    """
    if not on_colab():
        raise BoneAgeError("Drive can be mounted on Colab only; leave the Drive box unticked here")
    from google.colab import drive

    drive.mount(folder)
