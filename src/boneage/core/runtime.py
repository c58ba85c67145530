"""Where the code runs: Colab or not, Keras backend, device; seeds and versions.

Only this module and :mod:`boneage.core.backends` may name TensorFlow. Keras reads its backend once, on first
import, so :func:`choose_backend` must run before any import of ``keras``.
"""

import importlib
import importlib.metadata
import importlib.util
import logging
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

# The user's own choice, read before choose_backend sets the variable for this process.
BACKEND_OF_USER = os.environ.get("KERAS_BACKEND", "")

_LONGEST_REASON = 300

GPU_ADVICE = "no GPU: on Colab choose Runtime > Change runtime type > T4 GPU, then Runtime > Run all"


def on_colab() -> bool:
    """Whether this is a Google Colab runtime."""
    return "COLAB_RELEASE_TAG" in os.environ


def choose_backend(name: str = "") -> str:
    """Sets the Keras backend before Keras is imported, and returns it.

    Args:
        name: ``"tensorflow"`` or ``"jax"``; ``""`` takes ``KERAS_BACKEND`` if set, else TensorFlow if
            installed, else JAX.

    Raises:
        BoneAgeError: Unknown backend, not installed, or Keras already runs on another.
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
    # TensorFlow warns of every library it does not find and, with several networks, that it traces each of
    # them; none of it concerns the user.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    # oneDNN's operations are in every TensorFlow for x86, but on Linux only used where the processor has
    # instructions for networks (tensorflow/tensorflow, core/util/port.cc). They are faster without, too.
    if platform.machine() in ("x86_64", "AMD64"):
        os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    return wanted


def package(name: str, advice: str) -> ModuleType:
    """Imports a package that may be missing or incompatible with its neighbours.

    Args:
        advice: What to do if it cannot be imported.

    Raises:
        BoneAgeError: It cannot be imported.
    """
    try:
        return importlib.import_module(name)
    except Exception as error:
        # A package built for other versions of its dependencies may raise anything.
        raise BoneAgeError(f"{name}: cannot be imported ({reason_of(error)}); {advice}") from None


def keras_module(name: str, backend: str) -> ModuleType:
    """Imports a module that needs Keras, late, so that other stages do not wait for Keras.

    Args:
        backend: See :func:`choose_backend`.

    Raises:
        BoneAgeError: The backend is not available, or cannot be imported.
    """
    backend = choose_backend(backend)
    try:
        return importlib.import_module(name)
    except Exception as error:
        raise BoneAgeError(
            f"backend {backend}: installed, but it cannot be imported ({reason_of(error)}); "
            "reinstall it or choose the other backend"
        ) from None


def reason_of(error: BaseException) -> str:
    """Another package's error as one line, shortened."""
    words = " ".join(str(error).split())[:_LONGEST_REASON]
    if isinstance(error, ImportError) and words:
        return words
    return f"{type(error).__name__}: {words}".removesuffix(": ")


def seed_everything(seed: int) -> None:
    """Seeds Python, NumPy and Keras, and asks for deterministic operations."""
    import keras

    keras.utils.set_random_seed(seed)
    if keras.backend.backend() == "tensorflow":
        import tensorflow

        tensorflow.config.experimental.enable_op_determinism()


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error means that the device ran out of memory."""
    # TensorFlow has its own class for it; JAX passes on XLA's message.
    return (
        isinstance(error, MemoryError)
        or type(error).__name__ == "ResourceExhaustedError"
        or "RESOURCE_EXHAUSTED" in str(error)
    )


def device() -> str:
    """The device that trains: ``"NVIDIA H200"``, ``"CPU (2 cores)"``."""
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
    """Versions of Python and :data:`REPORTED_PACKAGES` by name; absent packages are left out."""
    found = {"python": platform.python_version()}
    for package in REPORTED_PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def mount_drive(folder: str = "/content/drive") -> None:
    """Mounts the user's Google Drive on Colab, which asks for permission.

    Raises:
        BoneAgeError: This is not Colab.
    """
    if not on_colab():
        raise BoneAgeError("Drive can be mounted on Colab only; leave the Drive box unticked here")
    from google.colab import drive

    drive.mount(folder)
