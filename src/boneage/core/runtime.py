"""Where the code runs: Colab or not, which Keras backend, which device; seeds and versions.

With :mod:`boneage.core.backends` the only module that may name TensorFlow. Keras reads its backend once,
when it is first imported, so :func:`choose_backend` comes before any import of ``keras``.
"""

import importlib
import importlib.metadata
import importlib.util
import os
import platform
import sys
from types import ModuleType

from boneage.core.errors import BoneAgeError
from boneage.core.settings import BACKENDS

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

        running = str(keras.backend.backend())
        if name in ("", running):
            return running
        raise BoneAgeError(
            f"backend {name}: Keras already runs on {running}; restart the runtime "
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


def keras_module(name: str, backend: str) -> ModuleType:
    """A module that needs Keras, imported late, on a backend: the other stages do not wait for it.

    Args:
        name: The module's name.
        backend: See :func:`choose_backend`.

    Raises:
        BoneAgeError: The backend cannot be had, or cannot be imported.
    """
    backend = choose_backend(backend)
    try:
        return importlib.import_module(name)
    except Exception as error:
        raise BoneAgeError(
            f"backend {backend}: installed, but it cannot be imported ({reason_of(error)}); "
            "install it anew or choose the other backend"
        ) from None


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


def mount_drive(folder: str = "/content/drive") -> None:
    """Mounts the user's Google Drive on Colab; Colab asks for permission.

    Raises:
        BoneAgeError: This is not Colab.
    """
    if not on_colab():
        raise BoneAgeError("Drive can be mounted on Colab only; leave the Drive box unticked here")
    from google.colab import drive

    drive.mount(folder)
