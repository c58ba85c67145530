"""KerasHub, imported only where one of its networks is built."""

import contextlib
import importlib.metadata
from types import ModuleType

from boneage.core.runtime import package


def keras_hub() -> ModuleType:
    """The package ``keras_hub``.

    Raises:
        BoneAgeError: It is not installed, or cannot be imported with this Keras and backend.
    """
    return package("keras_hub", f"run {_installation()}, restart, and train this network again")


def _installation() -> str:
    """The command that installs a matching version: TensorFlow Text works with one TensorFlow only."""
    with contextlib.suppress(importlib.metadata.PackageNotFoundError, ValueError):
        major, minor, *_ = importlib.metadata.version("tensorflow").split(".")
        return f"`pip install keras-hub 'tensorflow-text=={major}.{minor}.*'`"
    return "`pip install 'keras-hub>=0.32'`"
