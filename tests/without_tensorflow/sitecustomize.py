"""A Python that has this folder in its path cannot import TensorFlow, as where it is not installed.

Keras on JAX imports it wherever it is there, which takes seconds and is not used.
"""

import sys
from collections.abc import Sequence
from types import ModuleType


class _Blocked:
    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> None:
        if name.split(".")[0] == "tensorflow":
            raise ModuleNotFoundError("No module named 'tensorflow'", name=name)


sys.meta_path.insert(0, _Blocked())
