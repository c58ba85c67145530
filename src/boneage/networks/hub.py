"""Networks of KerasHub, which is imported only where one of them is built."""

import contextlib
import importlib.metadata
from types import ModuleType

from boneage.core.runtime import package


def keras_hub() -> ModuleType:
    """The package ``keras_hub``.

    Raises:
        BoneAgeError: It is not installed, or it cannot be imported beside this Keras and its backend.
    """
    return package("keras_hub", f"run {_installation()}, restart, and train this network again")


def _installation() -> str:
    """The line that installs what fits what is there: KerasHub brings TensorFlow Text, which is built for one
    version of TensorFlow and fails, in ways of its own, beside another."""
    with contextlib.suppress(importlib.metadata.PackageNotFoundError, ValueError):
        major, minor, *_ = importlib.metadata.version("tensorflow").split(".")
        return f"`pip install keras-hub 'tensorflow-text=={major}.{minor}.*'`"
    return "`pip install 'keras-hub>=0.32'`"
